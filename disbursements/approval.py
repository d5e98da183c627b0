"""What people decide. Whoever asked for a disbursement (`makers`) can't be its checker."""

from django.db import transaction

from disbursements import audited, cases, makers, tasks
from disbursements.holds import NOT_RELEASABLE, PUT_RIGHT_IN_MIFOS
from disbursements.models import Disbursement
from disbursements.states import Status, TransitionRefused
from paymentvault import doorbell
from paymentvault.models import User


class NotAllowed(Exception):
    """Why this person can't do it, in words for them."""


class IsMaker(NotAllowed):
    """They asked for it themselves."""


def approve(
    disbursement: Disbursement, *, by: User, note: str = "", source_address: str | None = None
) -> None:
    """Let a disbursement that awaits approval be paid."""
    _must_be(disbursement, Status.AWAITING_APPROVAL)
    _is_not_the_maker(disbursement, by)
    disbursement.move(Status.APPROVED, by=str(by), note=note or "Approved.", approved_by=by)
    doorbell.ring(tasks.send_payout, disbursement.pk)
    _record("approved", disbursement, by, note, source_address)


def reject(
    disbursement: Disbursement, *, by: User, reason: str, source_address: str | None = None
) -> None:
    """Refuse a disbursement for good."""
    disbursement.move(Status.REJECTED, by=str(by), note=reason, is_stopped_by_person=True)
    _record("rejected", disbursement, by, reason, source_address)


def release(
    disbursement: Disbursement, *, by: User, reason: str, source_address: str | None = None
) -> None:
    """Let a held disbursement be paid in spite of what it was held for."""
    _must_be(disbursement, Status.HELD)
    _is_not_the_maker(disbursement, by)
    _is_not_in_question(disbursement)
    if stuck := set(disbursement.holds) & NOT_RELEASABLE:
        raise NotAllowed(f"It can't be paid as it stands ({', '.join(sorted(stuck))}). Cancel it.")
    released = sorted({*disbursement.released_holds, *disbursement.holds})
    disbursement.move(
        Status.APPROVED, by=str(by), note=f"Released: {reason}", approved_by=by,
        released_holds=released, holds=[], hold_words="",
    )  # fmt: skip
    doorbell.ring(tasks.send_payout, disbursement.pk)
    _record("released", disbursement, by, reason, source_address)


def cancel(
    disbursement: Disbursement, *, by: User, reason: str, source_address: str | None = None
) -> None:
    """Give up a disbursement that hasn't been paid.

    One that was held for what can be put right in Mifos X is read anew by the next poll, as a
    disbursement that a person must release.
    """
    can_be_put_right = bool(set(disbursement.holds) & PUT_RIGHT_IN_MIFOS)
    disbursement.move(
        Status.CANCELLED, by=str(by), note=reason, is_stopped_by_person=True,
        is_approval_over=can_be_put_right,
    )  # fmt: skip
    _record("cancelled", disbursement, by, reason, source_address)


@transaction.atomic
def retry(
    disbursement: Disbursement,
    *,
    by: User,
    reason: str,
    seen_attempt: int | None = None,
    source_address: str | None = None,
) -> None:
    """Try a failed disbursement again, under a new originator conversation ID.

    `seen_attempt` is the failed attempt that the person looked at, 0 where there was none.
    """
    # Locked, so that no other attempt can come between the look and the move.
    Disbursement.objects.select_for_update(no_key=True).get(pk=disbursement.pk)
    _must_be(disbursement, Status.FAILED)
    _is_not_in_question(disbursement)
    _is_not_the_maker(disbursement, by)
    if seen_attempt is not None and seen_attempt != last_attempt(disbursement):
        raise NotAllowed(
            "It was tried again, and failed again, since you opened this page. Go back and look at "
            "why."
        )
    disbursement.move(Status.APPROVED, by=str(by), note=f"Retried: {reason}")
    doorbell.ring(tasks.send_payout, disbursement.pk)
    _record("retried", disbursement, by, reason, source_address)


def _must_be(disbursement: Disbursement, status: Status) -> None:
    """The table alone doesn't say who may go where: several states lead to *approved*."""
    if disbursement.status != status:
        was = Status(disbursement.status)
        raise TransitionRefused(f"{disbursement.reference} is {was.label}, not {status.label}.")


def _is_not_the_maker(disbursement: Disbursement, by: User) -> None:
    if words := makers.why_not(disbursement, by):
        raise IsMaker(words)


def last_attempt(disbursement: Disbursement) -> int:
    """The latest attempt's key; 0 if there is none."""
    return disbursement.attempts.order_by("-pk").values_list("pk", flat=True).first() or 0


def _is_not_in_question(disbursement: Disbursement) -> None:
    if cases.money_may_have_moved(disbursement):
        raise NotAllowed(cases.NEVER_AGAIN)


def _record(
    act: str, disbursement: Disbursement, by: User, reason: str, source_address: str | None
) -> None:
    audited.record(f"disbursement {act}", disbursement, by=str(by), reason=reason,
                   source_address=source_address)  # fmt: skip
