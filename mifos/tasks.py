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
    events.show_what_waits()
    return sweeping.ring_for_due(process_event, due, again_after=timedelta(seconds=60))


@shared_task
@sweeping.sweeper
def sweep_recording() -> int:
    """Paid, but not recorded."""
    due = Disbursement.objects.filter(
        sweeping.is_free(), status=Status.PAID, connection__isnull=False
    )
    return sweeping.ring_for_due(record_in_mifos, due, again_after=timedelta(seconds=60))


@shared_task
@sweeping.sweeper
def poll_mifos() -> int:
    """Ring a worker for each connection: a slow Mifos X keeps no other from being polled."""
    keys = polling.connections_to_poll().values_list("pk", flat=True)
    for pk in keys:
        doorbell.ring(poll_connection, pk)
    polling.show_what_is_late()
    return len(keys)


@shared_task
def poll_connection(pk: int) -> str:
    """Approved in Mifos X, but no hook told us. The payouts' sweeper sends what it finds."""
    return f"{polling.poll_one(pk)} new loans"
