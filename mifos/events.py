"""What a kept delivery means: evidence of an approval is re-read in Mifos X and taken in."""

import re
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from disbursements import cases, intake
from disbursements.holds import Hold, HoldReason
from disbursements.loans import LoanFacts
from disbursements.models import OVER_BEFORE_PAYMENT, Disbursement
from disbursements.msisdn import normalise
from disbursements.states import MONEY_MOVED, UNPAID, Status, TransitionRefused
from mifos import bodies, port
from mifos.models import Event
from partners.models import MifosConnection
from paymentvault import sweeping
from paymentvault.http import RemoteError

log = structlog.get_logger(__name__)

BY = "Mifos X"
State = Event.State
# Servers up to 1.8 send hooks before they commit: the loan may not be approved yet when we look.
LOOK_AGAIN_AFTER = [timedelta(seconds=s) for s in (2, 5, 15, 60, 300)]
WAITED_TOO_LONG = timedelta(minutes=15)
# What ends an approval without a payment, if nothing has been paid yet.
ENDS = {"APPROVALUNDO": "undone", "REJECT": "rejected", "WITHDRAW": "withdrawn by the client"}
DISBURSES = {"DISBURSE", "DISBURSETOSAVINGS", "DISBURSEWITHOUTAUTODOWNPAYMENT"}
FORM = "application/x-www-form-urlencoded"
NO_SUCH_LOAN = "error.msg.loan.id.invalid"
ENTITY = ("X-Fineract-Entity", "X-Mifos-Entity")
ACTION = ("X-Fineract-Action", "X-Mifos-Action")
TENANT = ("Fineract-Platform-TenantId", "X-Mifos-Platform-TenantId")


class Ignored(Exception):
    """Why nothing follows from a delivery."""


class Unreadable(Exception):
    """Why a delivery says nothing."""


class NotYet(Exception):
    """It can't be decided now."""


def process(pk: str) -> str:
    """Interpret one delivery and note on it what came of it, in words."""
    event = Event.objects.select_related("connection__partner").get(pk=pk)
    if event.state != State.WAITING:
        return event.outcome
    with sweeping.leased(event) as is_ours:
        return _process(event) if is_ours else f"Event {pk} is being processed."


def _process(event: Event) -> str:
    try:
        disbursement, words = _interpret(event)
    except Ignored as ignored:
        return _note(event, State.IGNORED, str(ignored))
    except Unreadable as unreadable:
        return _note(event, State.UNREADABLE, str(unreadable))
    except NotYet as wait:
        return _again(event, str(wait))
    except RemoteError as error:
        if error.code == NO_SUCH_LOAN and event.tries >= len(LOOK_AGAIN_AFTER):
            return _note(event, State.IGNORED, "Mifos X shows this connection no such loan.")
        return _again(event, f"Mifos X: {error}")
    except Exception as fault:
        log.exception("event_broke", event_id=str(event.pk))
        return _again(event, f"A fault of ours: {type(fault).__name__}.")
    return _note(event, State.DONE, words, disbursement)


def _interpret(event: Event) -> tuple[Disbursement | None, str]:
    _is_for_us(event)
    if event.form == Event.Form.SEED:
        told = bodies.as_json(event.body.encode())
        event.entity, event.action = "LOAN", "APPROVE"
        event.loan_id = int(told["loanId"])
        return _approved(event, told)

    try:
        body = bodies.read_native(event.body, is_form=event.content_type == FORM)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    event.entity = _word(_header(event, ENTITY) or body.get("entityName"))
    event.action = _word(_header(event, ACTION) or body.get("actionName"))
    evidence = bodies.evidence_in(body)
    event.loan_id = evidence.loan_id
    if event.entity != "LOAN" and not (not event.entity and evidence.is_approval):
        raise Ignored(f"It is about {event.entity or 'nothing known'}, not about a loan.")
    if event.action in ENDS or event.action in DISBURSES or event.action == "DISBURSALUNDO":
        return _other_act(event, evidence)
    if event.action not in ("APPROVE", ""):
        raise Ignored(f"{event.action} of a loan changes no payout.")
    if not evidence.is_approval:
        hint = " Set the hook's content type to json." if event.content_type == FORM else ""
        raise Ignored(evidence.words + hint)
    return _approved(event, {})


