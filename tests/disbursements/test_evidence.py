"""What M-Pesa says of a payout, in any order and any number of times: the first outcome stands."""

import pytest

from disbursements import approval, callbacks, tasks
from disbursements.approval import NotAllowed
from disbursements.holds import Hold
from disbursements.models import Attempt, Callback, Case, Disbursement
from disbursements.states import Status
from tests.disbursements.test_results import FAILURE, status_result
from tests.samples import AMINA, BARAKA, paid, result

FAILED = result(FAILURE, code=2040)
UNKNOWN = result(FAILURE, code=17)


def state(attempt):
    attempt.refresh_from_db()
    return attempt.disbursement.status, attempt.status


def kinds():
    return set(Case.objects.values_list("kind", flat=True))


# What comes, one after the other, where it ends, and what a person is told.
TIMEOUT = ("t", {})
R = "r"
ORDERS = {
    "paid": ([(R, paid())], Status.PAID, set()),
    "failed": ([(R, FAILED)], Status.FAILED, set()),
    "paid twice": ([(R, paid()), (R, paid())], Status.PAID, set()),
    "failed twice": ([(R, FAILED), (R, FAILED)], Status.FAILED, set()),
    "paid, then failed": ([(R, paid()), (R, FAILED)], Status.PAID, {"contradiction"}),
    "failed, then paid": ([(R, FAILED), (R, paid())], Status.FAILED, {"contradiction"}),
    "two receipts": (
        [(R, paid()), (R, paid(receipt="TJM7SECOND"))], Status.PAID, {"contradiction"},
    ),
    "time-out": ([TIMEOUT], Status.IN_DOUBT, set()),
    "time-out, then paid": ([TIMEOUT, (R, paid())], Status.PAID, set()),
    "time-out, then failed": ([TIMEOUT, (R, FAILED)], Status.FAILED, set()),
    "paid, then time-out": ([(R, paid()), TIMEOUT], Status.PAID, set()),
    "failed, then time-out": ([(R, FAILED), TIMEOUT], Status.FAILED, set()),
    "unknown code": ([(R, UNKNOWN)], Status.IN_DOUBT, set()),
    "unknown code, then paid": ([(R, UNKNOWN), (R, paid())], Status.PAID, set()),
    "paid, then unknown code": ([(R, paid()), (R, UNKNOWN)], Status.PAID, set()),
    "failed, then garbage": ([(R, FAILED), (R, "<x>")], Status.FAILED, set()),
    "garbage": ([(R, "<x>")], Status.IN_DOUBT, set()),
    "wrong sum": ([(R, paid(9_999))], Status.IN_DOUBT, {"callback_disagrees"}),
    "no sum": ([(R, paid(None))], Status.IN_DOUBT, {"callback_disagrees"}),
    "wrong number": (
        [(R, paid(ReceiverPartyPublicName=f"{BARAKA} - B"))], Status.IN_DOUBT,
        {"callback_disagrees"},
    ),
    "no receipt": ([(R, paid(receipt=""))], Status.IN_DOUBT, {"callback_disagrees"}),
    "no real receipt": ([(R, paid(receipt="<b>x</b>"))], Status.IN_DOUBT, {"callback_disagrees"}),
    "another request": (
        [(R, paid(OriginatorConversationID="not-ours"))], Status.IN_DOUBT, {"callback_disagrees"},
    ),
}  # fmt: skip


@pytest.mark.lesson(5)
@pytest.mark.parametrize("order, status, cases", ORDERS.values(), ids=ORDERS.keys())
def test_in_whatever_order_callbacks_come(sent, told, order, status, cases):
    attempt = sent()

    for kind, body in order:
        told(attempt, body, kind)

    assert state(attempt)[0] == status
    assert kinds() == cases
    assert not Callback.objects.filter(state="waiting").exists()


@pytest.mark.lesson(5)
@pytest.mark.parametrize("body", [paid(), FAILED, UNKNOWN, "<x>"])
@pytest.mark.parametrize("was", ["paid", "failed"])
def test_results_after_a_final_outcome_change_nothing(sent, told, was, body):
    attempt = sent()
    told(attempt, paid() if was == "paid" else FAILED)
    before = state(attempt), attempt.disbursement.transitions.count()

    told(attempt, body)

    assert (state(attempt), attempt.disbursement.transitions.count()) == before


