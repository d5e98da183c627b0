"""The table of moves, and what PostgreSQL itself forbids."""

import itertools
from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from disbursements.models import Attempt, Disbursement, Transition
from disbursements.states import FINAL, NEXT, TONE, Status, TransitionRefused
from tests.samples import BARAKA

NEEDED = {
    Status.HELD: {"hold_words": "For a test.", "holds": ["top_up"]},
    Status.PAID: {"mpesa_receipt": "TJM7XXXXXX", "paid_at": "2026-11-23T09:00:00Z"},
}


def sql(statement: str, *parameters: object) -> None:
    """As a person with psql would, deferred rules included."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize("was, to", list(itertools.product(Status, Status)))
def test_only_the_moves_in_the_table_are_allowed(manual, was, to):
    row = manual(was)
    changes = {} if was in (Status.PAID, Status.RECORDED) else NEEDED.get(to, {})

    if to in NEXT[was]:
        row.move(to, by="test", **changes)
        assert row.status == to
    else:
        with pytest.raises(TransitionRefused):
            row.move(to, by="test", **changes)


@pytest.mark.lesson(7)
@pytest.mark.parametrize(
    "was, to", [(a, b) for a, b in itertools.product(Status, Status) if b not in NEXT[a] and a != b]
)
def test_the_database_refuses_every_other_move(manual, was, to):
    row = manual(was)

    with pytest.raises(DatabaseError, match="cannot become|paid_has|held_says"):
        sql("UPDATE disbursements_disbursement SET status = %s WHERE id = %s", to, row.pk)


def test_final_states_are_those_that_nothing_follows():
    assert {Status.RECORDED, Status.REJECTED, Status.CANCELLED} == FINAL


def test_every_state_has_a_tone():
    assert set(TONE) == set(Status)


def test_a_move_writes_its_line_of_history(manual):
    row = manual(Status.AWAITING_APPROVAL)

    row.move(Status.APPROVED, by="baraka", note="Known borrower.")

    line = row.transitions.get()
    assert (line.old, line.new, line.by, line.note) == (
        "awaiting_approval", "approved", "baraka", "Known borrower.",
    )  # fmt: skip


@pytest.mark.lesson(7)
def test_a_change_of_status_without_a_line_of_history_is_refused_by_the_database(manual):
    row = manual(Status.AWAITING_APPROVAL)

    with pytest.raises(DatabaseError, match="without a line of history"):
        sql("UPDATE disbursements_disbursement SET status = 'approved' WHERE id = %s", row.pk)


def test_of_two_that_try_the_same_move_one_is_refused(manual):
    row = manual(Status.APPROVED)
    stale = Disbursement.objects.get(pk=row.pk)
    row.move(Status.SENDING, by="first")

    with pytest.raises(TransitionRefused):
        stale.move(Status.SENDING, by="second")

    assert row.transitions.count() == 1


UPDATE = "UPDATE disbursements_disbursement SET {} WHERE id = %s"


@pytest.mark.parametrize(
    "status, change",
    [
        (Status.APPROVED, "status = 'unheard_of'"),
        (Status.APPROVED, "amount = 9000, gross_amount = 9000"),
        (Status.APPROVED, "amount = 0, gross_amount = 0"),
        (Status.APPROVED, "fees = 1"),
        (Status.APPROVED, f"msisdn = '{BARAKA}'"),
        (Status.APPROVED, "mpesa_receipt = 'TJM7XXXXXX'"),
        (Status.APPROVED, "origin = 'api'"),
        (Status.APPROVED, "approved_by_id = requested_by_id"),
        (Status.PAID, "mpesa_receipt = ''"),
        (Status.PAID, "mpesa_receipt = 'ANOTHER123'"),
        (Status.PAID, "paid_at = NULL"),
        (Status.RECORDED, "mpesa_receipt = 'ANOTHER123'"),
        (Status.HELD, "hold_words = ''"),
    ],
)
def test_the_database_refuses_a_wrong_disbursement(manual, status, change):
    row = manual(status)

    with pytest.raises(DatabaseError):
        sql(UPDATE.format(change), row.pk)


@pytest.mark.parametrize("amount, msisdn", [(0, "254712345678"), (-5, "254712345678"), (10, "07")])
def test_what_cannot_be_paid_cannot_be_approved(manual, amount, msisdn):
    with pytest.raises(IntegrityError), transaction.atomic():
        manual(Status.APPROVED, amount=amount, gross_amount=amount, msisdn=msisdn)


def test_a_receipt_pays_one_disbursement(manual):
    manual(Status.PAID)

    with pytest.raises(IntegrityError, match="a_receipt_pays_one_disbursement"):
        manual(Status.PAID)


def test_a_loan_has_one_live_or_paid_disbursement(take_in):
    first = take_in()

    with pytest.raises(DatabaseError, match="one_live_or_paid_disbursement_per_loan"):
        sql(
            "INSERT INTO disbursements_disbursement SELECT (jsonb_populate_record(d, "
            "jsonb_build_object('id', 999999, 'approval_number', 2))).* "
            "FROM disbursements_disbursement d WHERE id = %s",
            first.pk,
        )


@pytest.mark.lesson(6)
def test_a_disbursement_has_one_live_or_paid_attempt(sent, shortcode):
    attempt = sent()

    with pytest.raises(IntegrityError, match="one_live_or_paid_attempt"):
        Attempt.objects.create(
            disbursement=attempt.disbursement, shortcode=shortcode, msisdn=attempt.msisdn,
            amount_kes=attempt.amount_kes,
        )  # fmt: skip


@pytest.mark.parametrize("amount, msisdn", [(9_999, "254712345678"), (10_000, BARAKA)])
def test_an_attempt_pays_nothing_but_its_disbursement(manual, shortcode, amount, msisdn):
    with pytest.raises(DatabaseError, match="another sum or number"):
        Attempt.objects.create(
            disbursement=manual(), shortcode=shortcode, amount_kes=amount, msisdn=msisdn
        )


@pytest.mark.parametrize(
    "was, to", [("paid", "failed"), ("failed", "sending"), ("sent", "sending")]
)
def test_what_became_of_an_attempt_stays(sent, was, to):
    attempt = sent()
    Attempt.objects.filter(pk=attempt.pk).exclude(status=was).update(status=was)

    with pytest.raises(DatabaseError, match="cannot become"):
        sql("UPDATE disbursements_attempt SET status = %s WHERE id = %s", to, attempt.pk)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM disbursements_transition",
        "UPDATE disbursements_transition SET note = 'rewritten'",
        "DELETE FROM disbursements_attempt",
        "UPDATE disbursements_attempt SET originator_conversation_id = 'another'",
        "UPDATE disbursements_attempt SET amount_kes = 1",
        "UPDATE disbursements_attempt SET status = 'unheard'",
        "DELETE FROM disbursements_callback",
        "UPDATE disbursements_callback SET body = '{}'",
        "DELETE FROM disbursements_floatreading",
        "UPDATE disbursements_floatreading SET amount = 1",
        "DELETE FROM paymentvault_auditevent",
        "UPDATE paymentvault_auditevent SET actor = 'nobody'",
    ],
)
def test_history_cannot_be_rewritten(sent, statement):
    from paymentvault import audit

    attempt = sent(Status.SENDING)
    attempt.disbursement.move(Status.SENT, by="test")
    attempt.callbacks.create(kind="r", body='{"Result": 1}')
    attempt.shortcode.float_readings.create(amount=5_000)
    audit.record("test", by="amina")

    with pytest.raises(DatabaseError):
        sql(statement)


@pytest.mark.parametrize("was", [was for was in NEXT if Status.APPROVED in NEXT[was]])
def test_the_last_approval_is_timed_and_going_back_from_sending_is_none(manual, was):
    earlier = timezone.now() - timedelta(hours=1)
    row = manual(was, approved_at=earlier)

    row.move(Status.APPROVED, by="test")

    expected = earlier if was == Status.SENDING else row.status_at
    assert row.approved_at == expected


def test_other_moves_leave_the_approval_as_it_was(manual):
    earlier = timezone.now() - timedelta(hours=1)
    row = manual(Status.APPROVED, approved_at=earlier)

    row.move(Status.HELD, by="test", **NEEDED[Status.HELD])

    assert row.approved_at == earlier


def test_a_disbursement_is_never_deleted(manual):
    row = manual()

    with pytest.raises(DatabaseError, match="Cannot delete"):
        sql("DELETE FROM disbursements_disbursement WHERE id = %s", row.pk)


def test_history_is_told_in_order(manual):
    row = manual(Status.AWAITING_APPROVAL)
    row.move(Status.HELD, by="a", **NEEDED[Status.HELD])
    row.move(Status.APPROVED, by="b")

    assert [t.new for t in Transition.objects.filter(disbursement=row)] == ["held", "approved"]
