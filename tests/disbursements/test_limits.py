"""Limits on a sum: empty is none, 0 is zero, equal is within."""

from decimal import Decimal

import pytest
import time_machine

from disbursements import limits
from disbursements.holds import Hold
from disbursements.models import Attempt
from disbursements.states import Status
from partners.models import Partner
from tests.samples import BARAKA


@pytest.mark.lesson(18)
@pytest.mark.parametrize(
    "smallest, largest, amount, hold",
    [
        (None, None, 10, None),
        (None, None, 250_000, None),
        (None, None, Decimal("9.99"), Hold.BELOW_MPESA_MIN),
        (None, None, Decimal("250000.01"), Hold.ABOVE_MPESA_MAX),
        (500, None, 500, None),
        (500, None, Decimal("499.99"), Hold.BELOW_PARTNER_MIN),
        (None, 500, 500, None),
        (None, 500, Decimal("500.01"), Hold.ABOVE_PARTNER_MAX),
        (None, 0, 10, Hold.ABOVE_PARTNER_MAX),
        (0, None, 10, None),
    ],
)
def test_limits(lender, smallest, largest, amount, hold):
    lender.min_amount, lender.max_amount = smallest, largest

    found = limits.reasons(Decimal(amount), partner=lender)

    assert [reason.hold for reason in found] == ([hold] if hold else [])


def test_a_limit_says_what_it_is(lender):
    lender.max_amount = Decimal(500)

    [found] = limits.reasons(Decimal(501), partner=lender)

    assert found.words == "KES 501.00 is above the partner's largest disbursement, KES 500.00."


@pytest.fixture
def today_so_far(sent, settings):
    """KES 10,000 went to Amina today, of 15,000 allowed."""
    settings.MPESA_DAILY_PER_RECIPIENT = 15_000
    attempt = sent(attempt="sending")
    Attempt.objects.update(sent_at="2026-11-23T09:00+03:00")
    return attempt


@pytest.mark.lesson(18)
@pytest.mark.parametrize(
    "now, amount, fits",
    [
        ("2026-11-23T10:00+03:00", 5_000, True),
        ("2026-11-23T10:00+03:00", 5_001, False),
        # 23:59 and 00:00 in Nairobi are 20:59 and 21:00 of the same day in UTC.
        ("2026-11-23T20:59Z", 5_001, False),
        ("2026-11-23T21:00Z", 5_001, True),
    ],
)
def test_a_recipients_day_is_nairobis(today_so_far, manual, now, amount, fits):
    with time_machine.travel(now, tick=False):
        found = limits.daily_reason(manual(amount=amount, gross_amount=amount))

    assert (found is None) is fits


@pytest.mark.parametrize("status, counts", [("sending", True), ("sent", True), ("unknown", True),
                                            ("paid", True), ("failed", False)])  # fmt: skip
def test_only_what_failed_is_not_counted(today_so_far, manual, status, counts):
    Attempt.objects.update(status=status)

    with time_machine.travel("2026-11-23T10:00+03:00"):
        assert bool(limits.daily_reason(manual())) is counts


def test_its_own_attempt_and_other_numbers_are_not_counted(today_so_far, manual):
    with time_machine.travel("2026-11-23T10:00+03:00"):
        assert limits.daily_reason(today_so_far.disbursement) is None
        assert limits.daily_reason(manual(Status.APPROVED, msisdn=BARAKA)) is None


class TestWhatADaysHoldTells:
    @pytest.fixture(autouse=True)
    def _at_ten(self):
        with time_machine.travel("2026-11-23T10:00+03:00"):
            yield

    def test_of_the_same_partner_the_sum(self, today_so_far, manual):
        found = limits.daily_reason(manual(amount=6_000, gross_amount=6_000))

        assert found.words == (
            "With today's KES 10,000 the recipient would get more than M-Pesa's KES 15,000 a day."
        )

    @pytest.mark.parametrize("ours", [0, 1])
    def test_of_another_partner_that_it_is_reached_and_no_sum(self, today_so_far, manual, ours):
        jamii = Partner.objects.create(name="Jamii", code="jamii")
        if ours:
            Attempt.objects.create(
                disbursement=manual(Status.SENT, partner=jamii, amount=500, gross_amount=500),
                shortcode=today_so_far.shortcode, amount_kes=500, msisdn=today_so_far.msisdn,
                status="sent", sent_at="2026-11-23T09:30+03:00",
            )  # fmt: skip

        found = limits.daily_reason(manual(partner=jamii, amount=6_000, gross_amount=6_000))

        assert found.hold == Hold.ABOVE_DAILY_MAX
        assert found.words == (
            "The number's daily limit of KES 15,000 would be passed, with what it got today here."
        )

    def test_what_ones_own_would_pass_alone_is_told_without_the_others(self, today_so_far, manual):
        jamii = Partner.objects.create(name="Jamii", code="jamii")

        found = limits.daily_reason(manual(partner=jamii, amount=16_000, gross_amount=16_000))

        assert found.words.startswith("With today's KES 0 ")
