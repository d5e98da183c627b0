"""Tell Mifos X that a loan was paid, and prove that it took.

The loan is read first, and after a disburse command read again: only an active loan with our
receipt counts. What Mifos X refuses never leads to a second payment; it waits here, retried on a
schedule, with its last error in words.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import structlog
from django.db.models import F
from django.utils import timezone

from disbursements import cases
from disbursements.models import Disbursement
from disbursements.states import Status, TransitionRefused
from mifos import port
from mifos.answers import ACTIVE, CommandResult, Loan, LoanTransaction
from mifos.client import MifosClient
from partners.models import MifosConnection
from paymentvault import sweeping
from paymentvault.http import OutcomeUnknown, Refused, RemoteError

log = structlog.get_logger(__name__)

BY = "recording"
SCHEDULE = [timedelta(seconds=s) for s in (10, 30, 60, 300, 900, 3600)]


class Next(StrEnum):
    """What a refusal asks for. An unfamiliar one is for a person."""

    SOON = "soon"  # it passes by itself
    LOOK = "look"  # it may have been done: re-reading tells
    EARLIER_DATE = "earlier_date"
    TOMORROW = "tomorrow"
    PERSON = "person"


# Mifos's own codes (tags 1.0.0 to 1.10.1); the HTTP status says too little.
REFUSALS: dict[str, Next] = {
    "error.msg.loan.disbursal.account.is.not.approve.not.disbursed.state": Next.LOOK,
    "validation.msg.loan.transaction.externalId.value.must.be.unique": Next.LOOK,
    "error.msg.loan.disbursal.cannot.be.a.future.date": Next.EARLIER_DATE,
    "error.msg.loan.application.disbursement.date.on.non.working.day": Next.TOMORROW,
    "error.msg.loan.application.disbursement.date.on.holiday": Next.TOMORROW,
    "error.msg.loan.locked": Next.SOON,
    "error.msg.invalid.instance.type": Next.SOON,
    # Up to 1.8 this may come before the approval is committed.
    "error.msg.loan.id.invalid": Next.SOON,
}
# Answered by HTTP status, since their bodies vary.
BUSY = {409: Next.SOON, 425: Next.SOON}
IN_FLIGHT = 425
# A key that a crashed server left "in flight" for ever is given up after so many tries.
MOST_IN_FLIGHT = 6
PARKED = (
    "Mifos X parked it: a checker must approve the disbursement there. Should the checker refuse, "
    "close this case, and it is sent again."
)


@dataclass(eq=False)
class NotRecorded(Exception):
    """Why Mifos X doesn't show the payment yet, and when to try again."""

    words: str
    code: str = ""
    again_in: timedelta | None = None
    needs_person: bool = False
    new_key: bool = False
    """Servers keep an answer under its key, also a no: a new command needs a new one."""
    is_parked: bool | None = None
    """None where nothing new is known of that."""


def record(pk: int) -> str:
    """Record one paid disbursement; returns what came of it, in words."""
    disbursement = Disbursement.objects.select_related("connection").get(pk=pk)
    if disbursement.status != Status.PAID or disbursement.connection is None:
        return f"{disbursement.reference} is {disbursement.get_status_display().lower()}."
    with sweeping.leased(disbursement) as is_ours:
        if is_ours:
            return _record(disbursement, disbursement.connection)
    return f"{disbursement.reference} is being worked at."


def _record(disbursement: Disbursement, connection: MifosConnection) -> str:
    try:
        with port.talking_to(connection) as mifos:
            transaction = _make_it_so(disbursement, connection, mifos)
    except NotRecorded as why:
        return _later(disbursement, why)
    except RemoteError as error:
        return _later(disbursement, _reason(error))
    try:
        disbursement.move(
            Status.RECORDED, by=BY, note=f"Mifos X shows it: transaction {transaction.id}.",
            recorded_at=timezone.now(), recording_error="", recording_error_code="",
        )  # fmt: skip
    except TransitionRefused as refused:
        return str(refused)
    cases.close_cases("not_recorded", by="system", note="Recorded.", disbursement=disbursement)
    cases.close_cases("overdue", by="system", note="Recorded.", disbursement=disbursement)
    return f"{disbursement.reference} is recorded in Mifos X."


