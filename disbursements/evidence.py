"""What M-Pesa said of an attempt, and what follows. The first final outcome stands."""

import re
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from disbursements import cases, loans
from disbursements.holds import Hold
from disbursements.models import OVER_BEFORE_PAYMENT, Attempt, Disbursement, Settlement
from disbursements.states import MOVING, AttemptStatus, Status
from paymentvault.wording import with_stop

RECEIPT = re.compile(r"[A-Z0-9]{8,20}")
SETTLED = {AttemptStatus.PAID, AttemptStatus.FAILED}
# From where a disbursement waits whose request we took for not sent, the way to *sending*.
BACK_IN_MOTION = {
    Status.HELD: Status.APPROVED,
    Status.AWAITING_APPROVAL: Status.APPROVED,
    Status.APPROVED: Status.SENDING,
}


@transaction.atomic
def paid(attempt: Attempt, *, receipt: str, at: datetime | None, by: str, note: str = "") -> str:
    """M-Pesa says that money moved. Raises ValueError if what should be a receipt isn't one."""
    if not RECEIPT.fullmatch(receipt):
        raise ValueError(f"{receipt[:20]!r} is not an M-Pesa receipt.")
    attempt = locked(attempt)
    if attempt.status == AttemptStatus.PAID:
        return _again(attempt, receipt)
    if attempt.status == AttemptStatus.FAILED:
        return _paid_after_failure(attempt, receipt)

    _close(attempt, AttemptStatus.PAID, "0", note or "Paid.", receipt=receipt)
    disbursement = _in_motion(attempt.disbursement)
    if disbursement.status not in MOVING:
        return _paid_after_its_end(disbursement, receipt)
    disbursement.move(
        Status.PAID, by=by, note=note or f"M-Pesa receipt {receipt}.",
        mpesa_receipt=receipt, paid_at=at or timezone.now(), failure_words="", failure_code="",
    )  # fmt: skip
    if system := loans.system_of(disbursement):
        system.paid(disbursement)
    return f"{disbursement.reference} is paid, receipt {receipt}."


@transaction.atomic
def failed(attempt: Attempt, *, code: str, words: str, by: str, note: str = "") -> str:
    """M-Pesa, or two people, say that no money moved and none will."""
    attempt = locked(attempt)
    if attempt.status == AttemptStatus.FAILED:
        return "It had failed already; nothing changed."
    if attempt.status == AttemptStatus.PAID:
        return _failed_after_payment(attempt, code, words)

    _close(attempt, AttemptStatus.FAILED, code, words)
    disbursement = attempt.disbursement
    if disbursement.status in OVER_BEFORE_PAYMENT:
        return f"{disbursement.reference} is over already, and nothing was paid: {words}"
    _in_motion(disbursement).move(
        Status.FAILED, by=by, note=note or _said_of_money(disbursement, words),
        failure_words=words[:300], failure_code=code[:20],
    )  # fmt: skip
    return f"{disbursement.reference} failed: {words}"


def _said_of_money(disbursement: Disbursement, words: str) -> str:
    said = with_stop(words)
    if cases.money_may_have_moved(disbursement):
        return f"{said} M-Pesa says now that no money moved, and contradicted itself before."
    return f"{said} No money moved."


@transaction.atomic
def unclear(attempt: Attempt, *, words: str, by: str) -> str:
    """M-Pesa said something that decides nothing: ask it, soon."""
    attempt = locked(attempt)
    if attempt.status in SETTLED:
        return f"{words} It was settled already; nothing changed."
    disbursement = _in_motion(attempt.disbursement)
    if disbursement.status in (Status.SENDING, Status.SENT):
        Attempt.objects.filter(pk=attempt.pk).update(status=AttemptStatus.UNKNOWN)
        disbursement.move(Status.IN_DOUBT, by=by, note=words)
    return words


def locked(attempt: Attempt) -> Attempt:
    """The attempt and its disbursement; whoever locks both does it here, in this order."""
    return (
        Attempt.objects.select_for_update(of=("self", "disbursement"), no_key=True)
        .select_related("disbursement__connection", "shortcode__partner")
        .get(pk=attempt.pk)
    )


def _close(attempt: Attempt, status: AttemptStatus, code: str, words: str, **more: Any) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(
        status=status, result_code=code[:20], result_words=words[:300], **more
    )
    # What two people were about to settle is answered.
    attempt.settlements.filter(state=Settlement.State.PROPOSED).update(
        state=Settlement.State.REFUSED,
        decided_at=timezone.now(),
        decision_note="M-Pesa's own answer came first.",
    )


def _in_motion(disbursement: Disbursement) -> Disbursement:
    """M-Pesa has a request that we took for not sent: first say so."""
    note = "M-Pesa answered for a request that seemed not to have left us."
    while step := BACK_IN_MOTION.get(Status(disbursement.status)):
        disbursement.move(step, by="system", note=note, holds=[], hold_words="")
    return disbursement


def _again(attempt: Attempt, receipt: str) -> str:
    if attempt.receipt == receipt:
        return "A repeat; nothing changed."
    return _contradiction(
        attempt.disbursement,
        f"M-Pesa named a second receipt, {receipt}, for a payout with receipt {attempt.receipt}. "
        "Money may have moved twice. Look both up in the M-Pesa statement.",
    )


def _failed_after_payment(attempt: Attempt, code: str, words: str) -> str:
    return _contradiction(
        attempt.disbursement,
        f"{_first_told(attempt)} paid (receipt {attempt.receipt}), then failed by M-Pesa's own "
        f"word ({code}: {words}). It counts as paid. Look the receipt up in the M-Pesa statement.",
    )


def _paid_after_its_end(disbursement: Disbursement, receipt: str) -> str:
    """It was cancelled while its request seemed not to have left us, and M-Pesa paid it."""
    return _contradiction(
        disbursement,
        f"It was {disbursement.get_status_display().lower()} as not sent, yet M-Pesa says paid "
        f"(receipt {receipt}). Money has moved and Mifos X doesn't know. Look the receipt up in "
        "the M-Pesa statement, and settle it with the borrower and in Mifos X.",
    )


def _paid_after_failure(attempt: Attempt, receipt: str) -> str:
    """Money moved although it was said not to: nothing more may go out for this loan."""
    disbursement = attempt.disbursement
    words = (
        f"{_first_told(attempt)} failed, then paid by M-Pesa's own word (receipt {receipt}). Money "
        "may have moved. It is never paid again from here. Look the receipt up in the M-Pesa "
        "statement, and don't pay it by another way before."
    )
    if disbursement.status == Status.APPROVED:
        disbursement.move(Status.HELD, by="system", note=words, hold_words=words,
                          holds=[Hold.MAY_BE_PAID])  # fmt: skip
    if disbursement.status in MOVING:
        words += " A new attempt is already with M-Pesa: it may be paid twice."
    return _contradiction(disbursement, words)


def _first_told(attempt: Attempt) -> str:
    by_two = attempt.settlements.filter(state=Settlement.State.CONFIRMED).exists()
    return "Two people settled it as" if by_two else "M-Pesa first said"


def _contradiction(disbursement: Disbursement, words: str) -> str:
    cases.open_case("contradiction", f"{disbursement.reference}: {words}",
                    disbursement=disbursement)  # fmt: skip
    return words
