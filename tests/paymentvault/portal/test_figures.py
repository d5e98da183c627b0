"""The numbers behind home and its charts."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from disbursements.models import FloatReading
from disbursements.states import Status
from partners.models import MifosConnection, MpesaShortcode, Partner
from paymentvault.portal import figures

Fixture = Any


@pytest.fixture
def make_shortcode(db: None) -> Fixture:
    """A shortcode of a partner of its own."""

    def make(number: str) -> MpesaShortcode:
        partner = Partner.objects.create(name=f"Lender {number}", code=f"l-{number}")
        return MpesaShortcode.objects.create(partner=partner, shortcode=number)

    return make


@pytest.fixture
def paid(manual: Fixture) -> Fixture:
    """A payout, so long after its approval."""
    made = iter(range(10**6))

    def make(at: Any, *, took_s: int = 10, **changes: Any) -> Any:
        receipt = f"TJM7{next(made):06}"
        approved = at - timedelta(seconds=took_s)
        return manual(
            Status.PAID, paid_at=at, approved_at=approved, mpesa_receipt=receipt, **changes
        )

    return make


@pytest.fixture
def monday(time_machine: Fixture) -> Any:
    """A Wednesday morning; returns its week's first moment in Nairobi."""
    time_machine.move_to("2026-11-25T09:00:00+03:00", tick=False)
    return figures.monday_of(timezone.now())


def test_the_figures_of_today_and_the_week_begin_at_midnight_in_nairobi(
    paid: Fixture, manual: Fixture, monday: Any
) -> None:
    today = figures.midnight(timezone.localdate())
    paid(today, amount=100, gross_amount=100)
    paid(today - timedelta(seconds=1), amount=30, gross_amount=30)
    paid(monday, amount=5, gross_amount=5)
    paid(monday - timedelta(seconds=1), amount=7, gross_amount=7)
    manual(Status.FAILED)
    manual(Status.AWAITING_APPROVAL)

    (row,) = figures.by_partner(timezone.now())

    assert (row.today, row.today_sum) == (1, Decimal(100))
    assert (row.week, row.week_sum) == (3, Decimal(135))
    assert (row.failed, row.awaiting) == (1, 1)


def test_each_partner_has_its_figures_and_the_total_has_all(paid: Fixture, monday: Any) -> None:
    other = Partner.objects.create(name="Jamii", code="jamii")
    paid(timezone.now())
    paid(timezone.now(), partner=other, amount=90_000, gross_amount=90_000)

    rows = figures.by_partner(timezone.now())

    assert [row.code for row in rows] == ["jamii", "pamoja"]
    assert figures.total(rows).week == 2
    assert figures.total(rows).week_sum == Decimal(100_000)


def test_the_usual_time_is_the_median_since_the_approval(paid: Fixture, manual: Fixture) -> None:
    now = timezone.now()
    for took in (10, 20, 500):
        paid(now, took_s=took)
    # Of before approvals were timed.
    manual(Status.PAID, paid_at=now)

    assert figures.usual_time() == timedelta(seconds=20)


def test_without_payouts_there_is_no_usual_time(db: None) -> None:
    assert figures.usual_time() is None


def test_every_day_has_its_place_also_without_a_payout(paid: Fixture, monday: Any) -> None:
    paid(monday + timedelta(hours=1))
    paid(monday + timedelta(hours=23, minutes=59))

    days = figures.paid_per_day(monday.date())

    assert [day.count for day in days] == [2, 0, 0]
    assert days[0].sum == Decimal(20_000)


def test_median_and_95th_percentile_of_a_day(paid: Fixture, monday: Any) -> None:
    for took in range(101):
        paid(monday + timedelta(hours=9), took_s=took)

    first, second, _ = figures.speed_per_day(monday.date())

    assert (first.median, first.p95) == (50, 95)
    assert second.median is None


def test_money_that_came_before_its_approval_by_another_clock_took_no_time(
    paid: Fixture, monday: Any
) -> None:
    paid(monday, took_s=-3)

    assert figures.speed_per_day(monday.date())[0].median == 0


def test_outcomes_count_what_came_in_since(manual: Fixture) -> None:
    manual(Status.CANCELLED)
    manual(Status.CANCELLED)
    manual(Status.FAILED)

    found = figures.outcomes(timezone.localdate())

    assert found == {
        Status.CANCELLED: (2, Decimal(20_000)), Status.FAILED: (1, Decimal(10_000)),
    }  # fmt: skip
    assert figures.outcomes(timezone.localdate() + timedelta(days=1)) == {}


