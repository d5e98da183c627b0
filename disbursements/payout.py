"""Send an approved disbursement to M-Pesa, once.

The order matters: look at everything that could stop it, re-read the loan, commit the attempt,
call. No transaction is open while Mifos X or M-Pesa is slow, and whatever isn't known after the
call stays unknown until M-Pesa says more.
"""

from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import capfirst

from disbursements import evidence, gates, shortcodes
from disbursements.holds import HoldReason, in_words
from disbursements.models import Attempt, Disbursement
from disbursements.mpesa import Accepted, MpesaClient, is_configuration
from disbursements.states import AttemptStatus, Status, TransitionRefused
from partners.models import MpesaShortcode
from paymentvault import sweeping
from paymentvault.http import NotSent, OutcomeUnknown, Refused
from paymentvault.wording import with_stop

log = structlog.get_logger(__name__)

BY = "payout"
# So that one partner's backlog, or its slow Mifos X, leaves room for the others.
AT_ONCE_PER_PARTNER = 4
FIRST_STATUS_QUERY_AFTER = timedelta(seconds=30)
BACK_OFF = [timedelta(seconds=s) for s in (10, 30, 120, 600)]


def send(pk: int) -> str:
    """Pay one disbursement if it may be paid now; returns what happened, in words."""
    disbursement = Disbursement.objects.select_related("partner", "connection").get(pk=pk)
    if disbursement.status != Status.APPROVED:
        return f"{disbursement.reference} is {disbursement.get_status_display().lower()}."
    if not _is_its_turn(disbursement):
        return _postpone(disbursement, "others of its partner are being sent.", timedelta())
    with sweeping.leased(disbursement) as is_ours:
        return _try(disbursement) if is_ours else f"{disbursement.reference} is being worked at."


def _try(disbursement: Disbursement) -> str:
    try:
        return _send(disbursement)
    except gates.Wait as wait:
        return _postpone(disbursement, str(wait), wait.delay)
    except gates.Stop as stop:
        return _hold(disbursement, stop.reasons)
    except gates.ApprovalOver as over:
        return cancel_since_approval_is_over(disbursement, words=str(over), by=BY)
    except TransitionRefused as refused:
        return str(refused)


def _send(disbursement: Disbursement) -> str:
    shortcode = gates.ready_shortcode(disbursement)
    facts = gates.loan_now(disbursement)
    gates.compare_with_approval(disbursement, facts)
    mpesa = shortcodes.client_of(shortcode)
    return _call(_claim(disbursement, shortcode), mpesa)


def _is_its_turn(disbursement: Disbursement) -> bool:
    at_work = Disbursement.objects.filter(partner=disbursement.partner).filter(
        Q(status=Status.APPROVED, leased_until__gt=timezone.now()) | Q(status=Status.SENDING)
    )
    return at_work.count() < AT_ONCE_PER_PARTNER


@transaction.atomic
def _claim(disbursement: Disbursement, shortcode: MpesaShortcode) -> Attempt:
    """Commit the intent: the attempt, and the move to *sending*, before anything leaves us."""
    # Not FOR UPDATE: other attempts' foreign keys lock this row too, and the two would deadlock.
    locked = (
        MpesaShortcode.objects.select_for_update(of=("self",), no_key=True)
        .select_related("partner")
        .get(pk=shortcode.pk)
    )
    gates.check(locked)
    gates.check_limits(disbursement, locked.partner)
    gates.check_cases(disbursement)
    attempt = disbursement.live_attempt()
    if attempt and attempt.status != AttemptStatus.NOT_SENT:
        raise TransitionRefused(f"{disbursement.reference} has an attempt that may be with M-Pesa.")
    if attempt is None:
        attempt = Attempt(
            disbursement=disbursement, shortcode=locked,
            amount_kes=disbursement.amount_kes, msisdn=disbursement.msisdn,
        )  # fmt: skip
    else:
        # Provably not sent last time: the same id goes again, so M-Pesa itself would notice.
        attempt.status, attempt.sends = AttemptStatus.SENDING, attempt.sends + 1
    attempt.sent_at = timezone.now()
    attempt.save()
    disbursement.move(Status.SENDING, by=BY, note=f"Attempt {attempt.originator_conversation_id}.")
    return attempt


def _call(attempt: Attempt, mpesa: MpesaClient) -> str:
    """The one place where money is asked to move."""
    try:
        accepted = mpesa.pay(
            originator_conversation_id=attempt.originator_conversation_id,
            msisdn=attempt.msisdn,
            amount_kes=attempt.amount_kes,
            remarks=attempt.disbursement.reference,
            result_url=attempt.callback_url("r"),
            timeout_url=attempt.callback_url("t"),
        )
    except Refused as error:
        return _refused(attempt, error)
    except NotSent as error:
        return _not_sent(attempt, error)
    except OutcomeUnknown as error:
        return _unknown(attempt, error)
    except Exception as error:
        # A fault of ours after the claim: the request may have left.
        log.exception("payout_broke", attempt_id=attempt.pk)
        return _unknown(attempt, OutcomeUnknown(f"A fault of ours: {type(error).__name__}."))
    return _accepted(attempt, accepted)