def _is_for_us(event: Event) -> None:
    tenant = _header(event, TENANT)
    if tenant and tenant != event.connection.tenant_id:
        raise Ignored(
            f"Its tenant header says {tenant!r}; this connection is for "
            f"{event.connection.tenant_id!r}."
        )
    if not event.connection.is_on:
        raise Ignored("The connection is switched off; polling finds the loan once it is on.")


def _approved(event: Event, told: dict[str, Any]) -> tuple[Disbursement | None, str]:
    """Someone says that a loan is approved: look for ourselves, then take it in."""
    assert event.loan_id is not None  # noqa: S101 -- the caller looked
    known = intake.is_known_since(event.connection, event.loan_id, event.received_at)
    if known and not told:
        return known, f"{known.reference} was read from Mifos X after this arrived."
    facts = port.read_facts(event.connection, event.loan_id)
    if not facts.is_approved:
        if "submitted" in facts.status_words and event.tries < len(LOOK_AGAIN_AFTER):
            raise NotYet("The loan is not approved yet in Mifos X; old servers tell too early.")
        raise Ignored(f"The loan is {facts.status_words} in Mifos X, not approved.")
    taken = intake.take_in(
        facts,
        connection=event.connection,
        origin=Disbursement.Origin.MIFOS_WEBHOOK,
        by=BY,
        found=[
            *_disagreements(told, facts),
            *was_before_switch_on(event.connection, facts, heard_at=event.received_at),
        ],
    )
    return taken.disbursement, taken.words


def _disagreements(told: dict[str, Any], facts: LoanFacts) -> list[HoldReason]:
    """Where the payload and the loan tell different things, a person must look."""
    if not told:
        return []
    amounts = {facts.gross, facts.net}
    checks = [
        ("client", str(told["clientId"]) == str(facts.client_id)),
        ("phone number", normalise(str(told["clientPhone"])) == normalise(facts.phone)),
        ("sum", bodies.LoanApproval().fields["loanAmount"].to_internal_value(told["loanAmount"])
         in amounts),
    ]  # fmt: skip
    wrong = [what for what, agrees in checks if not agrees]
    if not wrong:
        return []
    words = f"The webhook's {', '.join(wrong)} disagrees with the loan in Mifos X."
    return [HoldReason(Hold.PAYLOAD_DISAGREES, words)]


def was_before_switch_on(
    connection: MifosConnection, facts: LoanFacts, *, heard_at: datetime
) -> list[HoldReason]:
    """Loans from before the connection was switched on may have been paid by other means."""
    switched_on = connection.switched_on_at
    if switched_on is None:
        return []
    if facts.approved_on is None:
        words = "Mifos X doesn't say when it was approved. Was it paid another way?"
        return [HoldReason(Hold.BEFORE_SWITCH_ON, words)]
    first_day = switched_on.astimezone(connection.zone).date()
    # Until the first poll has listed what was there, nobody can tell it from what is new.
    is_listed = connection.backlog_listed_at is not None
    if is_listed and facts.approved_on >= first_day and heard_at >= switched_on:
        return []
    words = "It was approved before this connection was switched on. Was it paid another way?"
    return [HoldReason(Hold.BEFORE_SWITCH_ON, words)]


def _other_act(event: Event, evidence: bodies.Evidence) -> tuple[Disbursement | None, str]:
    """An approval was ended, or a loan disbursed, in Mifos X."""
    if evidence.loan_id is None:
        raise Ignored("It names no loan; the command failed or is parked.")
    ours = Disbursement.objects.filter(connection=event.connection, loan_id=evidence.loan_id)
    if not ours.exists():
        raise Ignored("No disbursement of ours is for this loan.")
    facts = port.read_facts(event.connection, evidence.loan_id)
    disbursement = ours.exclude(status__in=OVER_BEFORE_PAYMENT).first()
    if disbursement is None:
        return ours.latest("pk"), _over_already(ours, facts)
    if event.action == "DISBURSALUNDO":
        return disbursement, _undone(disbursement, facts)
    if event.action in ENDS and facts.is_disbursed and disbursement.status in MONEY_MOVED:
        # Processed again: the loan was approved anew since, and that approval was paid.
        raise Ignored("The loan is disbursed in Mifos X: an earlier approval of it ended.")
    if facts.is_approved:
        words = f"{event.action}, but the loan is approved in Mifos X now."
        # Old servers tell too early of this as well; or it was approved again since.
        raise NotYet(words) if event.tries < len(LOOK_AGAIN_AFTER) else Ignored(words)
    what = ENDS.get(event.action, "disbursed by somebody else")
    return disbursement, stop(disbursement, what=what)