def _make_it_so(
    disbursement: Disbursement, connection: MifosConnection, mifos: MifosClient
) -> LoanTransaction:
    """Disburse the loan unless that is done; returns the transaction that proves it."""
    loan = _loan(disbursement, mifos)
    if ours := _ours(loan, disbursement):
        return _confirm(disbursement, mifos, ours)
    _must_still_be_approved(loan, disbursement)
    _disburse(loan, disbursement, connection, mifos)
    if ours := _ours(_loan(disbursement, mifos), disbursement):
        return _confirm(disbursement, mifos, ours)
    raise NotRecorded(
        "Mifos X said yes, but the loan doesn't show our receipt.", new_key=True, is_parked=False
    )


def _confirm(
    disbursement: Disbursement, mifos: MifosClient, ours: LoanTransaction
) -> LoanTransaction:
    """Where the server kept our external id but not the receipt, a note says which it was."""
    receipt, external_id = disbursement.mpesa_receipt, disbursement.external_id
    if ours.receipt == receipt:
        return ours
    try:
        mifos.update_loan_status(disbursement.loan_id or 0, receipt=receipt,
                                 external_id=external_id)  # fmt: skip
    except RemoteError as error:
        # The loan is disbursed by us all the same.
        log.warning("receipt_not_noted", disbursement_id=disbursement.pk, words=str(error))
    return ours


def _loan(disbursement: Disbursement, mifos: MifosClient) -> Loan:
    return mifos.get_loan(disbursement.loan_id or 0, transactions=True)


def _ours(loan: Loan, disbursement: Disbursement) -> LoanTransaction | None:
    """Our transaction on a loan that is disbursed (and perhaps repaid already)."""
    marks = (disbursement.mpesa_receipt, disbursement.external_id)
    found = [t for t in loan.disbursements if t.receipt == marks[0] or t.external_id == marks[1]]
    return found[0] if loan.is_disbursed and found else None


def _must_still_be_approved(loan: Loan, disbursement: Disbursement) -> None:
    if disbursement.recording_is_parked and loan.is_approved and _waits_for_a_person(disbursement):
        raise NotRecorded(PARKED, again_in=timedelta(minutes=5))
    if loan.is_approved:
        return
    if loan.is_disbursed:
        words = "The loan is active in Mifos X without our receipt: somebody else disbursed it. "
        words += "The borrower may have been paid twice. Look the receipt up."
    else:
        words = f"The loan is {loan.status.lower()} in Mifos X, though the borrower was paid."
    raise NotRecorded(words, again_in=timedelta(hours=1), needs_person=True)


def _disburse(
    loan: Loan, disbursement: Disbursement, connection: MifosConnection, mifos: MifosClient
) -> None:
    if connection.payment_type_id is None:
        raise NotRecorded("The connection has no payment type for M-Pesa.", needs_person=True)
    on = _date(loan, disbursement, connection, mifos)
    try:
        result = _command(loan, disbursement, connection.payment_type_id, mifos, on=on)
    except Refused as error:
        raise _refusal(error, disbursement) from error
    if result.status_id != ACTIVE and result.is_parked:
        raise NotRecorded(
            PARKED, again_in=timedelta(minutes=1), needs_person=True, new_key=True, is_parked=True
        )


def _command(
    loan: Loan,
    disbursement: Disbursement,
    payment_type_id: int,
    mifos: MifosClient,
    *,
    on: date,
) -> CommandResult:
    return mifos.disburse_loan(
        loan.id,
        on=on,
        gross=disbursement.gross_amount,
        payment_type_id=payment_type_id,
        msisdn=disbursement.msisdn,
        receipt=disbursement.mpesa_receipt,
        external_id=disbursement.external_id,
        note=f"M-Pesa B2C {disbursement.mpesa_receipt}, {disbursement.reference}",
        idempotency_key=_key(disbursement),
    )


