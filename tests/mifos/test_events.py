"""What a delivery means: evidence of an approval is re-read and taken in, all else says why not."""

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import Disbursement
from disbursements.states import Status
from mifos import events
from partners.models import MifosConnection
from tests.mifos.conftest import APPROVED, envelope, flat, headers

pytestmark = pytest.mark.django_db
SHAPES = pytest.mark.parametrize("body", [flat, envelope])


def process(event):
    words = events.process(str(event.pk))
    event.refresh_from_db()
    return words


@SHAPES
def test_evidence_of_an_approval_makes_a_disbursement(heard, approved, body):
    loan_id = approved(fees=500)
    event = heard(body(loan_id))

    process(event)

    made = Disbursement.objects.get(loan_id=loan_id)
    assert (event.state, event.disbursement, made.origin) == ("done", made, "mifos_webhook")
    assert (made.status, made.amount, made.msisdn) == (Status.APPROVED, 9_500, "254712345678")


@SHAPES
@pytest.mark.parametrize(
    "sent",
    [{}, {"X-Mifos-Entity": "LOAN", "X-Mifos-Action": "APPROVE"},
     {"X-Mifos-Platform-TenantId": "default"}],
)  # fmt: skip
def test_with_older_or_missing_headers_the_body_is_evidence_enough(heard, approved, body, sent):
    process(heard(body(approved()), sent=sent))

    assert Disbursement.objects.exists()


def unlike(**changes):
    return lambda loan_id: envelope(loan_id) | changes


def answered(**changes):
    return lambda loan_id: envelope(loan_id, response=flat(loan_id) | changes)


NO_EVIDENCE = {
    "failed or parked since 1.9": (lambda i: {"entityName": "LOAN", "actionName": "APPROVE"}, {}),
    "failed before 1.9": (unlike(status="Exception"), {}),
    "parked in the flat form": (lambda i: {"commandId": 4711, "resourceId": i}, {}),
    "no changes": (answered(changes={}), {}),
    "changes that are text": (answered(changes="{status={id=200}}"), {}),
    "another status": (answered(changes={"status": {"id": 100}}), {}),
    "a status in words": (answered(changes={"status": {"id": "Approved"}}), {}),
    "no loan": (lambda i: {"changes": APPROVED}, {}),
    "a client's approval": (flat, {"entity": "CLIENT"}),
    "a group's loan": (envelope, {"entity": "GLIMLOAN"}),
    "a repayment": (envelope, {"action": "REPAYMENT"}),
    "another tenant's": (envelope, {"tenant": "umoja"}),
    "an empty object": (lambda i: {}, {}),
}


@pytest.mark.parametrize("body, sent", NO_EVIDENCE.values(), ids=list(NO_EVIDENCE))
def test_without_evidence_it_is_ignored_and_says_why(heard, approved, mifos, body, sent):
    loan_id = approved()
    event = heard(body(loan_id), sent=headers(**sent))

    words = process(event)

    assert (event.state, event.outcome) == ("ignored", words)
    assert len(words) > 20 and not mifos.requests and not Disbursement.objects.exists()


@pytest.mark.lesson(9)
def test_a_hook_of_another_tenant_says_whose_it_is(heard, approved):
    words = process(heard(flat(approved()), sent=headers(tenant="umoja")))

    assert words == "Its tenant header says 'umoja'; this connection is for 'default'."


def test_a_connection_that_is_off_leaves_it_to_polling(heard, approved, connection):
    MifosConnection.objects.update(is_on=False)

    assert "polling finds the loan" in process(heard(flat(approved())))
    assert not Disbursement.objects.exists()


def test_nothing_is_believed_but_the_loan_itself(heard, approved):
    event = heard(flat(approved(), changes=APPROVED | {"principal": 99_999, "mobileNo": "0799"}))

    process(event)

    made = Disbursement.objects.get()
    assert (made.gross_amount, made.msisdn) == (10_000, "254712345678")


def test_a_phantom_approval_is_looked_at_again_and_then_ignored(heard, mifos):
    event = heard(envelope(mifos.add_loan(mifos.add_client())))

    for _ in range(len(events.LOOK_AGAIN_AFTER)):
        assert "not approved yet" in process(event)
        assert event.state == "waiting" and event.due_at > timezone.now()
    process(event)

    assert (event.state, event.tries) == ("ignored", 6)
    assert event.outcome == "The loan is submitted and pending approval in Mifos X, not approved."


def test_a_loan_that_nobody_knows_is_looked_for_a_while(heard, mifos):
    event = heard(flat(404_404))

    for _ in range(6):
        process(event)

    assert event.outcome == "Mifos X shows this connection no such loan."


@pytest.mark.parametrize("version", ["1.3", "1.8"])
def test_a_hook_before_the_commit_is_looked_at_again_and_taken_in(become, mifos, heard, version):
    become(version)
    loan_id = mifos.add_loan(mifos.add_client())
    event = heard(flat(loan_id))

    process(event)
    mifos.approve(loan_id)
    process(event)

    assert (event.state, event.disbursement.loan_id) == ("done", loan_id)


def test_an_undo_that_overtakes_its_approval_makes_nothing(heard, mifos, approved):
    loan_id = approved()
    mifos.undo_approval(loan_id)

    undo = process(heard(flat(loan_id), sent=headers("APPROVALUNDO")))
    approval = process(heard(flat(loan_id)))

    assert undo == "No disbursement of ours is for this loan."
    assert "not approved yet" in approval and not Disbursement.objects.exists()


def test_a_later_approval_makes_a_disbursement_of_its_own(heard, mifos, approved):
    loan_id = approved()
    process(heard(flat(loan_id)))
    mifos.undo_approval(loan_id)
    process(heard(flat(loan_id), sent=headers("APPROVALUNDO")))
    mifos.approve(loan_id, amount=8_000)

    process(heard(flat(loan_id)))

    rows = Disbursement.objects.order_by("approval_number").values_list("status", "gross_amount")
    assert list(rows) == [(Status.CANCELLED, 10_000), (Status.APPROVED, 8_000)]


def test_a_repeated_hook_changes_nothing(heard, mifos, approved):
    loan_id = approved()
    process(heard(flat(loan_id)))

    words = process(again := heard(flat(loan_id)))

    assert "already" in words and again.disbursement
    assert Disbursement.objects.count() == 1


def test_a_loan_read_since_the_hook_came_isn_t_read_again(heard, mifos, approved):
    loan_id = approved()
    late = heard(flat(loan_id))
    process(heard(flat(loan_id)))
    read = len(mifos.requests)

    assert "was read from Mifos X after this arrived" in process(late)
    assert len(mifos.requests) == read


@pytest.mark.lesson(8)
@pytest.mark.parametrize("days, status", [(1, Status.HELD), (0, Status.APPROVED)])
def test_what_was_approved_before_switch_on_is_held(heard, mifos, days, status):
    loan_id = mifos.add_loan(mifos.add_client())
    mifos.approve(loan_id, on=mifos.today() - timedelta(days=days))

    process(heard(flat(loan_id)))

    assert Disbursement.objects.get().status == status


def test_what_was_heard_before_switch_on_is_held(heard, approved, connection):
    event = heard(flat(approved()))
    MifosConnection.objects.update(switched_on_at=timezone.now())

    process(event)

    assert Disbursement.objects.get().holds == ["before_switch_on"]


def test_what_mifos_can_t_date_is_held(heard, approved, mifos):
    loan_id = approved()
    mifos.loans[loan_id].approved_on = None

    process(heard(flat(loan_id)))

    assert Disbursement.objects.get().holds == ["before_switch_on"]
