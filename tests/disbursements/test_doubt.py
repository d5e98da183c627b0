"""In doubt: M-Pesa is asked on a schedule, and then people are."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements import doubt, tasks
from disbursements.models import Attempt, Case, Disbursement, Inquiry
from disbursements.states import Status
from paymentvault.http import Answer, NotSent, OutcomeUnknown
from tests.disbursements.test_results import status_result
from tests.samples import BARAKA, paid


def ask_anew(attempt):
    """Ask, the last question being some time ago."""
    Inquiry.objects.update(sent_at=timezone.now() - timedelta(minutes=1))
    tasks.ask_mpesa(attempt.disbursement_id)


MINUTES = [2, 5, 15, 60, 240, *[1440] * 6]


def test_questions_follow_the_schedule_and_then_a_person_is_asked(sent, wire):
    attempt = sent(Status.IN_DOUBT)
    waits, cases = [], []

    for _ in MINUTES:
        ask_anew(attempt)
        due_at = Disbursement.objects.get().due_at
        waits.append(round((due_at - timezone.now()).total_seconds() / 60))
        cases.append(Case.objects.count())

    assert waits == MINUTES
    assert cases == [0] * 10 + [1]
    assert Case.objects.get().kind == "still_in_doubt"


def test_each_question_is_a_row_of_its_own(sent, wire):
    attempt = sent(Status.IN_DOUBT)

    ask_anew(attempt)
    ask_anew(attempt)

    assert Inquiry.objects.filter(attempt=attempt).count() == 2
    assert {p["OriginalConversationID"] for p in wire.posts} == {attempt.originator_conversation_id}
    assert len({p["ResultURL"] for p in wire.posts}) == 2


@pytest.mark.parametrize(
    "answer", [NotSent("no"), OutcomeUnknown("silence"), Answer(500, ""), Answer(400, "")]
)
def test_a_question_that_fails_is_asked_again_later(sent, wire, answer):
    wire.answer = answer
    attempt = sent(Status.IN_DOUBT)

    tasks.ask_mpesa(attempt.disbursement_id)

    assert Inquiry.objects.get().answered_at
    assert Disbursement.objects.get().due_at > timezone.now() + timedelta(minutes=1)


def test_silence_after_acceptance_becomes_doubt_with_the_second_question(sent, wire):
    attempt = sent(Status.SENT)

    ask_anew(attempt)
    first = Disbursement.objects.get().status
    ask_anew(attempt)

    assert (first, Disbursement.objects.get().status) == (Status.SENT, Status.IN_DOUBT)
    assert Attempt.objects.get().status == "unknown"


@pytest.mark.parametrize("status", [s for s in Status if s not in (Status.SENT, Status.IN_DOUBT)])
def test_only_what_is_sent_or_in_doubt_is_asked_about(sent, wire, status):
    attempt = sent(status)

    tasks.ask_mpesa(attempt.disbursement_id)

    assert wire.posts == []


def test_what_is_settled_while_a_worker_prepares_to_ask_is_left_alone(sent, told, wire):
    attempt = sent(Status.SENT)
    stale = Disbursement.objects.get()
    told(attempt, paid())
    due_at = Disbursement.objects.get().due_at

    words = doubt._ask(stale, attempt)

    assert (words, wire.posts) == (f"{stale.reference} was settled meanwhile.", [])
    assert (Disbursement.objects.get().due_at, Attempt.objects.get().status) == (due_at, "paid")


def test_nothing_is_asked_while_the_credential_is_refused(sent, wire, shortcode):
    type(shortcode).objects.update(pause="configuration", paused_at=timezone.now(),
                                   pause_reason="Locked.")  # fmt: skip
    attempt = sent(Status.IN_DOUBT)

    tasks.ask_mpesa(attempt.disbursement_id)

    assert wire.posts == []


WRONG = [
    ({"Amount": "9999"}, "KES 9999 was paid"),
    ({"Amount": None}, "KES None was paid"),
    ({"ReceiptNo": ""}, "as its receipt"),
    ({"ReceiptNo": "TJM7OTHERS"}, "as its receipt"),
    ({"TransactionStatus": "Reversed"}, "reversed it"),
]


@pytest.mark.parametrize("changes, said", WRONG)
def test_an_answer_that_cannot_be_right_opens_a_case(sent, asked, told, manual, changes, said):
    manual(Status.PAID, mpesa_receipt="TJM7OTHERS")
    attempt = sent(Status.IN_DOUBT)

    told(asked(attempt), status_result(attempt, **({"word": "Completed"} | changes)))

    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == Status.IN_DOUBT
    assert said in Case.objects.get(kind="status_disagrees").words


def test_an_answer_that_names_another_receiver_opens_a_case(sent, asked, told):
    attempt = sent(Status.IN_DOUBT)
    body = status_result(attempt)
    body["Result"]["ResultParameters"]["ResultParameter"].append(
        {"Key": "CreditPartyName", "Value": f"{BARAKA} - B"}
    )

    told(asked(attempt), body)

    assert Disbursement.objects.get().status == Status.IN_DOUBT
    assert Case.objects.get().kind == "status_disagrees"


def test_an_answer_about_another_request_changes_nothing(sent, asked, told):
    attempt = sent(Status.IN_DOUBT)

    told(asked(attempt), status_result(attempt, OriginatorConversationID="another"))

    assert Disbursement.objects.get().status == Status.IN_DOUBT


def test_a_time_out_of_a_question_changes_nothing(sent, asked, told):
    attempt = sent(Status.IN_DOUBT)
    inquiry = asked(attempt)

    told(inquiry, {}, "t")

    inquiry.refresh_from_db()
    assert (Disbursement.objects.get().status, inquiry.outcome) == (Status.IN_DOUBT, "Timed out.")


@pytest.mark.parametrize(
    "fault, status",
    [
        ("normal", Status.PAID),
        ("not_found", Status.IN_DOUBT),
        ("pending", Status.IN_DOUBT),
        ("result_code_zero_but_failed", Status.FAILED),
        ("spike_arrest", Status.IN_DOUBT),
    ],
)
def test_what_m_pesas_ledger_says_settles_it(manual, shortcode, safaricom, told, fault, status):
    safaricom.plan("254712345678", "answer_lost_no_callback")
    safaricom.plan_status("254712345678", fault)
    disbursement = manual()
    tasks.send_payout(disbursement.pk)

    tasks.ask_mpesa(disbursement.pk)
    safaricom.settle()
    for delivery in safaricom.callbacks:
        told(Inquiry.objects.get(), delivery.body)

    assert Disbursement.objects.get().status == status
    assert len(safaricom.paid_to("254712345678")) == 1


def test_bells_that_ring_too_often_use_up_no_questions(sent, wire):
    attempt = sent(Status.IN_DOUBT)

    for _ in range(5):
        tasks.ask_mpesa(attempt.disbursement_id)

    assert len(wire.posts) == Inquiry.objects.count() == 1
    assert Attempt.objects.get().inquiries_made == 1


def test_one_question_goes_first_while_the_credential_is_unproved(sent, wire, shortcode):
    type(shortcode).objects.update(credential_proved_at=None)
    attempts = [sent(Status.IN_DOUBT, msisdn=f"25471234567{n}") for n in range(5)]

    for attempt in attempts:
        tasks.ask_mpesa(attempt.disbursement_id)

    assert len(wire.posts) == 1


def test_a_late_answer_does_not_pause_a_credential_that_was_put_right_since(
    sent, asked, told, shortcode
):
    question = asked(sent(Status.IN_DOUBT))
    Inquiry.objects.update(sent_at=timezone.now() - timedelta(minutes=5))
    type(shortcode).objects.update(credential_set_at=timezone.now())

    told(question, {"Result": {"ResultCode": 2001, "ResultDesc": "Wrong."}})

    shortcode.refresh_from_db()
    assert not shortcode.is_paused


@pytest.mark.parametrize("configuration", [True, False])
def test_a_question_refused_for_its_configuration_pauses_the_shortcode(
    sent, wire, shortcode, configuration
):
    wire.answer = Answer(403 if configuration else 400, json.dumps(
        {"errorCode": "403.002.1001" if configuration else "400.002.02", "errorMessage": "No."}
    ))  # fmt: skip

    tasks.ask_mpesa(sent(Status.IN_DOUBT).disbursement_id)

    shortcode.refresh_from_db()
    assert shortcode.is_paused is configuration