def _over_already(ours: QuerySet[Disbursement], facts: LoanFacts) -> str:
    """What a person had stopped is over in Mifos X too: its next approval is a new one."""
    if facts.is_approved:
        raise Ignored("Nothing of ours waits to be paid, and the loan is approved in Mifos X.")
    ours.filter(status__in=OVER_BEFORE_PAYMENT).update(is_approval_over=True)
    return "Nothing of ours waited to be paid; the loan's next approval counts as a new one."


@transaction.atomic
def stop(disbursement: Disbursement, *, what: str) -> str:
    """The approval is over: stop what hasn't been paid, or open a case when it has."""
    disbursement = Disbursement.objects.select_for_update(no_key=True).get(pk=disbursement.pk)
    reference, status = disbursement.reference, Status(disbursement.status)
    is_disbursal = "disbursed" in what
    if status in MONEY_MOVED and is_disbursal:
        return f"{reference} is {status.label.lower()}: recording tells whose disbursal it was."
    if status in UNPAID:
        words = f"The loan was {what} in Mifos X before it was paid."
        try:
            disbursement.move(Status.CANCELLED, by=BY, note=words, is_approval_over=True)
        except TransitionRefused as refused:
            raise NotYet(str(refused)) from refused
        return f"{reference} is cancelled: {words}"
    words = (
        f"{reference}: the loan was {what} in Mifos X while its payout is "
        f"{status.label.lower()}. Money has moved or may have. Nothing will be paid again; settle "
        "it with the borrower and in Mifos X."
    )
    cases.open_case("ended_after_sending", words, disbursement=disbursement)
    return words


def _undone(disbursement: Disbursement, facts: LoanFacts) -> str:
    if disbursement.status not in MONEY_MOVED:
        raise Ignored("A disbursal was undone, but not one of ours.")
    if facts.is_disbursed:
        raise Ignored("A disbursal was undone, but the loan is disbursed in Mifos X.")
    words = (
        f"{disbursement.reference}: the disbursal was undone in Mifos X, where the loan is "
        f"{facts.status_words} now. The money has moved once and will not be paid again."
    )
    cases.open_case("disbursal_undone", words, disbursement=disbursement)
    return words


def show_what_waits() -> None:
    """One case per connection whose events have waited too long; it closes by itself."""
    long_ago = timezone.now() - WAITED_TOO_LONG
    late = Event.objects.filter(state=State.WAITING, received_at__lt=long_ago)
    for connection in MifosConnection.objects.filter(pk__in=late.values("connection")):
        first = late.filter(connection=connection).earliest("received_at")
        words = (
            f"Hooks of {connection} wait for over 15 minutes. {first.outcome} What they tell "
            "has changed no payout yet. Test the connection; they are tried again by themselves."
        )
        cases.open_case("events_waiting", words, connection=connection)
    served = MifosConnection.objects.filter(cases__kind="events_waiting", cases__closed_at=None)
    for connection in served.exclude(pk__in=late.values("connection")):
        note = "Every hook is processed."
        cases.close_cases("events_waiting", by="system", note=note, connection=connection)


def _again(event: Event, words: str) -> str:
    delay = LOOK_AGAIN_AFTER[min(event.tries, len(LOOK_AGAIN_AFTER) - 1)]
    Event.objects.filter(pk=event.pk).update(
        tries=event.tries + 1, due_at=timezone.now() + delay, outcome=f"Tried again soon: {words}",
        entity=event.entity, action=event.action, loan_id=event.loan_id,
    )  # fmt: skip
    return words


def _note(
    event: Event, state: Event.State, words: str, disbursement: Disbursement | None = None
) -> str:
    # Processed again, it still belongs to what it led to at first.
    about = disbursement.pk if disbursement else event.disbursement_id
    Event.objects.filter(pk=event.pk).update(
        state=state, outcome=words, disbursement_id=about, processed_at=timezone.now(),
        tries=event.tries + 1, entity=event.entity, action=event.action, loan_id=event.loan_id,
    )  # fmt: skip
    log.info("event_processed", event_id=str(event.pk), state=state.value, disbursement_id=about)
    return words


def _header(event: Event, names: tuple[str, ...]) -> str:
    return next((event.headers[name] for name in names if event.headers.get(name)), "")


def _word(value: object) -> str:
    return re.sub(r"[^A-Z_]", "", str(value or "").upper())[:40]