def _key(disbursement: Disbursement) -> str:
    """At most 50 characters, and never another loan's: the server would give its answer again.

    The receipt makes it so, also if this database is ever begun anew.
    """
    number = disbursement.recording_key_number
    return f"pv-{disbursement.loan_id}-{disbursement.mpesa_receipt}-{number}"


def _waits_for_a_person(disbursement: Disbursement) -> bool:
    """Whoever closes the case wants the command to be sent again, as after a checker's no."""
    return cases.has_open_case(disbursement, "not_recorded")


def _date(
    loan: Loan, disbursement: Disbursement, connection: MifosConnection, mifos: MifosClient
) -> date:
    """The day it was paid, as the tenant counts days, and never after the tenant's today."""
    paid_at = disbursement.paid_at or timezone.now()
    paid_on = paid_at.astimezone(connection.zone).date()
    today = mifos.get_business_date() or timezone.now().astimezone(connection.zone).date()
    on = min(paid_on, today)
    if disbursement.recording_error_code.endswith("cannot.be.a.future.date"):
        # The tenant's clock is behind what its time zone setting here says.
        on -= timedelta(days=1)
    elif _falls_on_a_free_day(disbursement):
        on = today
    return max(on, loan.approved_on or on)


def _falls_on_a_free_day(disbursement: Disbursement) -> bool:
    return REFUSALS.get(disbursement.recording_error_code) == Next.TOMORROW


def _reason(error: RemoteError) -> NotRecorded:
    """What a failed call means for the next try."""
    if isinstance(error, OutcomeUnknown):
        return NotRecorded(f"{error} It may have been done; it is re-read first.", code=error.code)
    needs_person = isinstance(error, Refused) and _following(error) == Next.PERSON
    return NotRecorded(str(error), code=error.code, needs_person=needs_person)


def _refusal(error: Refused, disbursement: Disbursement) -> NotRecorded:
    """What a refused command means for the next one."""
    following = _following(error)
    is_stuck = disbursement.recording_tries >= MOST_IN_FLIGHT
    return NotRecorded(
        str(error),
        code=error.code,
        needs_person=following == Next.PERSON,
        new_key=error.status != IN_FLIGHT or is_stuck,
        is_parked=False,
        again_in=timedelta(hours=6) if following == Next.TOMORROW else None,
    )


def _following(error: Refused) -> Next:
    return BUSY.get(error.status or 0) or REFUSALS.get(error.code, Next.PERSON)


def _later(disbursement: Disbursement, why: NotRecorded) -> str:
    """Keep the error where staff see it, and set the next try."""
    tries, was_parked = disbursement.recording_tries, disbursement.recording_is_parked
    delay = why.again_in or SCHEDULE[min(tries, len(SCHEDULE) - 1)]
    Disbursement.objects.filter(pk=disbursement.pk, status=Status.PAID).update(
        recording_tries=F("recording_tries") + 1,
        recording_error=why.words[:300],
        recording_error_code=why.code[:120],
        recording_key_number=F("recording_key_number") + int(why.new_key),
        recording_is_parked=was_parked if why.is_parked is None else why.is_parked,
        due_at=timezone.now() + delay,
    )
    if why.needs_person:
        cases.open_case(
            "not_recorded",
            f"{disbursement.reference} is paid (receipt {disbursement.mpesa_receipt}), but Mifos X "
            f"doesn't show it: {why.words} Never pay it again. Put it right in Mifos X; recording "
            "goes on trying.",
            disbursement=disbursement,
        )
    log.warning("not_recorded", disbursement_id=disbursement.pk, code=why.code)
    return f"{disbursement.reference} is paid, not recorded yet: {why.words}"