def test_ages_are_counted_in_bands(
    manual: Fixture, connection: MifosConnection, since: Fixture
) -> None:
    for ago in ({"minutes": 59}, {"minutes": 61}, {"hours": 25}, {"days": 8}, {"days": 80}):
        manual(Status.HELD, status_at=since(**ago))
    manual(Status.PAID, status_at=since(days=9))
    manual(Status.PAID, status_at=since(days=9), connection=connection, loan_id=1,
           mpesa_receipt="TJM7000001")  # fmt: skip

    found = figures.ages(timezone.now())

    assert found == {Status.HELD: [1, 1, 1, 2], Status.PAID: [0, 0, 0, 1]}


def test_figures_of_one_partner_leave_the_others_out(paid: Fixture, lender: Partner) -> None:
    other = Partner.objects.create(name="Jamii", code="jamii")
    paid(timezone.now(), partner=other)

    today = timezone.localdate()

    assert figures.paid_per_day(today, lender)[0].count == 0
    assert figures.paid_per_day(today, other)[0].count == 1
    assert figures.outcomes(today, lender) == {}


def read(shortcode: MpesaShortcode, amount: int, **ago: int) -> FloatReading:
    at = timezone.now() - timedelta(**ago)
    return FloatReading.objects.create(shortcode=shortcode, at=at, amount=amount)


def test_the_float_is_told_from_the_oldest_reading_to_the_latest(
    shortcode: MpesaShortcode,
) -> None:
    for amount, hours in ((5_000, 48), (4_000, 24), (4_500, 0)):
        read(shortcode, amount, hours=hours)

    found = figures.float_readings(timezone.now())

    assert list(found) == [shortcode]
    assert [reading.amount for reading in found[shortcode]] == [5_000, 4_000, 4_500]


def test_of_many_readings_the_last_of_each_span_is_told(shortcode: MpesaShortcode) -> None:
    now = timezone.now()
    FloatReading.objects.bulk_create(
        FloatReading(shortcode=shortcode, at=now - timedelta(minutes=i), amount=i)
        for i in range(601)
    )

    told = [int(reading.amount) for reading in figures.float_readings(now)[shortcode]]

    # Spans of ten minutes and a little, from the first reading to now.
    assert len(told) == figures.READINGS
    assert told == sorted(told, reverse=True)
    assert (told[0], told[-1]) == (590, 0)


@pytest.mark.parametrize("days, is_told", [(29, True), (31, False)])
def test_a_float_is_told_for_thirty_days(
    shortcode: MpesaShortcode, days: int, is_told: bool
) -> None:
    read(shortcode, 5_000, days=days)

    assert (shortcode in figures.float_readings(timezone.now())) == is_told


def test_each_shortcode_has_its_own_readings(
    shortcode: MpesaShortcode, make_shortcode: Fixture
) -> None:
    other, idle, off = (make_shortcode(number) for number in ("600001", "600002", "600003"))
    MpesaShortcode.objects.filter(pk=off.pk).update(is_active=False)
    for one, amount in ((shortcode, 1), (other, 2), (off, 3)):
        read(one, amount, hours=1)

    found = figures.float_readings(timezone.now())

    assert {one: [int(r.amount) for r in told] for one, told in found.items()} == {
        shortcode: [1], other: [2],
    }  # fmt: skip
    assert idle not in found
    assert list(figures.float_readings(timezone.now(), other.partner)) == [other]


def test_home_the_charts_and_the_export_agree_on_what_was_paid(
    paid: Fixture, signed_in: Client
) -> None:
    for amount in ("1000.75", "20.50"):
        paid(timezone.now(), amount=Decimal(amount), gross_amount=Decimal(amount))

    exported = signed_in.get("/disbursements/export.csv").getvalue().decode("utf-8-sig")
    told = [int(row["Paid KES"]) for row in csv.DictReader(io.StringIO(exported))]
    (row,) = figures.by_partner(timezone.now())
    (day,) = figures.paid_per_day(timezone.localdate())

    assert sum(told) == row.today_sum == row.week_sum == day.sum == 1020
    assert "1,020.00" in signed_in.get("/").text
    assert "KES 1,021.25 to pay" in signed_in.get("/disbursements/").text
