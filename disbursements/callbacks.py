"""What a kept callback means. Safe to run twice: the first final outcome stands."""

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from disbursements import callback_bodies, cases, doubt, evidence, results, shortcodes
from disbursements.callback_bodies import Outcome
from disbursements.models import Attempt, Callback, Inquiry
from disbursements.msisdn import normalise
from disbursements.results import Meaning
from partners.models import MpesaShortcode
from paymentvault import sweeping

log = structlog.get_logger(__name__)

State = Callback.State
TRIES_BEFORE_A_CASE = 3
MOST_TRIES = 10


class Disagrees(Exception):
    """The callback names another sum or number than the attempt."""


def process(pk: int) -> str:
    """Interpret one callback and note on it what came of it."""
    callback = Callback.objects.get(pk=pk)
    if callback.state != State.WAITING:
        return callback.outcome
    with sweeping.leased(callback) as is_ours:
        if not is_ours:
            return f"Callback {pk} is being processed."
        try:
            state, words = _interpret(callback)
        except Exception:
            _broke(callback)
            raise
        _note(callback, state, words)
        return words


def _interpret(callback: Callback) -> tuple[State, str]:
    if callback.kind == Callback.Kind.TIMEOUT:
        return State.DONE, _timed_out(callback)
    outcome = callback_bodies.read(callback.body)
    if outcome is None:
        return State.UNREADABLE, _unreadable(callback)
    if callback.attempt:
        return State.DONE, _result(callback.attempt, outcome)
    if callback.inquiry:
        return State.DONE, doubt.answered(callback.inquiry, outcome)
    return State.UNMATCHED, "It belongs to no request of ours."


def _result(attempt: Attempt, outcome: Outcome) -> str:
    """The result of a payout."""
    result = results.of(outcome.code)
    if not _names_ours(attempt, outcome):
        words = "A callback at this payout's address doesn't name it; M-Pesa will be asked."
        return _disagrees(attempt, words)
    if result.meaning == Meaning.PAID:
        return _paid(attempt, outcome)
    # A late repeat must not pause a shortcode that has been put right since.
    if attempt.status not in evidence.SETTLED:
        _note_shortcode(attempt, result)
    if result.is_failure:
        return evidence.failed(attempt, code=outcome.code, words=result.words, by="M-Pesa")
    return evidence.unclear(attempt, words=f"{result.words} ({outcome.code})", by="M-Pesa")


def _names_ours(attempt: Attempt, outcome: Outcome) -> bool:
    """Whether it names our id or M-Pesa's own for it.

    Addresses stand in the access logs of proxies; whoever reads one there doesn't know the ids,
    and must not be able to make a payout fail, which would let it be sent anew.
    """
    named = {outcome.originator_conversation_id, outcome.conversation_id} - {""}
    return bool(named & {attempt.originator_conversation_id, attempt.conversation_id})


def _note_shortcode(attempt: Attempt, result: results.Result) -> None:
    """What a failure says of the shortcode, before the failure lets the next payout go."""
    note_credential(attempt.shortcode, result)
    if result.meaning == Meaning.FUNDS:
        shortcodes.pause(attempt.shortcode, shortcodes.Pause.FUNDS, reason=result.words,
                         by="M-Pesa", too_small_for=attempt.amount_kes)  # fmt: skip


def _paid(attempt: Attempt, outcome: Outcome) -> str:
    note_credential(attempt.shortcode, results.of("0"))
    balance = outcome.money("B2CUtilityAccountAvailableFunds")
    if balance is not None:
        shortcodes.saw_balance(attempt.shortcode, balance, is_current=False)
    try:
        check_sum_and_number(attempt, outcome)
        with transaction.atomic():
            return evidence.paid(
                attempt,
                receipt=outcome.text("TransactionReceipt"),
                at=callback_bodies.completed_at(outcome),
                by="M-Pesa",
            )
    except (Disagrees, ValueError) as error:
        return _disagrees(attempt, f"M-Pesa says paid, but {error} M-Pesa will be asked.")
    except IntegrityError:
        receipt = outcome.text("TransactionReceipt")
        words = f"M-Pesa says paid with receipt {receipt}, which paid another disbursement."
        return _disagrees(attempt, words)


def check_sum_and_number(attempt: Attempt, outcome: Outcome) -> None:
    """Raise Disagrees unless the callback names what we asked for."""
    amount = outcome.money("TransactionAmount")
    if amount != attempt.amount_kes:
        raise Disagrees(f"names KES {amount} instead of KES {attempt.amount_kes}.")
    named = normalise(outcome.text("ReceiverPartyPublicName").partition(" - ")[0])
    if named != attempt.msisdn:
        raise Disagrees("names another receiver.")


def note_credential(shortcode: MpesaShortcode, result: results.Result) -> None:
    """A configuration code pauses the shortcode; anything else proves its credential."""
    if result.meaning == Meaning.CONFIGURATION:
        shortcodes.pause(shortcode, shortcodes.Pause.CONFIGURATION, reason=result.words,
                         by="M-Pesa")  # fmt: skip
    elif result.meaning != Meaning.UNKNOWN:
        shortcodes.proved(shortcode)


def _disagrees(attempt: Attempt, words: str) -> str:
    disbursement = attempt.disbursement
    cases.open_case(
        "callback_disagrees",
        f"{disbursement.reference}: {words} Don't pay it again; look it up in the statement.",
        disbursement=disbursement,
    )
    return evidence.unclear(attempt, words=words, by="M-Pesa")


def _timed_out(callback: Callback) -> str:
    """M-Pesa gave up waiting in its queue, which says nothing of the money."""
    if callback.attempt:
        words = "M-Pesa's queue timed out; the outcome is not known. M-Pesa will be asked."
        return evidence.unclear(callback.attempt, words=words, by="M-Pesa")
    if callback.inquiry:
        Inquiry.objects.filter(pk=callback.inquiry.pk, outcome="").update(outcome="Timed out.")
    return "M-Pesa's queue timed out on a question; it will be asked again."


def _unreadable(callback: Callback) -> str:
    if callback.attempt:
        words = "M-Pesa called back with something unreadable. It will be asked."
        return evidence.unclear(callback.attempt, words=words, by="M-Pesa")
    return "Unreadable."


def _broke(callback: Callback) -> None:
    """A fault of ours: the sweeper tries again, and from the third time on a person knows."""
    tries = callback.tries + 1
    gives_up = {"state": State.UNREADABLE} if tries >= MOST_TRIES else {}
    Callback.objects.filter(pk=callback.pk).update(
        tries=tries, outcome="It can't be processed, by a fault of ours.", **gives_up
    )
    if tries >= TRIES_BEFORE_A_CASE and callback.attempt:
        disbursement = callback.attempt.disbursement
        cases.open_case(
            "callback_not_understood",
            f"{disbursement.reference}: callback {callback.pk} of M-Pesa's can't be processed, by "
            "a fault of ours. Money may have moved. Look it up in the M-Pesa statement.",
            disbursement=disbursement,
        )


def _note(callback: Callback, state: State, words: str) -> None:
    Callback.objects.filter(pk=callback.pk).update(
        state=state, outcome=words[:500], processed_at=timezone.now(), tries=callback.tries + 1
    )
    log.info("callback_processed", callback_id=callback.pk, state=state.value,
             attempt_id=callback.attempt_id, inquiry_id=callback.inquiry_id)  # fmt: skip
