"""Sending: how sure we are decides where it goes, and what isn't known is never sent anew."""

import json

import pytest
from django.db import connection as database
from django.db import connections

from disbursements import gates, payout, tasks
from disbursements.models import Attempt, Disbursement
from disbursements.states import AttemptStatus, Status
from paymentvault.http import Answer, NotSent, OutcomeUnknown, RemoteError
from paymentvault.sandbox.safaricom import PAYMENTS
from tests.samples import AMINA, paid, sample

FIREWALL = "<html>Request unsuccessful. Incapsula incident ID: 7</html>"
DUPLICATE = json.dumps(sample("daraja/error-duplicate-originator-official.json"))


def error(status: int, code: str, words: str = "Words.") -> Answer:
    return Answer(status, json.dumps({"errorCode": code, "errorMessage": words}))


HOW_SURE = [
    (Answer(200, json.dumps(sample("daraja/response-b2c-ack-official.json"))), Status.SENT),
    (error(400, "400.002.02"), Status.FAILED),
    (error(403, "403.002.1001"), Status.FAILED),
    (Answer(200, '{"ResponseCode": "1", "ConversationID": "AG_1"}'), Status.FAILED),
    (NotSent("it refused the connection"), Status.APPROVED),
    (error(500, "500.003.02"), Status.APPROVED),
    (error(500, "500.003.03"), Status.APPROVED),
    (OutcomeUnknown("it didn't answer in time"), Status.IN_DOUBT),
    (OutcomeUnknown("the connection broke off"), Status.IN_DOUBT),
    (Answer(500, DUPLICATE), Status.IN_DOUBT),
    (error(500, "500.002.1001"), Status.IN_DOUBT),
    (Answer(400, ""), Status.IN_DOUBT),
    (Answer(500, ""), Status.IN_DOUBT),
    (Answer(503, FIREWALL), Status.IN_DOUBT),
    (Answer(403, FIREWALL), Status.IN_DOUBT),
    (Answer(200, FIREWALL), Status.IN_DOUBT),
    (Answer(200, "{}"), Status.IN_DOUBT),
    (RemoteError("of no kind we know"), Status.IN_DOUBT),
    (KeyError("a fault of ours"), Status.IN_DOUBT),
]


@pytest.fixture
def approved(manual, shortcode) -> Disbursement:
    return manual()


def sent_again(disbursement: Disbursement) -> Disbursement:
    """Once its rest after a busy gateway is over."""
    Attempt.objects.filter(disbursement=disbursement).update(rests_until=None)
    tasks.send_payout(disbursement.pk)
    disbursement.refresh_from_db()
    return disbursement


@pytest.mark.lesson(1)
@pytest.mark.parametrize("answer, status", HOW_SURE)
def test_how_sure_we_are_decides_where_it_goes(approved, wire, answer, status):
    wire.answer = answer

    tasks.send_payout(approved.pk)

    approved.refresh_from_db()
    assert approved.status == status


@pytest.mark.lesson(1)
@pytest.mark.parametrize("answer", [a for a, status in HOW_SURE if status == Status.IN_DOUBT])
def test_what_is_in_doubt_is_never_sent_again(approved, wire, answer):
    wire.answer = answer
    tasks.send_payout(approved.pk)

    for again in (tasks.send_payout, payout.send):
        again(approved.pk)
    tasks.sweep_approved(), tasks.sweep_failed(), tasks.sweep_sending()

    assert len(wire.posts) == 1


@pytest.mark.parametrize(
    "answer, note",
    [
        (OutcomeUnknown("the connection broke off"),
         "The connection broke off. It may be paid; M-Pesa will be asked."),
        (NotSent("it refused the connection"),
         "Not sent: it refused the connection. No money moved."),
        (error(500, "500.003.02", "Spike Arrest Violation"),
         "Not sent: M-Pesa's gateway is busy: Spike Arrest Violation. No money moved."),
        (error(400, "400.002.02", "Bad Request"), "Bad Request. No money moved."),
        (error(400, "400.002.02"), "Words. No money moved."),
    ],
)  # fmt: skip
def test_what_came_back_reads_as_a_sentence_before_ours(approved, wire, answer, note):
    wire.answer = answer

    tasks.send_payout(approved.pk)

    assert approved.transitions.order_by("-pk")[0].note == note


def test_what_is_provably_not_sent_goes_again_under_the_same_id(approved, wire):
    wire.answer = NotSent("it refused the connection")
    sent_again(approved)
    wire.answer = HOW_SURE[0][0]

    assert sent_again(approved).status == Status.SENT

    assert len(wire.posts) == 2
    assert len(set(wire.ids)) == 1
    assert Attempt.objects.get().sends == 2


def test_a_bell_that_rings_late_does_not_cut_the_rest_short(approved, wire):
    wire.answer = NotSent("the gateway is busy")
    sent_again(approved)

    words = payout.send(approved.pk)

    assert len(wire.posts) == 1
    assert "not sent lately" in words


def test_what_turns_unpayable_after_approval_is_held(take_in, facts):
    taken = take_in()

    with pytest.raises(gates.Stop, match="top-up"):
        gates.compare_with_approval(taken, facts(is_top_up=True))


def test_what_is_not_sent_waits_longer_each_time(approved, wire):
    wire.answer = NotSent("it refused the connection")
    delays = []

    for _ in range(5):
        sent_again(approved)
        delays.append(round((approved.due_at - approved.status_at).total_seconds()))

    assert delays == [10, 30, 120, 600, 600]


