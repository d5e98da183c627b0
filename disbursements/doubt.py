"""Ask M-Pesa: what became of an attempt, and how much float there is.

An answer to a question comes by callback too. Each question is a row of its own with its own
address, so answers can't be mixed up with results.
"""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from disbursements import callback_bodies, cases, evidence, results, shortcodes
from disbursements.callback_bodies import Outcome
from disbursements.models import Attempt, Disbursement, Inquiry
from disbursements.mpesa import is_configuration
from disbursements.msisdn import normalise
from disbursements.results import Meaning
from disbursements.states import AttemptStatus, Status, TransitionRefused
from partners.models import MpesaShortcode
from paymentvault import sweeping
from paymentvault.http import NotSent, Refused, RemoteError

BY = "M-Pesa's status query"
# A bell that rings too often must not use up the schedule.
NOT_OFTENER_THAN = timedelta(seconds=20)
ASKABLE = (Status.SENT, Status.IN_DOUBT)
# After the n-th question without a final answer, wait this long for the next.
SCHEDULE = [
    *(timedelta(minutes=m) for m in (2, 5, 15, 60, 240)),
    *[timedelta(days=1)] * 5,
]
# A request that M-Pesa accepted and is silent about counts as in doubt from this question on.
DOUBT_FROM_INQUIRY = 2


def ask(pk: int, *, is_extra: bool = False) -> str:
    """Ask M-Pesa what became of a disbursement's live attempt.

    An extra question, such as a person's, comes on top of the schedule and uses none of it up.
    """
    disbursement = Disbursement.objects.get(pk=pk)
    if disbursement.status not in ASKABLE:
        return f"{disbursement.reference} is {disbursement.get_status_display().lower()}."
    attempt = disbursement.live_attempt()
    if attempt is None:
        return f"{disbursement.reference} has no live attempt."
    if attempt.shortcode.pause == shortcodes.Pause.CONFIGURATION:
        return "The shortcode's credential must be put right before M-Pesa can be asked."
    with sweeping.leased(disbursement) as is_ours:
        if is_ours:
            return _ask(disbursement, attempt, is_extra=is_extra)
    return f"{disbursement.reference} is being worked at."


def was_asked_just_now(attempt: Attempt) -> bool:
    return attempt.inquiries.filter(sent_at__gt=timezone.now() - NOT_OFTENER_THAN).exists()


def _ask(disbursement: Disbursement, attempt: Attempt, *, is_extra: bool = False) -> str:
    if was_asked_just_now(attempt):
        return "M-Pesa was asked just now."
    inquiry = _new_inquiry(attempt.shortcode, attempt=attempt)
    if inquiry is None:
        return "Another question first proves that the credential is right."
    try:
        if not is_extra:
            _schedule_next(disbursement, attempt)
    except TransitionRefused as refused:
        _answer_to(inquiry, code="none", words=f"Not asked: {refused}")
        return str(refused)
    try:
        accepted = shortcodes.client_of(attempt.shortcode).ask_status(
            originator_conversation_id=attempt.originator_conversation_id,
            result_url=inquiry.callback_url("s"),
            timeout_url=inquiry.callback_url("t"),
        )
    except RemoteError as error:
        return _no_answer(inquiry, error)
    return _answer_to(inquiry, code="0", words=accepted.words, at=accepted.conversation_id)


@transaction.atomic
def _new_inquiry(shortcode: MpesaShortcode, *, attempt: Attempt | None) -> Inquiry | None:
    """A question's row, unless one that is out must first prove the credential."""
    locked = MpesaShortcode.objects.select_for_update(no_key=True).get(pk=shortcode.pk)
    if shortcodes.waits_for_question(locked):
        return None
    kind = Inquiry.Kind.STATUS if attempt else Inquiry.Kind.BALANCE
    return Inquiry.objects.create(
        kind=kind, attempt=attempt, shortcode=locked, sent_at=timezone.now()
    )


def _no_answer(inquiry: Inquiry, error: RemoteError) -> str:
    """What refuses a question for its credential would refuse the next payout too."""
    if isinstance(error, Refused) and is_configuration(error):
        shortcodes.pause(inquiry.shortcode, shortcodes.Pause.CONFIGURATION, reason=str(error),
                         by=BY)  # fmt: skip
    return _answer_to(inquiry, code=error.code or "none", words=str(error))


@transaction.atomic
def _schedule_next(disbursement: Disbursement, attempt: Attempt) -> None:
    """The next question's time is set before this one leaves, so a crash can't ask in a loop."""
    # The attempt first, as in evidence: two that lock in another order would deadlock.
    attempt.refresh_from_db(from_queryset=Attempt.objects.select_for_update(no_key=True))
    disbursement.refresh_from_db(from_queryset=Disbursement.objects.select_for_update(no_key=True))
    if disbursement.status not in ASKABLE:
        raise TransitionRefused(f"{disbursement.reference} was settled meanwhile.")
    asked = attempt.inquiries_made
    Attempt.objects.filter(pk=attempt.pk).update(inquiries_made=asked + 1)
    if disbursement.status == Status.SENT and asked + 1 >= DOUBT_FROM_INQUIRY:
        Attempt.objects.filter(pk=attempt.pk).update(status=AttemptStatus.UNKNOWN)
        disbursement.move(Status.IN_DOUBT, by="system", note="M-Pesa accepted it and is silent.")
    if asked >= len(SCHEDULE):
        _hand_to_people(disbursement)
    delay = SCHEDULE[min(asked, len(SCHEDULE) - 1)]
    Disbursement.objects.filter(pk=disbursement.pk).update(due_at=timezone.now() + delay)


