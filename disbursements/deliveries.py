"""Tell partners' own systems what became of their disbursements.

What is to be told is written in the transaction of the move that it tells of. Sending it comes
later, elsewhere, at least once and in no promised order; no payout waits for it. One worker at a
time talks to an endpoint, so one that hangs holds up nobody but itself.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from disbursements import signing
from disbursements.models import Delivery, Disbursement
from disbursements.states import Status
from partners.models import Announcement, WebhookEndpoint
from paymentvault import audit, doorbell, networks, sweeping
from paymentvault.http import Answer, RemoteError
from paymentvault.models import User

log = structlog.get_logger(__name__)

State = Delivery.State

ANNOUNCED = {
    Status.PAID: Announcement.PAID,
    Status.RECORDED: Announcement.RECORDED,
    Status.FAILED: Announcement.FAILED,
    Status.HELD: Announcement.HELD,
}
# Standard Webhooks' own schedule: so long after each try that failed comes the next. The sweeper
# sees what is due, so a try may be as much later as it sleeps. No jitter: an endpoint is told one
# thing at a time anyway.
SCHEDULE = [
    timedelta(seconds=s)
    for s in (5, 5 * 60, 30 * 60, *(hours * 3600 for hours in (2, 5, 10, 14, 20, 24)))
]
GONE = 410
# Longer than the schedule, so that what was told first has been given up by then.
FAILING_TOO_LONG = timedelta(days=5)
# Where little is told, a failure of days ago and one of now are no five days of failing.
TRIES_AT_LEAST = 4
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 5.0, 15.0
# After so long the worker lets others have their turn; well within the endpoint's lease.
TURN_S = 60.0


def announce(sender: Any, *, disbursement: Disbursement, to: Status, **_: Any) -> None:
    """Write what the partner's endpoints are to be told of a move; in its transaction.

    Whatever goes wrong here must not keep money's own story from being written.
    """
    event = ANNOUNCED.get(to)
    if event is None:
        return
    try:
        with transaction.atomic():
            endpoints = WebhookEndpoint.objects.filter(
                partner_id=disbursement.partner_id, is_on=True, events__contains=[event]
            )
            told = [_about(disbursement, endpoint, event) for endpoint in endpoints]
            Delivery.objects.bulk_create(told)
    except Exception:
        log.exception("not_announced", disbursement_id=disbursement.pk, event_type=event.value)
        return
    for delivery in told:
        _ring(delivery.endpoint_id)


def _about(disbursement: Disbursement, endpoint: WebhookEndpoint, event: Announcement) -> Delivery:
    return Delivery(
        partner_id=disbursement.partner_id, endpoint=endpoint, type=event.value,
        disbursement=disbursement,
        payload=_payload(event.value, _told_of(disbursement), at=disbursement.status_at),
    )  # fmt: skip


def _payload(kind: str, data: dict[str, Any], *, at: datetime) -> str:
    whole = {"type": kind, "timestamp": _in_utc(at), "data": data}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def _told_of(disbursement: Disbursement) -> dict[str, Any]:
    """What the partner knows anyway, and what became of it; sums as text, as in the API."""
    return {
        "reference": disbursement.reference,
        "loan_id": disbursement.loan_id,
        "loan_account": disbursement.loan_account,
        "amount": f"{disbursement.amount:.2f}",
        "currency": "KES",
        "msisdn": disbursement.msisdn,
        "status": disbursement.status,
        "mpesa_receipt": disbursement.mpesa_receipt or None,
        "paid_at": _in_utc(disbursement.paid_at),
        "recorded_at": _in_utc(disbursement.recorded_at),
        "reason": _reason(disbursement) or None,
        "reason_code": disbursement.failure_code or None,
    }


def _reason(disbursement: Disbursement) -> str:
    if disbursement.status == Status.HELD:
        return disbursement.hold_words
    return disbursement.failure_words if disbursement.status == Status.FAILED else ""


def _in_utc(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


@transaction.atomic
def send_test(endpoint: WebhookEndpoint, *, by: User) -> Delivery:
    """Tell an endpoint something harmless, signed like everything else."""
    data = {"words": "A test by Payment Vault. No money moved."}
    delivery = Delivery.objects.create(
        partner_id=endpoint.partner_id, endpoint=endpoint, type=Delivery.TEST,
        payload=_payload(Delivery.TEST, data, at=timezone.now()),
    )  # fmt: skip
    _audit("webhook test sent", endpoint, by)
    _ring(endpoint.pk)
    return delivery


@transaction.atomic
def send_again(delivery: Delivery, *, by: User, reason: str = "") -> None:
    """Let one be sent anew, on the whole schedule, under the same id."""
    Delivery.objects.filter(pk=delivery.pk).update(
        state=State.WAITING, tries=0, due_at=timezone.now(), delivered_at=None
    )
    _audit("webhook sent again", delivery.endpoint, by, delivery=delivery.webhook_id, reason=reason)
    _ring(delivery.endpoint_id)


def _audit(act: str, endpoint: WebhookEndpoint, by: User, **detail: Any) -> None:
    audit.record(act, by=by.get_username(), subject=endpoint, partner_code=endpoint.partner.code,
                 **detail)  # fmt: skip


def _ring(endpoint_id: int) -> None:
    from disbursements.tasks import deliver  # tasks import this module

    doorbell.ring(deliver, endpoint_id)


def deliver(endpoint_id: int) -> str:
    """Tell an endpoint all that is due, one after the other, unless somebody is at it already."""
    endpoint = WebhookEndpoint.objects.get(pk=endpoint_id)
    with sweeping.leased(endpoint) as is_ours:
        if not is_ours:
            return f"Endpoint {endpoint_id} is being told already."
        count = _tell_what_is_due(endpoint)
    # Also what came while we held the lease, whose own bell found it taken.
    if _due(endpoint_id).exists():
        _ring(endpoint_id)
    return f"Endpoint {endpoint_id}: {count} tried."


def _tell_what_is_due(endpoint: WebhookEndpoint) -> int:
    ends_at, count = time.monotonic() + TURN_S, 0
    while time.monotonic() < ends_at:
        delivery = _due(endpoint.pk).select_related("endpoint").order_by("due_at", "pk").first()
        if delivery is None:
            break
        count += 1
        # After a silence it is the turn of others: the next may be one of as many seconds.
        if not _try(delivery):
            break
    return count


def _due(endpoint_id: int) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        endpoint=endpoint_id, endpoint__is_on=True, state=State.WAITING, due_at__lte=timezone.now()
    )


def endpoints_with_something_due() -> QuerySet[WebhookEndpoint]:
    due = Delivery.objects.filter(
        endpoint=OuterRef("pk"), state=State.WAITING, due_at__lte=timezone.now()
    )
    return WebhookEndpoint.objects.filter(Exists(due), sweeping.is_free(), is_on=True)


def _try(delivery: Delivery) -> bool:
    """Send one and note what came of it; False if nobody answered. Nothing is locked meanwhile."""
    status, words = _send(delivery)
    if status is not None and 200 <= status < 300:
        _delivered(delivery, status)
    else:
        _failed(delivery, status, words)
    log.info("delivery_tried", delivery_id=delivery.pk, status=status, words=words)
    return status is not None


def _send(delivery: Delivery) -> tuple[int | None, str]:
    """The status of the answer and what to say of it; None where there was none."""
    try:
        answer = _post(delivery)
    except RemoteError as error:
        return None, f"Not delivered: {error}."
    except Exception as error:
        # One that can't be sent must not keep those behind it from being sent.
        log.exception("delivery_broke", delivery_id=delivery.pk)
        return None, f"A fault of ours ({type(error).__name__}) kept it from being sent."
    return answer.status, _words_for(answer.status)


def _post(delivery: Delivery) -> Answer:
    body = delivery.payload.encode()
    signed = signing.headers(
        delivery.webhook_id, timestamp=int(timezone.now().timestamp()), body=body,
        secrets=delivery.endpoint.signing_secrets,
    )  # fmt: skip
    transport = networks.transport(
        connect_timeout_s=CONNECT_TIMEOUT_S, read_timeout_s=READ_TIMEOUT_S, reads_body=False
    )
    headers = {"Content-Type": "application/json", **signed}
    return transport.send("POST", delivery.endpoint.url, data=body, headers=headers)


def _words_for(status: int) -> str:
    if 200 <= status < 300:
        return f"It took it (HTTP {status})."
    if 300 <= status < 400:
        return f"It answered HTTP {status}: it is elsewhere. No redirect is followed."
    if status == GONE:
        return "It answered HTTP 410: it wants nothing more."
    return f"It answered HTTP {status}."


def _delivered(delivery: Delivery, status: int) -> None:
    now = timezone.now()
    _note(delivery, status, _words_for(status), state=State.DELIVERED, delivered_at=now)
    endpoints = WebhookEndpoint.objects.filter(pk=delivery.endpoint_id)
    endpoints.update(delivered_at=now, failing_since=None)


@transaction.atomic
def _failed(delivery: Delivery, status: int | None, words: str) -> None:
    tries = delivery.tries + 1
    now = timezone.now()
    if tries <= len(SCHEDULE):
        _note(delivery, status, words, due_at=now + SCHEDULE[tries - 1])
    else:
        _note(delivery, status, words, state=State.GIVEN_UP)
    endpoints = WebhookEndpoint.objects.filter(pk=delivery.endpoint_id)
    endpoints.filter(failing_since=None).update(failing_since=now)
    if status == GONE:
        _switch_off(delivery, words)
    elif (
        tries >= TRIES_AT_LEAST
        and endpoints.filter(failing_since__lte=now - FAILING_TOO_LONG).exists()
    ):
        days = FAILING_TOO_LONG.days
        _switch_off(delivery, f"It took nothing for {days} days. The last time: {words}")


def _switch_off(delivery: Delivery, words: str) -> None:
    """What waits goes on waiting, until somebody switches the endpoint on again."""
    on = WebhookEndpoint.objects.filter(pk=delivery.endpoint_id, is_on=True)
    if on.update(is_on=False, off_words=words[:300]):
        audit.record("webhook endpoint switched off", by="system", subject=delivery.endpoint,
                     partner_code=delivery.partner.code, reason=words)  # fmt: skip


def _note(delivery: Delivery, status: int | None, words: str, **changes: Any) -> None:
    # Only as it was when we began: somebody may have asked for it to be sent again meanwhile.
    Delivery.objects.filter(pk=delivery.pk, state=State.WAITING, due_at=delivery.due_at).update(
        tries=delivery.tries + 1, last_status=status, last_words=words[:300],
        last_tried_at=timezone.now(), **changes,
    )  # fmt: skip
