"""What is told before automatic disbursement is switched on is what intake then does."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from disbursements import intake
from disbursements.holds import Hold, HoldReason
from disbursements.models import Case, Disbursement, Transition
from disbursements.outlook import Outlook
from disbursements.states import Status
from partners.models import LoanProduct, MifosConnection, Partner
from paymentvault.models import AuditEvent

LOANS = {
    "all well": {},
    "no number": {"phone": ""},
    "a bad number": {"phone": "0712/0733"},
    "a top-up": {"is_top_up": True},
    "tranches": {"has_tranches": True},
    "a group's": {"is_individual": False},
    "in dollars": {"currency": "USD"},
    "charges from savings": {"has_transfer_charges": True},
    "an inactive client": {"client_is_active": False},
    "nothing left": {"fees": Decimal(10_000)},
    "cents": {"gross": Decimal("10000.50")},
    "another net": {"net_told": Decimal(9_000)},
    "below M-Pesa's": {"gross": Decimal(505)},
    "above M-Pesa's": {"gross": Decimal(300_500)},
    "below the partner's": {"gross": Decimal(1_000)},
    "above the partner's": {"gross": Decimal(90_000)},
    "below the product's": {"gross": Decimal(3_000)},
    "above the product's": {"gross": Decimal(50_000)},
    "a product that is off": {"product_id": 2, "product_name": "Elimu Loan"},
    "an unknown product": {"product_id": 9},
    "no product": {"product_id": None},
    "several reasons": {"phone": "", "is_top_up": True, "currency": "USD"},
}


@pytest.fixture(params=["automatic", "by hand", "inactive", "no products"])
def rules(request, connection):
    """A partner's rules: its limits, its products, and its switch."""
    Partner.objects.update(
        min_amount=700, max_amount=80_000, is_automatic=request.param != "by hand",
        is_active=request.param != "inactive",
    )  # fmt: skip
    if request.param != "no products":
        LoanProduct.objects.create(
            connection=connection, product_id=1, name="Biashara Loan", is_automatic=True,
            min_amount=5_000, max_amount=40_000,
        )  # fmt: skip
        LoanProduct.objects.create(connection=connection, product_id=2, name="Elimu Loan")
    return MifosConnection.objects.select_related("partner").get()


def become(facts, connection, found=()):
    taken = intake.take_in(facts, connection=connection, by="polling", found=found,
                           origin=Disbursement.Origin.MIFOS_POLL)  # fmt: skip
    row = taken.disbursement
    return Status(row.status), row.hold_words or row.transitions.last().note


@pytest.mark.parametrize("changes", LOANS.values(), ids=list(LOANS))
def test_what_is_told_is_what_becomes_of_a_loan(rules, facts, changes):
    loan = facts(**{"product_id": 1, "product_name": "Biashara Loan"} | changes)

    told = Outlook(rules).of(loan)

    status, words = become(loan, rules)
    assert told.status == status
    assert status == Status.APPROVED or told.words == words


def test_the_table_has_every_end(connection, facts):
    LoanProduct.objects.create(connection=connection, product_id=1, name="x", is_automatic=True)
    loans = [facts(**{"product_id": 1} | changes) for changes in LOANS.values()]

    ends = {Outlook(connection).of(loan).status for loan in loans}

    assert ends == {Status.APPROVED, Status.AWAITING_APPROVAL, Status.HELD}


def test_what_the_caller_found_holds_it(connection, facts):
    found = [HoldReason(Hold.BEFORE_SWITCH_ON, "Paid another way?")]

    told = Outlook(connection).of(facts(), found=found)

    assert (told.status, told.words) == become(facts(), connection, found)


def test_the_second_of_two_that_look_alike_is_held_in_both(connection, facts):
    outlook, loans = Outlook(connection), [facts(), facts(loan_id=3199)]

    told = [outlook.of(loan).status for loan in loans]

    assert told == [become(loan, connection)[0] for loan in loans]
    assert told == [Status.APPROVED, Status.HELD]


def test_one_that_looks_like_a_payout_of_today_is_held_in_both(connection, facts, take_in):
    take_in()

    told = Outlook(connection).of(facts(loan_id=3199))

    assert (told.status, told.words) == become(facts(loan_id=3199), connection)


def test_what_a_person_stopped_before_is_held_in_both(connection, facts, take_in):
    earlier = take_in()
    Disbursement.objects.update(status=Status.APPROVED)
    earlier.refresh_from_db()
    earlier.move(Status.CANCELLED, by="amina", is_approval_over=True, is_stopped_by_person=True)

    told = Outlook(connection).of(facts())

    assert told.status == Status.HELD
    assert (told.status, told.words) == become(facts(), connection)


def test_what_is_known_already_becomes_nothing_new(connection, facts, take_in):
    known = take_in()

    told = Outlook(connection).of(facts())

    assert (told.status, known.reference in told.words) == (None, True)


def test_looking_writes_nothing(rules, facts, django_assert_num_queries):
    before = [model.objects.count() for model in (Disbursement, Transition, Case, AuditEvent)]

    for changes in LOANS.values():
        Outlook(rules).of(facts(**changes, read_at=timezone.now() - timedelta(seconds=1)))

    after = [model.objects.count() for model in (Disbursement, Transition, Case, AuditEvent)]
    assert before == after
