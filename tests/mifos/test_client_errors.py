"""How sure we are after a call that failed, and Mifos X's own code for what it refused."""

from datetime import timedelta
from decimal import Decimal

import pytest

from mifos import client as client_module
from mifos import port
from paymentvault.http import NotSent, OutcomeUnknown, Refused

pytestmark = pytest.mark.django_db


def posts(mifos):
    return [request for request in mifos.requests if request.method == "POST"]


@pytest.mark.parametrize("fault", ["reset", "hang_up", "error_500", "html_502",
                                   "reset_after_applying", "error_500_after_applying",
                                   "empty_200_not_applied"])  # fmt: skip
@pytest.mark.lesson(1)
def test_a_post_is_never_repeated_by_itself(mifos, approved, disburse, fault):
    loan_id = approved()
    mifos.plan(fault, command="disburse")

    with pytest.raises(OutcomeUnknown):
        disburse(loan_id)

    assert len(posts(mifos)) == 1


def test_a_command_whose_answer_can_t_be_read_may_have_been_done(
    mifos, mifos_client, approved, disburse, monkeypatch
):
    monkeypatch.setattr(client_module.answers, "command_result", client_module.answers.number)

    with pytest.raises(OutcomeUnknown):
        disburse(approved())


def test_a_server_that_isn_t_there_is_not_sent(connection):
    connection.host_url = "http://127.0.0.1:9"

    with pytest.raises(NotSent):
        port.client_of(connection).get_offices()


def before(mifos, days):
    return mifos.today() + timedelta(days=days)


LOAN = "error.msg.loan.disbur"
REFUSALS = [
    (lambda m, i: {"on": before(m, 1)}, f"{LOAN}sal.cannot.be.a.future.date", 403),
    (lambda m, i: {"on": before(m, -1)}, f"{LOAN}sal.cannot.be.before.approval.date", 403),
    (lambda m, i: {"gross": Decimal(10_001)},
     f"{LOAN}se.amount.must.be.less.than.approved.amount", 403),
    (lambda m, i: {"payment_type_id": 99}, "error.msg.payment.type.invalid", 404),
    (lambda m, i: m.non_working_days.add(m.today()) or {},
     "error.msg.loan.application.disbursement.date.on.non.working.day", 403),
    (lambda m, i: setattr(m.clients[m.loans[i].client_id], "active", False) or {},
     "error.msg.client.not.active.exception", 403),
    (lambda m, i: setattr(m.loans[i], "first_repayment_on", before(m, -1)) or {},
     f"{LOAN}sal.cannot.be.after.expected.first.repayment.date", 403),
    (lambda m, i: m.undo_approval(i) or {},
     f"{LOAN}sal.account.is.not.approve.not.disbursed.state", 400),
    (lambda m, i: m.disburse_by_staff(i) or {},
     f"{LOAN}sal.account.is.not.approve.not.disbursed.state", 400),
    (lambda m, i: m.plan("conflict_409") or {},
     "error.msg.platform.service.optimistic lock.conflict", 409),
    (lambda m, i: m.plan("locked_409") or {}, "error.msg.loan.locked", 409),
    (lambda m, i: m.plan("in_flight_425") or {}, "", 425),
    (lambda m, i: m.add_user("vault", "mifos-password", permissions=["READ_LOAN"]) or {},
     "error.msg.not.authorized", 403),
    (lambda m, i: m.add_user("vault", "changed") or {}, "error.msg.not.authenticated", 401),
    (lambda m, i: m.add_user("vault", "mifos-password", password_expired=True) or {},
     "error.msg.password.outdated", 400),
    (lambda m, i: m.loans.pop(i) and {}, "error.msg.loan.id.invalid", 404),
]  # fmt: skip


@pytest.mark.parametrize("spoil, code, status", REFUSALS, ids=[row[1] or "425" for row in REFUSALS])
def test_mifos_s_own_code_says_what_was_refused(mifos, approved, disburse, spoil, code, status):
    loan_id = approved()
    changes = spoil(mifos, loan_id)

    with pytest.raises(Refused) as refusal:
        disburse(loan_id, **changes)

    assert (refusal.value.code, refusal.value.status) == (code, status)


def test_an_unknown_tenant_is_told_apart(connection, mifos):
    connection.tenant_id = "nobody"

    with pytest.raises(Refused) as refusal:
        port.client_of(connection).get_offices()

    assert refusal.value.code == "bad-tenant"


def test_a_second_disbursal_under_one_external_id_is_refused(approved, disburse):
    disburse(approved(), external_id="pv-1")

    with pytest.raises(Refused) as refusal:
        disburse(approved(), external_id="pv-1", idempotency_key="pv-2")

    assert refusal.value.code.endswith("externalId.value.must.be.unique")
