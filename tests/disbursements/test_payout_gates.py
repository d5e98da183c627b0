"""What stops a payout before it leaves: for now, for a person, or for good."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from disbursements import loans, tasks
from disbursements.holds import Hold
from disbursements.models import Attempt, Case, Disbursement
from disbursements.states import Status
from paymentvault.http import OutcomeUnknown
from paymentvault.models import KillSwitch
from tests.samples import AMINA, BARAKA


class Loans:
    """The loan system as a test has it, at the port."""

    def __init__(self):
        self.now, self.meanwhile = None, lambda: None

    def read(self, disbursement):
        self.meanwhile()
        if isinstance(self.now, Exception):
            raise self.now
        return self.now

    def paid(self, disbursement): ...


@pytest.fixture
def system(monkeypatch):
    made = Loans()
    monkeypatch.setattr(loans, "_systems", [made])
    return made


@pytest.fixture
def approved(take_in, facts, system, shortcode, wire) -> Disbursement:
    system.now = facts()
    return take_in()


def send(disbursement):
    words = tasks.send_payout(disbursement.pk)
    disbursement.refresh_from_db()
    return words


def stop_everything(shortcode):
    KillSwitch.objects.create(stopped_by="amina", reason="A drill.")


def pause(shortcode):
    shortcode.pause, shortcode.paused_at = "person", timezone.now()
    shortcode.pause_reason = "By hand."
    shortcode.save()


def switch_off_partner(shortcode):
    shortcode.partner.is_active = False
    shortcode.partner.save()


def switch_off_shortcode_after_a_try(shortcode):
    Disbursement.objects.get().attempts.create(
        shortcode=shortcode, amount_kes=9_500, msisdn=AMINA, status="not_sent"
    )
    type(shortcode).objects.update(is_active=False)


def too_little_float(shortcode):
    shortcode.utility_balance, shortcode.balance_at = 9_499, timezone.now()
    shortcode.save()


GATES = [stop_everything, pause, switch_off_partner, switch_off_shortcode_after_a_try,
         too_little_float]  # fmt: skip


@pytest.mark.parametrize("close", GATES)
def test_a_closed_gate_lets_nothing_go_and_changes_nothing(approved, shortcode, wire, close):
    close(shortcode)

    words = send(approved)

    assert (wire.posts, approved.status) == ([], Status.APPROVED)
    assert "waits" in words
    assert approved.due_at > timezone.now()


@pytest.mark.parametrize("close", [stop_everything, pause, switch_off_partner])
def test_a_gate_that_closes_while_mifos_is_slow_counts_too(
    approved, shortcode, system, wire, close
):
    system.meanwhile = lambda: close(shortcode)

    send(approved)

    assert (wire.posts, approved.status) == ([], Status.APPROVED)


@pytest.mark.parametrize(
    "balance, read_minutes_ago, goes",
    [(9_500, 0, True), (Decimal("9499.99"), 0, False), (0, 0, False), (0, 16, True),
     (None, 0, True)],
)  # fmt: skip
def test_the_float_counts_while_it_is_fresh(
    approved, shortcode, wire, balance, read_minutes_ago, goes
):
    shortcode.utility_balance = balance
    shortcode.balance_at = timezone.now() - timedelta(minutes=read_minutes_ago)
    shortcode.save()

    send(approved)

    assert bool(wire.posts) is goes


def test_a_partner_without_a_shortcode_has_it_wait_and_say_so(approved, shortcode, wire):
    type(shortcode).objects.update(is_default=False)

    send(approved)

    assert (approved.status, wire.posts) == (Status.APPROVED, [])
    assert "no active default shortcode" in approved.waits_for
    assert wire.posts == []


@pytest.mark.lesson(20)
@pytest.mark.parametrize(
    "change, said",
    [
        ({"phone": BARAKA}, f"number was {AMINA}, is {BARAKA}"),
        ({"phone": ""}, "number was"),
        ({"gross": Decimal(10_001)}, "sum was 9500.00, is 9501"),
        ({"fees": Decimal(0)}, "sum was"),
        ({"client_id": 3}, "client was 2, is 3"),
        ({"approved_on": None}, "approval date was"),
    ],
)
def test_what_changed_since_approval_holds_it(approved, system, facts, wire, change, said):
    system.now = facts(**change)

    send(approved)

    assert (approved.status, approved.holds) == (Status.HELD, [Hold.CHANGED_SINCE_APPROVAL])
    assert said in approved.hold_words
    assert wire.posts == []


@pytest.mark.lesson(19)
@pytest.mark.parametrize("phone", ["0712345678", "+254 712 345 678", "712-345-678"])
def test_another_way_to_write_the_same_number_holds_nothing(approved, system, facts, phone):
    system.now = facts(phone=phone)

    send(approved)

    assert approved.status == Status.SENT


def test_an_approval_that_is_over_cancels(approved, system, facts, wire):
    system.now = facts(is_approved=False, status_words="withdrawn by client")

    send(approved)

    assert (approved.status, approved.is_approval_over) == (Status.CANCELLED, True)
    assert wire.posts == []


def test_a_loan_that_cannot_be_re_read_waits(approved, system, wire):
    system.now = OutcomeUnknown("it didn't answer in time")

    words = send(approved)

    assert (wire.posts, approved.status) == ([], Status.APPROVED)
    assert "can't be re-read" in words


def test_without_its_loan_system_it_waits(approved, monkeypatch, wire):
    monkeypatch.setattr(loans, "_systems", [])

    send(approved)

    assert (approved.status, wire.posts) == (Status.APPROVED, [])
    assert "not set up" in approved.waits_for


@pytest.mark.lesson(18)
def test_a_limit_that_was_lowered_since_approval_holds_it(approved, lender, wire):
    lender.max_amount = 9_499
    lender.save()

    send(approved)

    assert (approved.holds, wire.posts) == ([Hold.ABOVE_PARTNER_MAX], [])


def test_a_limit_that_a_person_released_does_not_hold_again(approved, lender, wire):
    lender.max_amount = 9_499
    lender.save()
    Disbursement.objects.update(released_holds=[Hold.ABOVE_PARTNER_MAX])

    send(approved)

    assert approved.status == Status.SENT


@pytest.mark.parametrize("kind", ["contradiction", "callback_disagrees", "status_disagrees"])
def test_while_money_is_in_question_nothing_more_goes_out(approved, wire, kind):
    Case.objects.create(kind=kind, words="Look it up.", disbursement=approved)

    send(approved)

    assert (approved.holds, wire.posts) == ([Hold.MAY_BE_PAID], [])


def test_net_of_fees_is_paid_and_gross_is_kept(approved, wire):
    send(approved)

    assert (wire.posts[0]["Amount"], approved.gross_amount) == ("9500", 10_000)
    assert Attempt.objects.get().amount_kes == 9_500


def test_a_gate_that_opens_lets_it_go(approved, shortcode, wire):
    stop_everything(shortcode)
    send(approved)

    KillSwitch.objects.all().delete()
    Disbursement.objects.update(due_at=timezone.now())
    tasks.send_payout(approved.pk)

    assert len(wire.posts) == 1
