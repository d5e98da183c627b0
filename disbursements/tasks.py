"""Load by id, call one act, return a sentence; and the sweepers, for what no bell rang for."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.db.models import (
    BooleanField,
    Count,
    Exists,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
)
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from disbursements import callbacks, cases, deliveries, doubt, payout
from disbursements.models import Attempt, Callback, Disbursement
from disbursements.states import AttemptStatus, Status, TransitionRefused
from partners.models import MpesaShortcode
from paymentvault import doorbell, sweeping
from paymentvault.http import RemoteError

# Failures that prove that no money moved and that end by themselves once the float is back.
RETRIED_BY_THEMSELVES = {"1"}
MOST_ATTEMPTS = 4
WAITED_TOO_LONG = timedelta(hours=1)
PEOPLE_DECIDE = [Status.HELD, Status.AWAITING_APPROVAL]
LEFT_TOO_LONG = timedelta(days=1)
OVERDUE = {
    Status.APPROVED: "is approved but has not been sent for an hour. No money moved. It says what "
    "it waits for.",
    Status.HELD: "has been held for a day. No money moved. Release it or cancel it.",
    Status.AWAITING_APPROVAL: "has awaited approval for a day. No money moved. Decide it.",
    Status.FAILED: "failed an hour ago. No money moved. Retry it or cancel it.",
    Status.PAID: "is paid but Mifos X doesn't show it after an hour. The borrower has the money; "
    "never pay it again. Its last recording error says what Mifos X wants.",
}
# Instead, where M-Pesa contradicted itself.
OVERDUE_AND_UNSURE = (
    "waits for a person, and money may have moved for it. Look it up in the M-Pesa statement, by "
    "the receipt in its case or by number, sum and day. Don't pay it by another way before. Its "
    "page says whether it can still be paid from here; if not, cancel it."
)


@shared_task
def send_payout(pk: int) -> str:
    with bound_contextvars(disbursement_id=pk):
        words = payout.send(pk)
    if following := payout.next_after(pk):
        doorbell.ring(send_payout, following)
    return words


@shared_task
def process_callback(pk: int) -> str:
    with bound_contextvars(callback_id=pk):
        words = callbacks.process(pk)
    ring_those_who_waited_for(pk)
    return words


def ring_those_who_waited_for(callback_pk: int) -> None:
    """A result may be the canary's: the partner's payouts needn't wait for the sweep."""
    callback = Callback.objects.select_related("attempt", "inquiry").get(pk=callback_pk)
    about = callback.attempt or callback.inquiry
    if about is None:
        return
    partner_id = about.shortcode.partner_id
    for pk in _approved().filter(partner_id=partner_id).values_list("pk", flat=True)[:8]:
        doorbell.ring(send_payout, pk)


@shared_task
def ask_mpesa(pk: int, is_extra: bool = False) -> str:
    with bound_contextvars(disbursement_id=pk):
        return doubt.ask(pk, is_extra=is_extra)


@shared_task
def deliver(endpoint_pk: int) -> str:
    with bound_contextvars(endpoint_id=endpoint_pk):
        return deliveries.deliver(endpoint_pk)


def _approved() -> QuerySet[Disbursement]:
    soon = timezone.now() + timedelta(seconds=3)
    return Disbursement.objects.filter(status=Status.APPROVED, due_at__lte=soon)


@shared_task
@sweeping.sweeper
def sweep_approved() -> int:
    """Approved and due, yet nobody sent it."""
    due = Disbursement.objects.filter(sweeping.is_free(), status=Status.APPROVED)
    return sweeping.ring_for_due(send_payout, due, again_after=timedelta(seconds=20))


@shared_task
@sweeping.sweeper
def sweep_sending() -> int:
    """Sending for longer than any request takes: its worker died, so M-Pesa must be asked."""
    long_ago = timezone.now() - timedelta(seconds=settings.SENDING_TOO_LONG_S)
    stuck = Disbursement.objects.filter(status=Status.SENDING, status_at__lt=long_ago)
    found = 0
    for disbursement in stuck[: sweeping.AT_ONCE]:
        found += _put_in_doubt(disbursement)
    return found


