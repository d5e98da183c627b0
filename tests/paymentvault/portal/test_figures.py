"""The numbers behind home and its charts."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from disbursements.models import Callback, Inquiry
from disbursements.states import Status
from partners.models import MifosConnection, MpesaShortcode, Partner
from paymentvault.portal import figures

Fixture = Any


@pytest.fixture
def paid(manual: Fixture) -> Fixture:
    """A payout with its moves in the history."""
    made = iter(range(10**6))

    def make(at: Any, *, took_s: int = 10, **changes: Any) -> Any:
        receipt = f"TJM7{next(made):06}"
        one = manual(Status.PAID, paid_at=at, mpesa_receipt=receipt, **changes)
        approved = at - timedelta(seconds=took_s)
        one.transitions.create(old="awaiting_approval", new="approved", by="x", at=approved)
        return one

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


def test_the_usual_time_is_the_median_since_the_last_approval(paid: Fixture) -> None:
    now = timezone.now()
    for took in (10, 20, 500):
        paid(now, took_s=took)
    retried = paid(now, took_s=9_000)
    retried.transitions.create(old="failed", new="approved", by="x", at=now - timedelta(seconds=20))
    # A note, which moves nothing.
    retried.transitions.create(old="approved", new="approved", by="x", at=now)

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


@pytest.mark.parametrize("paid, nth", [(0, 1), (5_999, 1), (12_000, 2), (300_000, 50)])
def test_of_many_payouts_only_a_share_is_timed(paid: int, nth: int) -> None:
    assert figures.every_nth(paid) == nth


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


def balance(shortcode: MpesaShortcode, amount: str) -> None:
    value = f"Working Account|KES|1|1|0|0&Utility Account|KES|{amount}|{amount}|0|0"
    result = {
        "ResultCode": 0, "ResultDesc": "ok",
        "ResultParameters": {"ResultParameter": {"Key": "AccountBalance", "Value": value}},
    }  # fmt: skip
    inquiry = Inquiry.objects.create(kind="balance", shortcode=shortcode)
    Callback.objects.create(kind="b", inquiry=inquiry, body=json.dumps({"Result": result}))


def test_float_readings_are_what_m_pesa_delivered(shortcode: MpesaShortcode) -> None:
    balance(shortcode, "5000.00")
    balance(shortcode, "4000.50")
    balance(shortcode, "no sum")
    inquiry = Inquiry.objects.create(kind="balance", shortcode=shortcode)
    Callback.objects.create(kind="b", inquiry=inquiry, body="<html>")

    found = figures.float_readings()

    assert list(found) == [shortcode]
    assert [r.amount for r in found[shortcode]] == [Decimal("5000.00"), Decimal("4000.50")]
