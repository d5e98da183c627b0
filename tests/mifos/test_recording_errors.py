"""What Mifos X refuses: by its own code, when it is tried again, and whether a person is told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import Case
from disbursements.states import Status
from mifos.recording import MOST_IN_FLIGHT, SCHEDULE
from paymentvault.sandbox.mifos_errors import ApiError
from paymentvault.sandbox.server import Answer
from tests.mifos.conftest import disbursals

pytestmark = pytest.mark.django_db
LOAN = "error.msg.loan"
SOON, TOMORROW = timedelta(seconds=10), timedelta(hours=6)
PERSON, NOBODY = True, False

# code, HTTP status, next try, for a person
TABLE = [
    (f"{LOAN}.disbursal.account.is.not.approve.not.disbursed.state", 400, SOON, NOBODY),
    ("validation.msg.loan.transaction.externalId.value.must.be.unique", 400, SOON, NOBODY),
    (f"{LOAN}.disbursal.cannot.be.a.future.date", 403, SOON, NOBODY),
    (f"{LOAN}.disbursal.cannot.be.before.approval.date", 403, SOON, PERSON),
    (f"{LOAN}.disbursal.cannot.be.after.expected.first.repayment.date", 403, SOON, PERSON),
    (f"{LOAN}.disburse.amount.must.be.less.than.approved.amount", 403, SOON, PERSON),
    (f"{LOAN}.application.disbursement.date.on.non.working.day", 403, TOMORROW, NOBODY),
    (f"{LOAN}.application.disbursement.date.on.holiday", 403, TOMORROW, NOBODY),
    ("error.msg.actual.disbursement.date.does.not.match.with.expected.disbursal.date", 403, SOON,
     PERSON),
    ("error.msg.client.not.active.exception", 403, SOON, PERSON),
    ("error.msg.group.not.active.exception", 403, SOON, PERSON),
    (f"{LOAN}.to.be.closed.with.topup.is.not.active", 403, SOON, PERSON),
    ("error.msg.payment.type.invalid", 404, SOON, PERSON),
    (f"{LOAN}.id.invalid", 404, SOON, NOBODY),
    ("error.msg.parameter.unsupported", 400, SOON, PERSON),
    ("validation.msg.missing.dateFormat.parameter", 400, SOON, PERSON),
    ("validation.msg.invalid.dateFormat.format", 400, SOON, PERSON),
    ("error.msg.not.authorized", 403, SOON, PERSON),
    ("error.msg.not.authenticated", 401, SOON, PERSON),
    ("error.msg.password.outdated", 400, SOON, PERSON),
    ("error.msg.query.parameter.value.unsupported", 400, SOON, PERSON),
    ("error.msg.platform.service.optimistic lock.conflict", 409, SOON, NOBODY),
    (f"{LOAN}.locked", 409, SOON, NOBODY),
    ("error.msg.invalid.instance.type", 405, SOON, NOBODY),
    ("error.msg.something.nobody.has.seen", 403, SOON, PERSON),
]  # fmt: skip


@pytest.fixture
def refuses(monkeypatch):
    """Make the pretend Mifos X refuse disbursing with a code of the test's choice."""

    def act(code, status):
        words = f"It says {code}."
        detail = {"userMessageGlobalisationCode": code, "defaultUserMessage": words}

        def refuse(*args, **kwargs):
            raise ApiError(Answer(status, {"httpStatusCode": str(status), "errors": [detail]}))

        monkeypatch.setattr("paymentvault.sandbox.mifos_commands.decide", refuse)

    return act


@pytest.mark.parametrize("code, status, again, for_person", TABLE, ids=[row[0] for row in TABLE])
def test_a_refusal_is_classed_by_its_code(paid, record, refuses, code, status, again, for_person):
    disbursement = paid()
    refuses(code, status)

    record(disbursement)

    assert (disbursement.status, disbursement.recording_error_code) == (Status.PAID, code)
    assert disbursement.recording_error == f"It says {code}."
    assert disbursement.due_at - timezone.now() == pytest.approx(again, abs=timedelta(seconds=5))
    assert Case.objects.exists() == for_person


def test_a_refusal_is_kept_under_its_key_so_the_next_try_has_another(paid, record, mifos):
    disbursement = paid()
    mifos.non_working_days.add(mifos.today())
    record(disbursement)
    mifos.non_working_days.clear()

    record(disbursement)

    keys = [request.headers["idempotency-key"][-2:] for request in disbursals(mifos)]
    assert (keys, disbursement.status) == (["-1", "-2"], Status.RECORDED)


@pytest.mark.parametrize("fault", ["in_flight_425", "hang_up", "html_502"])
def test_what_may_still_be_under_way_keeps_its_key(paid, record, mifos, fault):
    disbursement = paid()
    mifos.plan(fault, command="disburse")

    record(disbursement)

    assert disbursement.recording_key_number == 1


def test_a_key_that_is_in_flight_for_ever_is_given_up(paid, record, mifos):
    disbursement = paid()
    mifos.plan(*["in_flight_425"] * (MOST_IN_FLIGHT + 1), command="disburse")

    for _ in range(MOST_IN_FLIGHT + 2):
        record(disbursement)

    assert (disbursement.status, disbursement.recording_key_number) == (Status.RECORDED, 2)


@pytest.mark.parametrize("number", range(8))
def test_it_is_tried_again_on_a_schedule_that_never_ends(paid, record, mifos, number):
    disbursement = paid(recording_tries=number)
    mifos.down = True

    record(disbursement)

    wait = SCHEDULE[min(number, len(SCHEDULE) - 1)]
    assert disbursement.due_at - timezone.now() == pytest.approx(wait, abs=timedelta(seconds=5))
    assert disbursement.recording_tries == number + 1
    assert "broke off" in disbursement.recording_error


def test_a_loan_that_can_t_be_read_is_no_refusal_of_a_command(paid, record, mifos):
    disbursement = paid()
    mifos.add_user("vault", "mifos-password", permissions=["DISBURSE_LOAN"])

    record(disbursement)

    assert (disbursement.recording_key_number, disbursement.recording_error_code) == (
        1, "error.msg.not.authorized",
    )  # fmt: skip
    assert Case.objects.filter(kind="not_recorded").exists() and not disbursals(mifos)


def test_without_a_payment_type_nothing_is_sent(paid, record, mifos, connection):
    disbursement = paid()
    type(connection).objects.update(payment_type_id=None)

    record(disbursement)

    assert "no payment type" in disbursement.recording_error and not disbursals(mifos)


def test_a_case_is_opened_once_and_closed_when_it_is_recorded(paid, record, mifos, refuses):
    disbursement = paid()
    client = mifos.clients[mifos.loans[disbursement.loan_id].client_id]
    client.active = False
    record(disbursement)
    record(disbursement)
    assert Case.objects.count() == 1

    client.active = True
    record(disbursement)

    assert Case.objects.get().closing_note == "Recorded."
