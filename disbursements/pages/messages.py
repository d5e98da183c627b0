"""Every message about a disbursement, to and from Mifos X and M-Pesa, as one list in time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.timezone import localtime

from disbursements.models import Attempt, Callback, Inquiry
from disbursements.pages.bodies import readable
from disbursements.pages.whole import Whole, theirs
from disbursements.states import AttemptStatus
from paymentvault.models import User
from paymentvault.templatetags.portal import msisdn

TO_MPESA, FROM_MPESA = "To M-Pesa", "From M-Pesa"
TO_MIFOS, FROM_MIFOS = "To Mifos X", "From Mifos X"
TONES = {
    AttemptStatus.PAID: "ok",
    AttemptStatus.FAILED: "bad",
    AttemptStatus.UNKNOWN: "warn",
    AttemptStatus.NOT_SENT: "wait",
}


@dataclass(frozen=True)
class Message:
    at: datetime
    way: str
    what: str
    words: str = ""
    code: str = ""
    """The other side's own, in small."""
    facts: tuple[tuple[str, Any], ...] = ()
    body: str = ""
    tone: str = "wait"
    link: str = ""
    body_name: str = ""


def messages_of(whole: Whole, user: User) -> list[Message]:
    """Oldest first. Bodies are for who may see the inbox that they are in."""
    partner = whole.disbursement.partner
    shows_callbacks = user.has_perm("disbursements.view_callback", partner)
    shows_events = user.has_perm("mifos.view_event", partner)
    found = [_event(event, shows=shows_events) for event in whole.events]
    for attempt in whole.attempts:
        found += _attempt(attempt)
    for inquiry in whole.inquiries:
        found.append(_inquiry(inquiry))
    found += [_callback(callback, shows=shows_callbacks) for callback in whole.callbacks]
    found += _loan_system(whole)
    return sorted(found, key=lambda message: message.at)


def _event(event: Any, *, shows: bool) -> Message:
    what = f"{event.entity} {event.action}".strip() or event.get_form_display()
    return Message(
        event.received_at, FROM_MIFOS, f"Mifos X told us: {what}", event.outcome,
        facts=(("State", _unusual(event)), ("From address", event.source_address)),
        body=readable(event.body) if shows else "",
        body_name=f"Body of the event of {localtime(event.received_at):%H:%M:%S}",
    )  # fmt: skip


def _unusual(delivery: Any) -> str:
    """A delivery's state, unless it is the usual end."""
    return "" if delivery.state == "done" else str(delivery.get_state_display())


def _attempt(attempt: Attempt) -> list[Message]:
    asked = Message(
        attempt.sent_at or attempt.created_at, TO_MPESA,
        f"We asked M-Pesa to pay KES {attempt.amount_kes:,} to {msisdn(attempt.msisdn)}",
        _sends(attempt),
        facts=(
            ("Shortcode", attempt.shortcode.shortcode),
            ("Originator conversation ID", attempt.originator_conversation_id),
            ("What became of it", attempt.get_status_display()),
        ),
        tone=TONES.get(AttemptStatus(attempt.status), "busy"),
    )  # fmt: skip
    return [asked, *_answer(attempt)]


def _sends(attempt: Attempt) -> str:
    if attempt.sends < 2:
        return ""
    return f"Sent {attempt.sends} times under the same ID; the earlier ones provably didn't leave."


def _answer(attempt: Attempt) -> list[Message]:
    """The answer to the request itself, which says only whether it was accepted."""
    if not attempt.answered_at:
        return []
    code = theirs(attempt.answer_code)
    took = attempt.answered_at - (attempt.sent_at or attempt.created_at)
    return [
        Message(
            attempt.answered_at, FROM_MPESA,
            "M-Pesa answered the request" if code else "No usable answer to the request came",
            attempt.answer_words, code=code,
            facts=(
                ("Conversation ID", attempt.conversation_id),
                ("It took", f"{took.total_seconds():.1f} s"),
            ),
        )
    ]  # fmt: skip


def _inquiry(inquiry: Inquiry) -> Message:
    """What it found out comes by callback; a question that couldn't be asked says so at once."""
    code = theirs(inquiry.answer_code)
    answer = f"{'Its answer' if code else 'No answer'}: {inquiry.answer_words}"
    if not inquiry.answered_at:
        answer = "No answer yet."
    return Message(
        inquiry.sent_at or inquiry.created_at, TO_MPESA, "We asked M-Pesa what became of it",
        answer, code=code,
        facts=(("Our ID for the question", inquiry.originator_conversation_id),),
    )  # fmt: skip


def _callback(callback: Callback, *, shows: bool) -> Message:
    what = {
        Callback.Kind.RESULT: "M-Pesa called back with the result",
        Callback.Kind.TIMEOUT: "M-Pesa called back: its queue timed out",
        Callback.Kind.STATUS: "M-Pesa called back with the status",
    }
    kind = Callback.Kind(callback.kind)
    return Message(
        callback.received_at, FROM_MPESA, what.get(kind, kind.label), callback.outcome,
        facts=(("State", _unusual(callback)), ("From address", callback.source_address)),
        body=readable(callback.body) if shows else "",
        tone="warn" if callback.state in ("unmatched", "unreadable") else "busy",
        link=reverse("callbacks:detail", args=[callback.pk]) if shows else "",
        body_name=f"Body of callback {callback.pk}",
    )  # fmt: skip


def _loan_system(whole: Whole) -> list[Message]:
    """What we read from Mifos X and told it; each try isn't kept, the first and last are."""
    one = whole.disbursement
    if not one.connection_id:
        return []
    to = msisdn(one.msisdn) if one.msisdn else "no number"
    read = Message(
        one.facts_read_at, FROM_MIFOS, "We read the loan and its client from Mifos X",
        f"Approved KES {one.gross_amount:,.2f}, fees KES {one.fees:,.2f}, to {to}.",
    )  # fmt: skip
    if not one.recorded_at:
        return [read]
    return [
        read,
        Message(
            one.recorded_at, TO_MIFOS, "We recorded the payment in Mifos X, and saw that it took",
            f"Receipt {one.mpesa_receipt}, external ID {one.external_id}.", tone="ok",
        ),
    ]  # fmt: skip