@transaction.atomic
def _put_in_doubt(disbursement: Disbursement) -> bool:
    note = "No answer was seen, perhaps since the worker died. It may be paid; M-Pesa is asked."
    attempts = disbursement.attempts.filter(status=AttemptStatus.SENDING).select_for_update(
        no_key=True
    )
    Attempt.objects.filter(pk__in=[a.pk for a in attempts]).update(status=AttemptStatus.UNKNOWN)
    try:
        disbursement.move(Status.IN_DOUBT, by="system", note=note)
    except TransitionRefused:
        transaction.set_rollback(True)
        return False
    return True


@shared_task
@sweeping.sweeper
def sweep_unanswered() -> int:
    """Accepted or in doubt, and M-Pesa has said nothing: ask it."""
    due = Disbursement.objects.filter(sweeping.is_free(), status__in=[Status.SENT, Status.IN_DOUBT])
    return sweeping.ring_for_due(ask_mpesa, due, again_after=timedelta(seconds=60))


@shared_task
@sweeping.sweeper
def sweep_callbacks() -> int:
    """Kept, but not processed."""
    due = Callback.objects.filter(sweeping.is_free(), state=Callback.State.WAITING)
    return sweeping.ring_for_due(process_callback, due, again_after=timedelta(seconds=60))


@shared_task
@sweeping.sweeper
def sweep_deliveries() -> int:
    """Endpoints that are to be told something now."""
    due = deliveries.endpoints_with_something_due().values_list("pk", flat=True)
    found = list(due[: sweeping.AT_ONCE])
    for pk in found:
        doorbell.ring(deliver, pk)
    return len(found)


@shared_task
@sweeping.sweeper
def sweep_failed() -> int:
    """Failed for want of float, which is back: try again under a new id."""
    ready = (
        Disbursement.objects.filter(status=Status.FAILED, failure_code__in=RETRIED_BY_THEMSELVES)
        .filter(partner__shortcodes__in=_ready_shortcodes())
        .annotate(tries=Count("attempts", distinct=True))
        .filter(tries__lt=MOST_ATTEMPTS, partner__is_active=True)
        .exclude(cases.is_in_question())
    )
    found = 0
    for disbursement in ready[: sweeping.AT_ONCE]:
        try:
            note = "The shortcode has float again: a new attempt."
            disbursement.move(Status.APPROVED, by="system", note=note)
        except TransitionRefused:
            continue
        doorbell.ring(send_payout, disbursement.pk)
        found += 1
    return found


def _ready_shortcodes() -> QuerySet[MpesaShortcode]:
    return MpesaShortcode.objects.filter(pause="", is_default=True, is_active=True)


@shared_task
@sweeping.sweeper
def sweep_overdue() -> int:
    """What waited too long is put in front of a person, with what to do."""
    overdue = _overdue()
    unsure = ExpressionWrapper(cases.must_be_looked_up(), BooleanField())
    untold = overdue.exclude(cases.is_open("overdue")).annotate(is_unsure=unsure)
    for disbursement in untold[: sweeping.AT_ONCE]:
        unsure_words = OVERDUE_AND_UNSURE if disbursement.is_unsure else ""
        words = unsure_words or OVERDUE[Status(disbursement.status)]
        cases.open_case("overdue", f"{disbursement.reference} {words}", disbursement=disbursement)
    return overdue.count()


def _overdue() -> QuerySet[Disbursement]:
    long_ago = timezone.now() - WAITED_TOO_LONG
    # Each try that wasn't sent makes it newly approved, so the attempt's age counts as well.
    tried = Attempt.objects.filter(
        disbursement=OuterRef("pk"), status=AttemptStatus.NOT_SENT, created_at__lt=long_ago
    )
    return Disbursement.objects.filter(
        Q(status=Status.APPROVED, status_at__lt=long_ago)
        | Q(Exists(tried), status=Status.APPROVED)
        | Q(status=Status.FAILED, status_at__lt=long_ago)
        | Q(status=Status.PAID, status_at__lt=long_ago, connection__isnull=False)
        | Q(status__in=PEOPLE_DECIDE, status_at__lt=timezone.now() - LEFT_TOO_LONG)
    )


@shared_task
@sweeping.sweeper
def read_balances() -> int:
    """Ask for the float of every shortcode, also of those that wait for it."""
    blocked = MpesaShortcode.Pause.CONFIGURATION
    asked = 0
    for shortcode in MpesaShortcode.objects.filter(is_active=True).exclude(pause=blocked):
        try:
            doubt.ask_balance(shortcode)
            asked += 1
        except RemoteError:
            # Its inquiry row says why; the next sweep asks again.
            continue
    return asked