def _hand_to_people(disbursement: Disbursement) -> None:
    cases.open_case(
        "still_in_doubt",
        f"{disbursement.reference}: M-Pesa has been asked for days and doesn't say whether it was "
        "paid. Money may have moved. Look it up in the M-Pesa statement; two people settle it. "
        "Don't pay it by another way before.",
        disbursement=disbursement,
    )


def _answer_to(inquiry: Inquiry, *, code: str, words: str, at: str = "") -> str:
    Inquiry.objects.filter(pk=inquiry.pk).update(
        answered_at=timezone.now(), answer_code=code[:30], answer_words=words[:300],
        conversation_id=at[:60],
    )  # fmt: skip
    return f"Asked M-Pesa: {words}"


def answered(inquiry: Inquiry, outcome: Outcome) -> str:
    """M-Pesa answered a question; returns what came of it, in words."""
    result = results.of(outcome.code)
    if inquiry.result_code or _is_about_an_earlier_credential(inquiry):
        pass  # A repeat, or a late answer, says nothing of what has been put right since.
    elif result.meaning == Meaning.CONFIGURATION:
        shortcodes.pause(inquiry.shortcode, shortcodes.Pause.CONFIGURATION, reason=result.words,
                         by="M-Pesa")  # fmt: skip
    elif result.meaning != Meaning.UNKNOWN:
        shortcodes.proved(inquiry.shortcode)
    words = _status(inquiry, outcome) if inquiry.attempt else _balance(inquiry, outcome)
    Inquiry.objects.filter(pk=inquiry.pk).update(
        result_code=outcome.code, result_words=outcome.words, outcome=words[:300]
    )
    return words


def _is_about_an_earlier_credential(inquiry: Inquiry) -> bool:
    return bool(inquiry.sent_at and inquiry.sent_at < inquiry.shortcode.credential_set_at)


def _status(inquiry: Inquiry, outcome: Outcome) -> str:
    """ResultCode 0 says only that the question worked; TransactionStatus decides."""
    attempt = inquiry.attempt
    assert attempt is not None  # noqa: S101 -- the caller looked
    if outcome.code != "0":
        return f"M-Pesa's answer: {results.of(outcome.code).words} It stays as it is."
    status = outcome.text("TransactionStatus").lower()
    named = outcome.text("OriginatorConversationID")
    if named and named != attempt.originator_conversation_id:
        return "M-Pesa answered for another request; nothing changed."
    if status in results.COMPLETED:
        return _completed(attempt, outcome)
    if status in results.NEVER_HAPPENED:
        words = f"M-Pesa's status of it is {status}."
        return evidence.failed(attempt, code=f"status-{status}", words=words, by=BY)
    if status in results.REVERSED:
        return _disagrees(attempt, "M-Pesa paid it and reversed it.")
    return f"M-Pesa's status of it is {status or 'not given'}; it stays as it is."


def _completed(attempt: Attempt, outcome: Outcome) -> str:
    amount, receipt = outcome.money("Amount"), outcome.text("ReceiptNo")
    if amount != attempt.amount_kes:
        return _disagrees(attempt, f"M-Pesa's status says that KES {amount} was paid.")
    # Its name may be missing or masked; a number that can be read must be the right one.
    named = normalise(outcome.text("CreditPartyName").partition(" - ")[0])
    if named not in ("", attempt.msisdn):
        return _disagrees(attempt, "M-Pesa's status says that another number was paid.")
    at = callback_bodies.completed_at(outcome)
    note = f"M-Pesa receipt {receipt}, found by asking."
    try:
        with transaction.atomic():
            return evidence.paid(attempt, receipt=receipt, at=at, by=BY, note=note)
    except (ValueError, IntegrityError):
        return _disagrees(attempt, f"M-Pesa's status names {receipt[:20]!r} as its receipt.")


def _disagrees(attempt: Attempt, words: str) -> str:
    disbursement = attempt.disbursement
    words = f"{disbursement.reference}: {words} That can't be right; two people must settle it."
    cases.open_case("status_disagrees", words, disbursement=disbursement)
    return words


def _balance(inquiry: Inquiry, outcome: Outcome) -> str:
    balance = callback_bodies.utility_balance(outcome.text("AccountBalance"))
    if outcome.code != "0" or balance is None:
        return f"M-Pesa told no balance: {results.of(outcome.code).words}"
    shortcodes.saw_balance(inquiry.shortcode, balance, is_current=True)
    return f"The utility account holds KES {balance:,.2f}."


def ask_balance(shortcode: MpesaShortcode) -> Inquiry:
    """Ask for a shortcode's float. Raises RemoteError; the answer comes by callback."""
    inquiry = _new_inquiry(shortcode, attempt=None)
    if inquiry is None:
        raise NotSent("Another question first proves that the credential is right.")
    try:
        accepted = shortcodes.client_of(shortcode).ask_balance(
            result_url=inquiry.callback_url("b"), timeout_url=inquiry.callback_url("t")
        )
    except RemoteError as error:
        _no_answer(inquiry, error)
        raise
    _answer_to(inquiry, code="0", words=accepted.words, at=accepted.conversation_id)
    return inquiry
