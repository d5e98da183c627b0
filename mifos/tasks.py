"""Load by id, call one act, return a sentence; and the sweepers of this side."""

from datetime import timedelta

from celery import shared_task
from structlog.contextvars import bound_contextvars

from disbursements.models import Disbursement
from disbursements.states import Status
from disbursements.tasks import send_payout
from mifos import events, polling, recording
from mifos.models import Event
from paymentvault import doorbell, sweeping

AT_ONCE = 200


@shared_task
def process_event(pk: str) -> str:
    with bound_contextvars(event_id=pk):
        words = events.process(pk)
    event = Event.objects.select_related("disbursement").get(pk=pk)
    if event.disbursement and event.disbursement.status == Status.APPROVED:
        doorbell.ring(send_payout, event.disbursement_id)
    return words


@shared_task
def record_in_mifos(pk: int) -> str:
    with bound_contextvars(disbursement_id=pk):
        return recording.record(pk)


@shared_task
@sweeping.sweeper
def sweep_events() -> int:
    """Kept, but not processed."""
    due = Event.objects.filter(sweeping.is_free(), state=Event.State.WAITING)
    found = sweeping.claim_due(due, at_most=AT_ONCE, again_after=timedelta(seconds=60))
    for pk in found:
        doorbell.ring(process_event, str(pk))
    events.show_what_waits()
    return len(found)


@shared_task
@sweeping.sweeper
def sweep_recording() -> int:
    """Paid, but not recorded."""
    due = Disbursement.objects.filter(
        sweeping.is_free(), status=Status.PAID, connection__isnull=False
    )
    found = sweeping.claim_due(due, at_most=AT_ONCE, again_after=timedelta(seconds=60))
    for pk in found:
        doorbell.ring(record_in_mifos, pk)
    return len(found)


@shared_task
@sweeping.sweeper
def poll_mifos() -> int:
    """Approved in Mifos X, but no hook told us. The payouts' sweeper sends what it finds."""
    return polling.poll_all()
