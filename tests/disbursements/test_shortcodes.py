"""A shortcode pauses before it does harm, and goes on when what it waited for is there."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from disbursements import shortcodes, tasks
from disbursements.models import Attempt, Case, Disbursement, FloatReading
from disbursements.states import Status
from partners.models import MpesaShortcode
from paymentvault.models import AuditEvent
from tests.disbursements.test_results import FAILURE
from tests.samples import result, sample

NO_FLOAT, BAD_CREDENTIAL = result(FAILURE, code=1), result(FAILURE, code=2001)


def balance(amount):
    body = sample("daraja/callback-accountbalance-success-official.json")
    item = body["Result"]["ResultParameters"]["ResultParameter"][0]
    item["Value"] = f"Utility Account|KES|{amount}.00|0|0|0"
    return body


def shortcode_now():
    return MpesaShortcode.objects.get()


@pytest.mark.lesson(5)
def test_want_of_float_pauses_until_the_balance_rises_and_then_it_is_tried_anew(
    sent, told, asked_for_balance, wire
):
    MpesaShortcode.objects.update(utility_balance=400, balance_at=timezone.now())
    attempt = sent()
    told(attempt, NO_FLOAT)
    assert shortcode_now().pause == "funds"

    told(asked_for_balance, balance(400))
    tasks.sweep_failed()
    assert (shortcode_now().pause, len(wire.posts)) == ("funds", 0)

    told(asked_for_balance, balance(90_000))
    tasks.sweep_failed()
    tasks.send_payout(attempt.disbursement_id)

    assert shortcode_now().pause == ""
    assert len(set(Attempt.objects.values_list("originator_conversation_id"))) == 2
    assert [post["Amount"] for post in wire.posts] == ["10000"]


@pytest.mark.parametrize(
    "known, read, goes_on",
    [
        (400, 400, False),
        (400, 399, False),
        (400, 401, True),
        # M-Pesa has just shown that what we knew is no longer so.
        (900_000, 9_999, False),
        (900_000, 10_000, True),
        (None, 9_999, False),
        (None, 10_000, True),
    ],
)
def test_a_rise_is_measured_from_what_m_pesa_showed(
    sent, told, asked_for_balance, known, read, goes_on
):
    MpesaShortcode.objects.update(utility_balance=known, balance_at=timezone.now())
    told(sent(), NO_FLOAT)

    told(asked_for_balance, balance(read))

    assert (shortcode_now().pause == "") is goes_on


def test_a_float_named_by_an_older_payout_ends_no_pause(sent, told, shortcode):
    told(sent(), NO_FLOAT)

    shortcodes.saw_balance(shortcode_now(), 900_000, is_current=False)

    assert shortcode_now().pause == "funds"


def test_a_wrong_credential_outdoes_want_of_float(sent, told, asked_for_balance, manual):
    told(sent(), NO_FLOAT)
    told(sent(), BAD_CREDENTIAL)
    told(asked_for_balance, balance(900_000))

    now = shortcode_now()
    assert (now.pause, now.credential_proved_at) == ("configuration", None)


def test_a_late_repeat_does_not_pause_what_was_put_right(sent, told):
    attempt = sent()
    told(attempt, BAD_CREDENTIAL)
    shortcodes.resume(shortcode_now(), by="amina", reason="New credential.")

    told(attempt, BAD_CREDENTIAL)

    assert shortcode_now().pause == ""


def test_a_late_success_does_not_prove_a_credential_that_was_refused_since(sent, told, shortcode):
    told(sent(), BAD_CREDENTIAL)

    shortcodes.proved(shortcode)

    assert shortcode_now().credential_proved_at is None


def test_a_pause_is_told_once_and_resuming_closes_its_case(shortcode):
    assert shortcodes.pause(shortcode, "configuration", reason="Locked.", by="M-Pesa")
    assert not shortcodes.pause(shortcode, "configuration", reason="Again.", by="M-Pesa")
    assert shortcodes.resume(shortcode_now(), by="amina", reason="Unlocked.")
    assert not shortcodes.resume(shortcode_now(), by="amina", reason="Unlocked.")

    assert Case.objects.get().closed_by == "amina"
    assert [e.act for e in AuditEvent.objects.order_by("pk")] == [
        "shortcode paused", "shortcode resumed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "proved_minutes_ago, other_sent_minutes_ago, waits",
    [(1, 0, False), (16, 0, True), (None, 0, True), (None, 11, False), (None, None, False)],
)
def test_while_the_credential_is_unproved_one_goes_first(
    sent, shortcode, proved_minutes_ago, other_sent_minutes_ago, waits
):
    def ago(minutes):
        return None if minutes is None else timezone.now() - timedelta(minutes=minutes)

    attempt = sent()
    Attempt.objects.filter(pk=attempt.pk).update(sent_at=ago(other_sent_minutes_ago))
    MpesaShortcode.objects.update(credential_proved_at=ago(proved_minutes_ago))

    assert shortcodes.waits_for_canary(shortcode_now()) is waits


@pytest.mark.lesson(6)
@pytest.mark.parametrize("code", ["2040", "2001", "400.002.02", "status-declined", "response-1"])
def test_only_want_of_float_is_tried_again_by_itself(manual, shortcode, code):
    manual(Status.FAILED, failure_code=code)
    retried = manual(Status.FAILED, failure_code="1")

    tasks.sweep_failed()

    assert list(Disbursement.objects.filter(status=Status.APPROVED)) == [retried]


def test_it_is_not_tried_again_for_ever(manual, shortcode):
    row = manual(Status.FAILED, failure_code="1")
    for _ in range(tasks.MOST_ATTEMPTS):
        row.attempts.create(
            shortcode=shortcode, amount_kes=row.amount_kes, msisdn=row.msisdn, status="failed"
        )

    tasks.sweep_failed()

    row.refresh_from_db()
    assert row.status == Status.FAILED


@pytest.mark.parametrize(
    "kind, is_open, retried",
    [
        ("contradiction", True, False),
        ("callback_disagrees", True, False),
        ("status_disagrees", True, False),
        ("overdue", True, True),
        ("contradiction", False, False),
        ("callback_disagrees", False, False),
        ("status_disagrees", False, False),
        ("overdue", False, True),
    ],
)
def test_what_is_in_question_is_not_tried_again_by_itself(
    manual, shortcode, kind, is_open, retried
):
    row = manual(Status.FAILED, failure_code="1")
    closed_at = None if is_open else timezone.now()
    Case.objects.create(kind=kind, words="Look.", disbursement=row, closed_at=closed_at)
    # Another case, open, of a kind that blocks nothing.
    Case.objects.create(kind="other", words="Look.", disbursement=row)

    tasks.sweep_failed()

    row.refresh_from_db()
    assert (row.status == Status.APPROVED) is retried


@pytest.mark.parametrize("is_current", [True, False])
def test_every_float_that_m_pesa_tells_is_kept_with_its_time(shortcode, is_current):
    for amount in (Decimal("9000.50"), Decimal(7_000)):
        shortcodes.saw_balance(shortcode, amount, is_current=is_current)

    first, last = FloatReading.objects.filter(shortcode=shortcode)
    assert (first.amount, last.amount) == (Decimal("9000.50"), 7_000)
    assert (last.amount, last.at) == (shortcode.utility_balance, shortcode.balance_at)
    assert str(last).startswith("KES 7,000.00 at ")


def test_a_float_is_not_known_without_its_reading(shortcode, monkeypatch):
    def breaks(**given):
        raise ZeroDivisionError

    monkeypatch.setattr(FloatReading.objects, "create", breaks)

    with pytest.raises(ZeroDivisionError):
        shortcodes.saw_balance(shortcode, Decimal(1), is_current=True)

    assert shortcode_now().utility_balance is None
