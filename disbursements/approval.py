"""What people decide. Whoever entered a disbursement by hand can't be its checker.

Of one that a program asked for, the maker is whoever made the program's API key: they know it, and
could have asked themselves.
"""

from disbursements import cases, tasks
from disbursements.holds import NOT_RELEASABLE, PUT_RIGHT_IN_MIFOS
from disbursements.models import ApiRequest, Disbursement
from disbursements.states import Status, TransitionRefused
from paymentvault import audit, doorbell
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
    _has_no_open_question(disbursement)
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


def retry(
    disbursement: Disbursement, *, by: User, reason: str, source_address: str | None = None
) -> None:
    """Try a failed disbursement again, under a new originator conversation ID."""
    _must_be(disbursement, Status.FAILED)
    _has_no_open_question(disbursement)
    _is_not_the_maker(disbursement, by)
    disbursement.move(Status.APPROVED, by=str(by), note=f"Retried: {reason}")
    doorbell.ring(tasks.send_payout, disbursement.pk)
    _record("retried", disbursement, by, reason, source_address)


def _must_be(disbursement: Disbursement, status: Status) -> None:
    """The table alone doesn't say who may go where: several states lead to *approved*."""
    if disbursement.status != status:
        was = Status(disbursement.status)
        raise TransitionRefused(f"{disbursement.reference} is {was.label}, not {status.label}.")


def _is_not_the_maker(disbursement: Disbursement, by: User) -> None:
    if disbursement.requested_by_id == by.pk:
        raise IsMaker("Someone else must approve what you entered.")
    if ApiRequest.objects.filter(disbursement=disbursement, api_key__created_by=by).exists():
        raise IsMaker("Someone else must approve what was asked for with an API key you made.")


def _has_no_open_question(disbursement: Disbursement) -> None:
    if cases.has_open_case(disbursement, *cases.MONEY_IN_QUESTION):
        raise NotAllowed("M-Pesa contradicts itself on it. Settle its case first.")


def _record(
    act: str, disbursement: Disbursement, by: User, reason: str, source_address: str | None
) -> None:
    audit.record(f"disbursement {act}", by=str(by), subject=disbursement.reference,
                 partner_code=disbursement.partner.code, reason=reason,
                 source_address=source_address)  # fmt: skip