@pytest.mark.parametrize("body", [UNKNOWN, "<x>", FAILED])
def test_what_comes_late_for_a_failed_attempt_leaves_the_next_one_alone(
    sent, told, shortcode, body
):
    attempt = sent()
    told(attempt, FAILED)
    attempt.disbursement.refresh_from_db()
    attempt.disbursement.move(Status.APPROVED, by="test")
    attempt.disbursement.move(Status.SENDING, by="test")
    second = attempt.disbursement.attempts.create(
        shortcode=shortcode, amount_kes=10_000, msisdn=AMINA
    )

    told(attempt, body)
    told(attempt, {}, "t")

    assert state(attempt) == (Status.SENDING, "failed")
    assert state(second) == (Status.SENDING, "sending")


def test_a_receipt_that_paid_another_pays_no_second(sent, told, manual):
    manual(Status.PAID, mpesa_receipt="TJM7ABCDEF")
    attempt = sent()

    told(attempt, paid(receipt="TJM7ABCDEF"))

    assert state(attempt) == (Status.IN_DOUBT, "unknown")
    assert kinds() == {"callback_disagrees"}


@pytest.mark.parametrize("named", [{}, {"OriginatorConversationID": "53e3-4aa8-theirs"}])
def test_m_pesas_own_id_identifies_it_too(sent, told, named):
    attempt = sent()
    body = paid(**named)
    Attempt.objects.update(conversation_id=body["Result"]["ConversationID"])

    told(attempt, body)

    assert state(attempt)[0] == Status.PAID


NOT_SENT = {
    Status.APPROVED: Status.PAID,
    Status.HELD: Status.PAID,
    Status.AWAITING_APPROVAL: Status.PAID,
    Status.CANCELLED: Status.CANCELLED,
    Status.REJECTED: Status.REJECTED,
}


@pytest.mark.lesson(5)
@pytest.mark.parametrize("was, ends", NOT_SENT.items())
def test_money_that_moved_though_it_seemed_not_sent_is_never_overlooked(sent, told, was, ends):
    attempt = sent(was, attempt="not_sent")

    told(attempt, paid())

    assert state(attempt) == (ends, "paid")
    assert kinds() == (set() if ends == Status.PAID else {"contradiction"})


@pytest.mark.parametrize("was", NOT_SENT)
def test_a_failure_of_what_seemed_not_sent_breaks_nothing(sent, told, was):
    attempt = sent(was, attempt="not_sent")

    told(attempt, FAILED)

    over = was in (Status.CANCELLED, Status.REJECTED)
    assert state(attempt) == (was if over else Status.FAILED, "failed")


def test_a_queue_time_out_of_what_seemed_not_sent_puts_it_in_doubt(sent, told, wire):
    attempt = sent(Status.APPROVED, attempt="not_sent")

    told(attempt, {}, "t")
    tasks.send_payout(attempt.disbursement_id)

    assert state(attempt) == (Status.IN_DOUBT, "unknown")
    assert wire.posts == []


def contradicted(sent, told):
    attempt = sent()
    told(attempt, FAILED)
    told(attempt, paid())
    attempt.disbursement.refresh_from_db()
    return attempt.disbursement


@pytest.mark.lesson(6)
def test_what_m_pesa_contradicted_itself_about_is_never_paid_again(sent, told, baraka):
    disbursement = contradicted(sent, told)

    with pytest.raises(NotAllowed):
        approval.retry(disbursement, by=baraka, reason="Again.")

    Case.objects.update(closed_at="2026-11-23T09:00Z")
    with pytest.raises(NotAllowed, match="never paid again from here"):
        approval.retry(disbursement, by=baraka, reason="The statement shows nothing.")
    assert disbursement.status == Status.FAILED


@pytest.mark.lesson(6)
def test_what_was_stopped_for_a_contradiction_is_never_released(sent, told, baraka, wire):
    attempt = sent()
    told(attempt, FAILED)
    attempt.disbursement.refresh_from_db()
    attempt.disbursement.move(Status.APPROVED, by="test")
    told(attempt, paid())
    Case.objects.update(closed_at="2026-11-23T09:00Z")
    disbursement = Disbursement.objects.get()

    with pytest.raises(NotAllowed, match="never paid again from here"):
        approval.release(disbursement, by=baraka, reason="It is fine.")
    # However it came to be approved, it stops before it leaves.
    disbursement.move(Status.APPROVED, by="test", holds=[], hold_words="",
                      released_holds=[Hold.MAY_BE_PAID])  # fmt: skip
    tasks.send_payout(disbursement.pk)

    disbursement.refresh_from_db()
    assert (disbursement.status, wire.posts) == (Status.HELD, [])


