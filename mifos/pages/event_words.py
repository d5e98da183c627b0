"""What a delivery was, in words; and its body, as one can read it."""

import json
from urllib.parse import parse_qsl

from django.utils import timezone

from mifos.events import FORM
from mifos.models import Event

State = Event.State
TONE = {State.WAITING: "busy", State.DONE: "ok", State.IGNORED: "wait", State.UNREADABLE: "bad"}

# As something that is so, and as something that was only told.
ACTIONS = {
    "APPROVE": ("approved", "approval"),
    "APPROVALUNDO": ("no longer approved", "approval undone"),
    "REJECT": ("rejected", "rejection"),
    "WITHDRAW": ("withdrawn", "withdrawal"),
    "DISBURSE": ("disbursed", "disbursal"),
    "DISBURSETOSAVINGS": ("disbursed to savings", "disbursal to savings"),
    "DISBURSEWITHOUTAUTODOWNPAYMENT": ("disbursed", "disbursal"),
    "DISBURSALUNDO": ("no longer disbursed", "disbursal undone"),
}
WHERE_ENTITY_STANDS = ("X-Fineract-Entity", "X-Mifos-Entity")
WHERE_ACTION_STANDS = ("X-Fineract-Action", "X-Mifos-Action")


def what_it_was(event: Event) -> str:
    """ "Loan 3198 approved" of what was found to be so; "Loan 3198: approval" of what was told."""
    entity = event.entity or _header(event, WHERE_ENTITY_STANDS)
    action = event.action or _header(event, WHERE_ACTION_STANDS)
    thing = f"{entity.capitalize() or 'Something'} {event.loan_id or ''}".strip()
    if entity == "LOAN" and not event.loan_id:
        thing = "A loan"
    if not entity and not action:
        return "Not read yet" if event.state == State.WAITING else "Nothing that can be read"
    is_so, told = ACTIONS.get(action, ("", action.lower().replace("_", " ") or "unknown"))
    if event.state == State.DONE and is_so:
        return f"{thing} {is_so}"
    return f"{thing}: {told}"


def _header(event: Event, names: tuple[str, ...]) -> str:
    return next((str(event.headers[n]).upper()[:40] for n in names if event.headers.get(n)), "")


def readable_body(event: Event) -> str:
    """The body with its lines indented; as it came if it is no JSON and no form."""
    try:
        return json.dumps(json.loads(event.body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass
    if event.content_type == FORM:
        return "\n".join(f"{name} = {value}" for name, value in parse_qsl(event.body.strip()))
    return event.body


def next_try(event: Event) -> str:
    """When a waiting one is looked at next."""
    if event.state != State.WAITING:
        return ""
    if event.due_at <= timezone.now():
        return "Now"
    return f"{timezone.localtime(event.due_at):%H:%M:%S}, try {event.tries + 1}"
