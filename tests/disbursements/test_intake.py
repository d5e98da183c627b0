"""Every approved loan becomes one disbursement, held with its reason if it can't be paid."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from disbursements import approval, gates, intake, payout
from disbursements.holds import Hold, HoldReason
from disbursements.models import Case, Disbursement
from disbursements.states import Status
from tests.disbursements.at_once import at_once, errors


def test_a_plain_loan_is_approved_when_automatic(take_in):
    assert take_in().status == Status.APPROVED


def test_a_plain_loan_awaits_a_person_when_not_automatic(take_in, lender):
    lender.is_automatic = False
    lender.save()

    assert take_in().status == Status.AWAITING_APPROVAL


REASONS = [
    ({"phone": ""}, [Hold.NO_NUMBER]),
    ({"phone": "  "}, [Hold.NO_NUMBER]),
    ({"phone": "020 123456"}, [Hold.BAD_NUMBER]),
    ({"phone": "0712345678/0733123456"}, [Hold.BAD_NUMBER]),
    ({"is_top_up": True}, [Hold.TOP_UP]),
    ({"has_tranches": True}, [Hold.TRANCHES]),
    ({"is_individual": False}, [Hold.NOT_INDIVIDUAL]),
    ({"currency": "USD"}, [Hold.OTHER_CURRENCY]),
    ({"has_transfer_charges": True}, [Hold.TRANSFER_CHARGES]),
    ({"client_is_active": False}, [Hold.CLIENT_INACTIVE]),
    ({"fees": Decimal(10_000)}, [Hold.NOTHING_TO_PAY, Hold.BELOW_MPESA_MIN]),
    ({"fees": Decimal(11_000)}, [Hold.NOTHING_TO_PAY, Hold.BELOW_MPESA_MIN]),
    ({"fees": Decimal("0.50")}, [Hold.NOT_WHOLE_SHILLINGS]),
    ({"net_told": Decimal(9_000)}, [Hold.NET_DISAGREES]),
    ({"gross": Decimal(300_000)}, [Hold.ABOVE_MPESA_MAX]),
    ({"gross": Decimal(509)}, [Hold.BELOW_MPESA_MIN]),
    ({"is_top_up": True, "phone": ""}, [Hold.NO_NUMBER, Hold.TOP_UP]),
]


@pytest.mark.lesson(8)
@pytest.mark.parametrize("changes, holds", REASONS)
def test_what_cannot_be_paid_is_held_and_says_why(take_in, changes, holds):
    held = take_in(**changes)

    assert (held.status, held.holds) == (Status.HELD, holds)
    assert held.hold_words


@pytest.mark.parametrize("net_told", [None, Decimal(9_500), Decimal("9500.00")])
def test_a_net_sum_that_agrees_or_is_not_told_holds_nothing(take_in, net_told):
    assert take_in(net_told=net_told).status == Status.APPROVED


def test_holds_that_the_caller_found_count(facts, connection):
    found = [HoldReason(Hold.PAYLOAD_DISAGREES, "The hook said KES 9.")]

    taken = intake.take_in(facts(), connection=connection, origin="mifos_poll", by="x", found=found)

    assert taken.disbursement.holds == [Hold.PAYLOAD_DISAGREES]


@pytest.mark.lesson(13)
def test_the_sum_to_pay_is_net_of_fees(take_in):
    taken = take_in(gross=Decimal(10_000), fees=Decimal(750))

    assert (taken.gross_amount, taken.fees, taken.amount) == (10_000, 750, 9_250)


@pytest.mark.lesson(8)
@pytest.mark.parametrize("fees", ["333.335", "333.333333", "0.005", "0.004"])
def test_parts_of_a_cent_lose_no_loan(take_in, facts, fees):
    taken = take_in(fees=Decimal(fees))

    assert taken.gross_amount == taken.amount + taken.fees
    taken.released_holds = taken.holds
    gates.compare_with_approval(taken, facts(fees=Decimal(fees)))


@pytest.mark.lesson(19)
def test_a_number_is_normalised_at_the_door(take_in):
    assert take_in(phone="0712 345 678").msisdn == "254712345678"


def test_the_same_loan_twice_makes_one_disbursement(take_in):
    assert take_in().pk == take_in().pk


@pytest.mark.django_db(transaction=True)
def test_the_same_loan_100_times_at_once_makes_one_disbursement(take_in):
    taken = [row for _ in range(5) for row in at_once(lambda _: take_in(), range(20))]

    assert errors(taken) == []
    assert len({row.pk for row in taken}) == 1
    assert Disbursement.objects.get().transitions.count() == 1


def test_approved_again_after_undo_it_makes_a_second_one(take_in):
    first = take_in()
    payout.cancel_since_approval_is_over(first, words="Undone.", by="Mifos X")

    second = take_in()

    assert (second.approval_number, second.status) == (2, Status.APPROVED)


def test_a_loan_that_a_person_cancelled_is_not_paid_after_all(take_in, baraka):
    first = take_in(is_top_up=True)
    approval.cancel(first, by=baraka, reason="Paid in cash.")

    assert take_in(is_top_up=True).pk == first.pk


@pytest.mark.parametrize("ending", ["cancel", "reject"])
def test_approved_anew_after_a_person_stopped_it_it_is_held(take_in, lender, baraka, ending):
    lender.is_automatic = False
    lender.save()
    getattr(approval, ending)(take_in(), by=baraka, reason="No.")
    lender.is_automatic = True
    lender.save()

    again = take_in(gross=Decimal(12_000))

    assert (again.status, again.holds) == (Status.HELD, [Hold.EARLIER_DISBURSEMENT])


@pytest.mark.lesson(20)
def test_what_changed_since_approval_is_not_paid_by_cancelling_and_waiting(take_in, baraka):
    first = take_in(is_top_up=True)
    Disbursement.objects.filter(pk=first.pk).update(holds=[Hold.CHANGED_SINCE_APPROVAL])
    first.refresh_from_db()
    approval.cancel(first, by=baraka, reason="Another number.")

    again = take_in(phone="0722000222")

    assert (again.status, again.holds) == (Status.HELD, [Hold.EARLIER_DISBURSEMENT])


@pytest.mark.parametrize("closed_at", [None, "2026-11-23T09:00Z"])
def test_once_an_earlier_one_may_have_been_paid_a_new_one_is_held(take_in, closed_at):
    first = take_in()
    payout.cancel_since_approval_is_over(first, words="Undone.", by="Mifos X")
    Case.objects.create(
        kind="contradiction", words="Look it up.", disbursement=first, closed_at=closed_at
    )

    assert take_in().holds == [Hold.MAY_BE_PAID]


def test_a_recorded_loan_that_is_approved_again_opens_a_case_and_pays_nothing(
    take_in, manual, connection
):
    paid = manual(Status.RECORDED, connection=connection, loan_id=3198)

    assert take_in().pk == paid.pk
    assert Case.objects.get().kind == "approved_again_after_payment"


@pytest.mark.lesson(21)
@pytest.mark.parametrize(
    "changes, hours_ago, held",
    [({}, 1, True), ({}, 25, False), ({"gross": Decimal(10_001)}, 1, False),
     ({"phone": "0722000222"}, 1, False)],
)  # fmt: skip
def test_a_look_alike_within_a_day_is_held_for_a_person(take_in, changes, hours_ago, held):
    first = take_in()
    Disbursement.objects.filter(pk=first.pk).update(
        created_at=timezone.now() - timedelta(hours=hours_ago)
    )

    second = take_in(loan_id=3199, **changes)

    assert (second.holds == [Hold.LOOKS_LIKE_DUPLICATE]) is held
    assert (first.reference in second.hold_words) is held


@pytest.mark.lesson(21)
def test_a_person_may_release_a_look_alike(take_in, baraka):
    take_in()
    second = take_in(loan_id=3199)

    approval.release(second, by=baraka, reason="Two loans, both hers.")

    assert (second.status, second.released_holds) == (Status.APPROVED, [Hold.LOOKS_LIKE_DUPLICATE])


def test_an_inactive_partners_loan_is_held(take_in, lender):
    lender.is_active = False
    lender.save()

    assert take_in().status == Status.HELD


@pytest.mark.lesson(8)
def test_what_is_put_right_in_mifos_and_cancelled_is_read_anew_for_a_person(take_in, baraka):
    held = take_in(phone="")
    approval.cancel(held, by=baraka, reason="The number is in Mifos X now.")

    again = take_in(phone="0712 345 678")

    assert (again.pk != held.pk, again.status) == (True, Status.HELD)
    assert again.holds == [Hold.EARLIER_DISBURSEMENT]
    approval.release(again, by=baraka, reason="Checked.")


def test_what_a_checker_stopped_is_not_paid_by_itself_after_a_new_approval(take_in, baraka):
    first = take_in()
    approval.cancel(first, by=baraka, reason="Fraud?")
    Disbursement.objects.filter(pk=first.pk).update(is_approval_over=True)

    assert take_in().holds == [Hold.EARLIER_DISBURSEMENT]
