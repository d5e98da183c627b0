"""Process a kept delivery again: when what stood in its way has been put right.

It can't pay twice: a delivery only points at a loan, which is re-read in Mifos X, and the loan's
approval has its disbursement already.
"""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mifos import tasks
from mifos.models import Event
from paymentvault import audit, doorbell, jobs
from paymentvault.models import Job, User

KIND = "events_again"
# What one press takes at most.
AT_ONCE = 200
State = Event.State


@transaction.atomic
def process_again(
    event: Event, *, by: User, reason: str = "", source_address: str | None = None
) -> None:
    """Put a delivery back among those that wait, and ring for it."""
    _wait_again(event, by=by, reason=reason, source_address=source_address)
    doorbell.ring(tasks.process_event, str(event.pk))


def _wait_again(event: Event, *, by: User, reason: str, source_address: str | None) -> None:
    now = timezone.now()
    Event.objects.filter(pk=event.pk).update(state=State.WAITING, tries=0, due_at=now)
    # What came of it before stands here from now on.
    audit.record(
        "event processed again", by=by.get_username(), subject=f"event {event.pk}",
        partner_code=event.connection.partner.code, source_address=source_address,
        reason=reason, was=event.state, outcome_was=event.outcome[:300],
    )  # fmt: skip


def start(events: QuerySet[Event], *, by: User, reason: str, came_from: str) -> Job:
    """Begin a job that processes these again, the oldest first, as they happened."""
    keys = list(events.order_by("-received_at", "-pk").values_list("pk", flat=True)[:AT_ONCE])
    given = {"events": [str(pk) for pk in reversed(keys)], "reason": reason}
    title = f"Process {len(keys)} Mifos events again"
    return jobs.start(KIND, title=title, by=by, given=given, came_from=came_from, total=len(keys))


@jobs.kind(KIND, shown_to="mifos.view_event")
def carry_out(running: jobs.Running) -> str:
    still = 0
    for number, pk in enumerate(running.given["events"], start=1):
        event = Event.objects.select_related("connection__partner").get(pk=pk)
        with transaction.atomic():
            _wait_again(event, by=running.by, reason=running.given["reason"], source_address=None)
        words = tasks.process_event(str(pk))
        event.refresh_from_db()
        still += event.state != State.DONE
        running.tell(_line(event, words))
        running.progress(number)
    done = len(running.given["events"]) - still
    return f"{done} led to something; {still} didn't, and say why. Nothing was paid twice."


def _line(event: Event, words: str) -> dict[str, Any]:
    results = {State.DONE: "ok", State.UNREADABLE: "failed"}
    return {
        "name": f"{timezone.localtime(event.received_at):%-d %b %H:%M:%S}",
        "result": results.get(State(event.state), "warning"),
        "words": words,
        "link": f"/events/{event.pk}/",
    }