@transaction.atomic
def _accepted(attempt: Attempt, accepted: Accepted) -> str:
    attempt = _answered(attempt, "0", accepted.words, conversation_id=accepted.conversation_id)
    ours = attempt.originator_conversation_id
    if accepted.originator_conversation_id not in ("", ours):
        log.warning("other_originator_id", attempt_id=attempt.pk)
    if attempt.status != AttemptStatus.SENDING:
        return "A callback came before M-Pesa's answer."
    attempt.status = AttemptStatus.SENT
    attempt.save()
    due_at = timezone.now() + FIRST_STATUS_QUERY_AFTER
    return _move(attempt, Status.SENT, "M-Pesa accepted the request.", due_at=due_at)


@transaction.atomic
def _refused(attempt: Attempt, error: Refused) -> str:
    # The shortcode first, as in the claim: two that lock in another order would deadlock.
    if is_configuration(error):
        shortcodes.pause(attempt.shortcode, shortcodes.Pause.CONFIGURATION, reason=str(error),
                         by=BY)  # fmt: skip
    attempt = _answered(attempt, error.code, str(error))
    return evidence.failed(attempt, code=error.code, words=str(error), by=BY)


@transaction.atomic
def _not_sent(attempt: Attempt, error: NotSent) -> str:
    attempt = _answered(attempt, error.code or "not-sent", str(error))
    if attempt.status != AttemptStatus.SENDING:
        return "A callback came although the request seemed not to have left."
    rest = BACK_OFF[min(attempt.sends, len(BACK_OFF)) - 1]
    attempt.status, attempt.rests_until = AttemptStatus.NOT_SENT, timezone.now() + rest
    attempt.save()
    note = f"Not sent: {with_stop(str(error))} No money moved."
    return _move(attempt, Status.APPROVED, note, due_at=attempt.rests_until)


@transaction.atomic
def _unknown(attempt: Attempt, error: OutcomeUnknown) -> str:
    attempt = _answered(attempt, error.code or "unknown", str(error))
    if attempt.status != AttemptStatus.SENDING:
        return "A callback came before M-Pesa's answer, which was lost."
    attempt.status = AttemptStatus.UNKNOWN
    attempt.save()
    due_at = timezone.now() + FIRST_STATUS_QUERY_AFTER
    note = f"{capfirst(with_stop(str(error)))} It may be paid; M-Pesa will be asked."
    return _move(attempt, Status.IN_DOUBT, note, due_at=due_at)


def _answered(attempt: Attempt, code: str, words: str, *, conversation_id: str = "") -> Attempt:
    """Keep M-Pesa's answer; returns the attempt locked, as a callback may have left it."""
    attempt = (
        Attempt.objects.select_for_update(no_key=True)
        .select_related("disbursement")
        .get(pk=attempt.pk)
    )
    attempt.answered_at = timezone.now()
    attempt.answer_code, attempt.answer_words = code[:30], words[:300]
    attempt.conversation_id = conversation_id[:60] or attempt.conversation_id
    attempt.save()
    return attempt


def _move(attempt: Attempt, to: Status, note: str, **changes: object) -> str:
    try:
        attempt.disbursement.move(to, by=BY, note=note, **changes)
    except TransitionRefused as refused:
        # A sweeper put it in doubt while M-Pesa was slow; M-Pesa's evidence leads out of there.
        return str(refused)
    return note


def _postpone(disbursement: Disbursement, words: str, delay: timedelta) -> str:
    Disbursement.objects.filter(pk=disbursement.pk, status=Status.APPROVED).update(
        due_at=timezone.now() + delay, waits_for=words[:300]
    )
    return f"{disbursement.reference} waits: {words}"


def _hold(disbursement: Disbursement, reasons: list[HoldReason]) -> str:
    words = in_words(reasons)
    disbursement.move(
        Status.HELD, by=BY, note=words, hold_words=words, holds=[r.hold for r in reasons]
    )
    return f"{disbursement.reference} is held: {words}"


def cancel_since_approval_is_over(disbursement: Disbursement, *, words: str, by: str) -> str:
    """Stop what hasn't been paid; a later approval of the loan makes a new disbursement."""
    disbursement.move(Status.CANCELLED, by=by, note=words, is_approval_over=True)
    return f"{disbursement.reference} is cancelled: {words}"


def next_after(pk: int) -> int | None:
    """The same partner's next payout that is due and that nobody works at."""
    done = Disbursement.objects.get(pk=pk)
    if done.status == Status.APPROVED and done.due_at <= timezone.now():
        # It made no room, it waits for its turn: two of those would ring each other without end.
        return None
    return (
        Disbursement.objects.filter(
            sweeping.is_free(),
            partner_id=done.partner_id,
            status=Status.APPROVED,
            due_at__lte=timezone.now(),
        )
        .exclude(pk=pk)
        .order_by("due_at")
        .values_list("pk", flat=True)
        .first()
    )