@pytest.mark.lesson(6)
def test_what_is_in_question_and_waits_for_long_does_not_say_that_no_money_moved(sent, told):
    disbursement = contradicted(sent, told)
    Disbursement.objects.filter(pk=disbursement.pk).update(status_at="2026-01-01T09:00Z")
    Case.objects.update(closed_at="2026-11-23T09:00Z")

    tasks.sweep_overdue()

    words = Case.objects.get(kind="overdue").words
    assert "money may have moved for it" in words
    assert "No money moved" not in words


def test_paid_after_failure_stops_the_retry_that_is_under_way(sent, told, baraka):
    attempt = sent()
    told(attempt, FAILED)
    attempt.disbursement.refresh_from_db()
    attempt.disbursement.move(Status.APPROVED, by="test")

    told(attempt, paid())

    disbursement = Disbursement.objects.get()
    assert (disbursement.status, disbursement.holds) == (Status.HELD, [Hold.MAY_BE_PAID])
    with pytest.raises(NotAllowed):
        approval.release(disbursement, by=baraka, reason="It is fine.")


def test_a_second_contradiction_is_added_to_the_case(sent, told):
    attempt = sent()
    told(attempt, paid())
    told(attempt, FAILED)
    told(attempt, paid(receipt="TJM7SECOND"))
    told(attempt, paid(receipt="TJM7SECOND"))

    words = Case.objects.get().words
    assert "then failed" in words
    assert words.count("TJM7SECOND") == 1


def test_a_zero_float_is_kept(sent, told):
    attempt = sent()

    told(attempt, paid(B2CUtilityAccountAvailableFunds=0))

    attempt.shortcode.refresh_from_db()
    assert attempt.shortcode.utility_balance == 0


def test_a_callback_that_cannot_be_processed_is_put_before_a_person(sent, monkeypatch):
    kept = sent().callbacks.create(kind="r", body="{}")
    monkeypatch.setattr(callbacks, "_interpret", lambda callback: 1 / 0)

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            callbacks.process(kept.pk)

    kept.refresh_from_db()
    assert (kept.state, kept.tries, kinds()) == ("waiting", 3, {"callback_not_understood"})


def test_a_callback_is_processed_once(sent, told):
    attempt = sent()
    told(attempt, paid())

    assert callbacks.process(Callback.objects.get().pk).endswith("TJM7ABCDEF.")
    assert Callback.objects.get().tries == 1


def test_a_status_answer_that_comes_late_contradicts_like_a_callback(sent, asked, told):
    attempt = sent()
    inquiry = asked(attempt)
    told(attempt, paid())

    told(inquiry, status_result(attempt, "Declined"))

    assert state(attempt) == (Status.PAID, "paid")
    assert kinds() == {"contradiction"}


@pytest.mark.lesson(6)
@pytest.mark.parametrize("code", [0, 1, 2, 2001])
def test_a_result_that_doesn_t_name_the_payout_settles_nothing(sent, client, shortcode, code):
    """Whoever reads its address in a proxy's log must not make it fail, and be sent anew."""
    attempt = sent()
    forged = {"Result": {"ResultCode": code, "ResultDesc": "Forged."}}

    client.post(f"/cb/{attempt.callback_token}/r", forged, "application/json")
    callbacks.process(Callback.objects.get().pk)

    shortcode.refresh_from_db()
    assert (state(attempt)[0], shortcode.pause) == (Status.IN_DOUBT, "")


@pytest.mark.parametrize(
    "body", ['{"Result": {"ResultCode": 1e9999999999999999999}}', "1e999999999"]
)
def test_monstrous_numbers_break_nothing(sent, client, body):
    attempt = sent()

    answer = client.post(f"/cb/{attempt.callback_token}/r", body, "application/json")

    assert answer.status_code == 200
    callbacks.process(Callback.objects.get().pk)
    assert Callback.objects.get().state != "waiting"