@pytest.mark.lesson(6)
def test_a_new_id_is_made_only_after_a_proved_failure(approved, wire, baraka):
    from disbursements import approval

    wire.answer = error(400, "400.002.02")
    sent_again(approved)
    approval.retry(approved, by=baraka, reason="Number put right at Safaricom.")
    wire.answer = HOW_SURE[0][0]

    assert sent_again(approved).status == Status.SENT

    assert len(set(wire.ids)) == 2
    assert list(Attempt.objects.values_list("status", flat=True)) == ["failed", "sent"]


@pytest.mark.lesson(2)
@pytest.mark.django_db(transaction=True)
def test_the_attempt_is_committed_before_the_request_leaves(approved, wire):
    seen = []

    def look_from_elsewhere():
        other = connections.create_connection("default")
        with other.cursor() as cursor:
            cursor.execute("SELECT originator_conversation_id, status, "
                           "(SELECT status FROM disbursements_disbursement) "
                           "FROM disbursements_attempt")  # fmt: skip
            seen.extend(cursor.fetchall())
        other.close()

    wire.meanwhile = look_from_elsewhere
    tasks.send_payout(approved.pk)

    assert seen == [(wire.ids[0], "sending", "sending")]


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_m_pesa_is_slow(approved, wire):
    open_ones = []
    wire.meanwhile = lambda: open_ones.append(database.in_atomic_block)

    tasks.send_payout(approved.pk)

    assert open_ones == [False]


@pytest.mark.django_db(transaction=True)
def test_no_lock_is_held_while_m_pesa_is_slow(approved, wire):
    """A callback, a pause, and another claim can all write meanwhile."""

    def write_from_elsewhere():
        other = connections.create_connection("default")
        with other.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
            for table in ("attempt", "disbursement"):
                cursor.execute(f"SELECT 1 FROM disbursements_{table} FOR UPDATE")
            cursor.execute("SELECT 1 FROM partners_mpesashortcode FOR UPDATE")
        other.close()

    wire.meanwhile = write_from_elsewhere

    assert sent_again(approved).status == Status.SENT


def test_a_redelivered_task_pays_once(approved, safaricom):
    tasks.send_payout(approved.pk)
    tasks.send_payout(approved.pk)

    safaricom.settle()
    assert len(safaricom.paid_to(AMINA)) == 1
    assert [r.path for r in safaricom.requests].count(PAYMENTS) == 1


@pytest.mark.parametrize("status", [s for s in Status if s != Status.APPROVED])
def test_only_what_is_approved_is_sent(manual, shortcode, wire, status):
    disbursement = manual(status)

    tasks.send_payout(disbursement.pk)

    assert wire.posts == []


@pytest.mark.parametrize("status", [s for s in AttemptStatus if s not in ("failed", "not_sent")])
def test_an_attempt_that_may_be_with_m_pesa_is_never_sent_again(approved, shortcode, wire, status):
    """Not even if something else moved its disbursement back to approved."""
    approved.attempts.create(
        shortcode=shortcode, amount_kes=approved.amount_kes, msisdn=AMINA, status=status
    )

    tasks.send_payout(approved.pk)

    assert wire.posts == []


def test_a_crash_after_the_claim_ends_in_doubt_and_a_status_query_settles_it(
    approved, safaricom, monkeypatch, told
):
    def dies(attempt, mpesa):
        mpesa.pay(
            originator_conversation_id=attempt.originator_conversation_id, msisdn=attempt.msisdn,
            amount_kes=attempt.amount_kes, remarks="DSB", result_url="http://127.0.0.1:9/cb/0/r",
            timeout_url="http://127.0.0.1:9/cb/0/t",
        )  # fmt: skip
        raise SystemExit

    with monkeypatch.context() as killed, pytest.raises(SystemExit):
        killed.setattr(payout, "_call", dies)
        tasks.send_payout(approved.pk)
    Disbursement.objects.update(status_at="2026-01-01T00:00Z")

    tasks.sweep_sending()
    approved.refresh_from_db()
    assert (approved.status, Attempt.objects.get().status) == (Status.IN_DOUBT, "unknown")

    tasks.ask_mpesa(approved.pk)
    safaricom.settle()
    told(Attempt.objects.get().inquiries.get(), safaricom.callbacks[-1].body)
    approved.refresh_from_db()
    assert approved.status == Status.PAID
    assert len(safaricom.paid_to(AMINA)) == 1


def test_an_answer_after_the_sweeper_lost_patience_changes_nothing_final(approved, wire):
    def lose_patience():
        Disbursement.objects.update(status_at="2026-01-01T00:00Z")
        tasks.sweep_sending()

    wire.meanwhile = lose_patience

    assert sent_again(approved).status == Status.IN_DOUBT
    assert Attempt.objects.get().conversation_id.startswith("AG_")


def test_a_callback_that_beats_the_answer_pays_once(approved, wire, told):
    wire.meanwhile = lambda: told(Attempt.objects.get(), paid())

    assert sent_again(approved).status == Status.PAID
    assert Attempt.objects.get().status == "paid"


@pytest.mark.parametrize("answer", [a for a, _ in HOW_SURE[1:]])
def test_no_answer_undoes_a_callback_that_came_before_it(approved, wire, told, answer):
    wire.answer, wire.meanwhile = answer, lambda: told(Attempt.objects.get(), paid())

    assert sent_again(approved).status == Status.PAID
