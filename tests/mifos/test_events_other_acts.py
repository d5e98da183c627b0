"""Approvals that are ended, and loans that somebody else disburses, in Mifos X."""

import pytest

from disbursements.models import Case, Disbursement
from disbursements.states import MONEY_MOVED, MOVING, UNPAID, Status
from mifos import events, polling
from tests.mifos.conftest import envelope, flat, headers

pytestmark = pytest.mark.django_db
END = {
    "APPROVALUNDO": lambda mifos, loan_id: None,
    "REJECT": lambda mifos, loan_id: mifos.reject(loan_id),
    "WITHDRAW": lambda mifos, loan_id: mifos.withdraw(loan_id),
}


@pytest.fixture
def tell(heard):
    """A hook about a loan, interpreted."""

    def act(action, loan_id, body=flat):
        event = heard(body(loan_id), sent=headers(action))
        words = events.process(str(event.pk))
        event.refresh_from_db()
        assert event.outcome.endswith(words) and len(words) > 20
        return event

    return act


def outcome(disbursement):
    """What came of it: nothing, cancelled, or a case of a kind."""
    was = disbursement.status
    disbursement.refresh_from_db()
    if disbursement.status == was:
        return Case.objects.filter(disbursement=disbursement).values_list("kind", flat=True).first()
    return disbursement.status


def after_an_end(status):
    if status == Status.RECEIVED:
        return None  # Its intake isn't committed yet: the event waits.
    if status in UNPAID:
        return Status.CANCELLED
    return "ended_after_sending" if status in MOVING | MONEY_MOVED else None


@pytest.mark.parametrize("action", END)
@pytest.mark.parametrize("status", Status)
def test_an_approval_that_ends_stops_what_isn_t_paid(tell, paid, mifos, status, action):
    disbursement = paid(status)
    mifos.undo_approval(disbursement.loan_id)
    END[action](mifos, disbursement.loan_id)

    event = tell(action, disbursement.loan_id)

    assert outcome(disbursement) == after_an_end(status)
    assert event.state == ("waiting" if status == Status.RECEIVED else "done")


def test_what_a_person_stopped_is_new_again_once_its_approval_has_ended(tell, paid, mifos):
    stopped = paid(Status.CANCELLED)
    mifos.undo_approval(stopped.loan_id)
    tell("APPROVALUNDO", stopped.loan_id)
    mifos.approve(stopped.loan_id, faults=["lost_hook"])

    polling.poll(stopped.connection)

    again = Disbursement.objects.exclude(pk=stopped.pk).get(loan_id=stopped.loan_id)
    assert (again.approval_number, again.status) == (2, Status.APPROVED)


def after_a_disbursal(status):
    return None if status in MONEY_MOVED else after_an_end(status)


@pytest.mark.parametrize("status", Status)
def test_a_disbursal_by_others_stops_what_isn_t_paid(tell, paid, mifos, status):
    disbursement = paid(status)
    mifos.disburse_by_staff(disbursement.loan_id)

    tell("DISBURSE", disbursement.loan_id)

    assert outcome(disbursement) == after_a_disbursal(status)


@pytest.mark.parametrize("status", Status)
def test_a_disbursal_that_is_undone_after_payment_opens_a_case(tell, paid, mifos, status):
    disbursement = paid(status)
    mifos.disburse_by_staff(disbursement.loan_id)
    mifos.undo_disbursal(disbursement.loan_id)

    tell("DISBURSALUNDO", disbursement.loan_id)

    expected = "disbursal_undone" if status in MONEY_MOVED else None
    assert outcome(disbursement) == expected


@pytest.mark.parametrize("action", [*END, "DISBURSE"])
def test_an_end_that_mifos_doesn_t_show_stops_nothing(tell, paid, action):
    disbursement = paid(Status.APPROVED)

    event = tell(action, disbursement.loan_id)
    assert event.state == "waiting"
    for _ in events.LOOK_AGAIN_AFTER:
        events.process(str(event.pk))

    event.refresh_from_db()
    assert (event.state, outcome(disbursement)) == ("ignored", None)
    assert event.outcome == f"{action}, but the loan is approved in Mifos X now."


def test_an_end_told_before_its_commit_is_looked_at_again(tell, paid, mifos):
    disbursement = paid(Status.APPROVED)
    event = tell("APPROVALUNDO", disbursement.loan_id)

    mifos.undo_approval(disbursement.loan_id)
    events.process(str(event.pk))

    assert outcome(disbursement) == Status.CANCELLED


@pytest.mark.parametrize("action", [*END, "DISBURSE", "DISBURSALUNDO"])
@pytest.mark.parametrize("body", [flat, envelope])
def test_an_act_on_a_loan_that_isn_t_ours_is_ignored(tell, mifos, action, body):
    event = tell(action, 3001, body)

    assert (event.state, event.loan_id) == ("ignored", 3001)
    assert not mifos.requests


@pytest.mark.parametrize("action", [*END, "DISBURSE"])
def test_an_act_that_failed_is_ignored(tell, paid, action):
    disbursement = paid(Status.APPROVED)

    event = tell(action, disbursement.loan_id, body=lambda _: {"entityName": "LOAN",
                                                               "actionName": action})  # fmt: skip

    assert event.state == "ignored" and outcome(disbursement) is None


def test_an_end_is_told_in_words_that_say_whether_money_moved(tell, paid, mifos):
    disbursement = paid(Status.SENT)
    mifos.undo_approval(disbursement.loan_id)

    tell("APPROVALUNDO", disbursement.loan_id)

    words = Case.objects.get().words
    assert "Money has moved or may have" in words and "settle it" in words
    assert Disbursement.objects.count() == 1


def test_with_mifos_away_an_end_waits_and_then_stops(heard, paid, mifos, connection):
    disbursement = paid(Status.APPROVED)
    mifos.undo_approval(disbursement.loan_id)
    mifos.down = True
    event = heard(flat(disbursement.loan_id), sent=headers("APPROVALUNDO"))

    events.process(str(event.pk))
    event.refresh_from_db()
    assert event.state == "waiting"

    mifos.down = False
    type(connection).objects.update(resting_until=None)
    events.process(str(event.pk))
    assert outcome(disbursement) == Status.CANCELLED
