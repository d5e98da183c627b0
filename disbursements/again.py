"""What a person sets going once more: a question to M-Pesa, a recording, a kept callback."""

from django.db import transaction
from django.utils import timezone

from disbursements import doubt, history, loans, shortcodes, tasks
from disbursements.approval import NotAllowed
from disbursements.models import Callback, Disbursement
from disbursements.states import Status
from paymentvault import audit, doorbell
from paymentvault.models import User


@transaction.atomic
def ask_mpesa(
    disbursement: Disbursement, *, by: User, note: str = "", source_address: str | None = None
) -> None:
    """Have M-Pesa asked now what became of it; the answer comes by callback."""
    if words := why_not_ask(disbursement):
        raise NotAllowed(words)
    doorbell.ring(tasks.ask_mpesa, disbursement.pk, True)
    _record("M-Pesa asked again", disbursement, by, note, source_address)


def why_not_ask(disbursement: Disbursement) -> str:
    """Why M-Pesa can't be asked about it now; "" if it can."""
    if disbursement.status not in doubt.ASKABLE:
        return f"It is {Status(disbursement.status).label.lower()}: there is nothing to ask."
    attempt = disbursement.live_attempt()
    if attempt is None:
        return "It has no request at M-Pesa that could be asked about."
    if attempt.shortcode.pause == shortcodes.Pause.CONFIGURATION:
        return "The shortcode's credential must be put right before M-Pesa can be asked."
    if doubt.was_asked_just_now(attempt):
        return "M-Pesa was asked just now. Its answer comes within a minute or so."
    if shortcodes.waits_for_question(attempt.shortcode):
        return "Another question to M-Pesa first proves that the credential is right. Wait a bit."
    return ""


@transaction.atomic
def record(
    disbursement: Disbursement, *, by: User, note: str = "", source_address: str | None = None
) -> None:
    """Have a paid disbursement recorded in its loan system now; it is never paid by this."""
    system = loans.system_of(disbursement)
    if system is None:
        raise NotAllowed("It has no loan in Mifos X to be recorded at.")
    # Also due: should nobody hear the bell, the next sweep takes it.
    is_due = Disbursement.objects.filter(pk=disbursement.pk, status=Status.PAID).update(
        due_at=timezone.now()
    )
    if not is_due:
        raise NotAllowed(f"{disbursement.reference} isn't waiting to be recorded any more.")
    system.paid(disbursement)
    _record("recording in Mifos X asked for", disbursement, by, note, source_address)


def why_not_process(callback: Callback) -> str:
    """Why a callback can't be processed once more; "" if it can.

    One that came to a wrong address proves nothing and must never count; one that was processed
    has had its say, and would tell an old float and an old credential as if they were today's.
    """
    if callback.state == Callback.State.UNREADABLE:
        return ""
    if callback.state == Callback.State.UNMATCHED:
        return "It came to an address with an unknown token, so it proves nothing. Ask M-Pesa."
    return f"It is {callback.get_state_display().lower()} already."


@transaction.atomic
def process(
    callback: Callback, *, by: User, note: str = "", source_address: str | None = None
) -> None:
    """Have a callback that couldn't be read interpreted anew."""
    is_taken = Callback.objects.filter(pk=callback.pk, state=Callback.State.UNREADABLE).update(
        state=Callback.State.WAITING, due_at=timezone.now(), leased_until=None
    )
    if not is_taken:
        callback.refresh_from_db()
        raise NotAllowed(why_not_process(callback))
    doorbell.ring(tasks.process_callback, callback.pk)
    about = callback.attempt or callback.inquiry
    audit.record(
        "callback processed again", by=str(by), subject=callback, note=note,
        partner_code=about.shortcode.partner.code if about else "", source_address=source_address,
    )  # fmt: skip


def _record(
    what: str, disbursement: Disbursement, by: User, note: str, source_address: str | None
) -> None:
    history.note(disbursement, f"{what[0].upper()}{what[1:]}. {note}".strip(), by=str(by))
    audit.record(
        what, by=str(by), subject=disbursement, note=note,
        partner_code=disbursement.partner.code, source_address=source_address,
    )  # fmt: skip
