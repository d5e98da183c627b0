"""What can be done to a loan, with Fineract's rules and its words for breaking them."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox.mifos_body import Body
from paymentvault.sandbox.mifos_bus import Outcome
from paymentvault.sandbox.mifos_disbursal import disburse, disburse_to_savings, undo_disbursal
from paymentvault.sandbox.mifos_loans import GROUP, status
from paymentvault.sandbox.mifos_records import APPROVED, PENDING, REJECTED, WITHDRAWN, Loan
from paymentvault.sandbox.mifos_values import array, compact, number

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

Changes = dict[str, Any]
DATED = ("locale", "dateFormat", "note")
DISBURSE_KEYS = (
    "actualDisbursementDate", "transactionAmount", "fixedEmiAmount", "paymentTypeId",
    "accountNumber", "checkNumber", "routingCode", "receiptNumber", "bankNumber",
    "externalId", "adjustRepaymentDate", *DATED,
)  # fmt: skip
SINCE_1_6 = {"netDisbursalAmount", "postDatedChecks"}


@dataclass(frozen=True)
class LoanCommand:
    action: str
    keys: tuple[str, ...]
    change: Callable[["Mifos", Loan, Body], Changes]
    """Changes the draft it is given, and tells what it changed."""


def decide(world: "Mifos", name: str, loan_id: int, raw: dict[str, Any]) -> Outcome:
    """Try the command on a copy of the loan, which becomes the loan on commit."""
    kind = COMMANDS[name]
    body = Body(raw, resource="loan.disbursement" if "disburse" in name else "loan",
                allowed=_allowed(world, kind.keys))  # fmt: skip
    note = body.text("note", longest=1000)
    body.done()
    loan = found(world, loan_id)
    draft = copy.deepcopy(loan)
    _check_client(world, draft)
    changes = kind.change(world, draft, body)
    if note:
        draft.notes.append(note)
        changes["note"] = note
    result = _result(world, draft, name, changes)
    return Outcome(result, lambda: vars(loan).update(vars(draft)))


def _allowed(world: "Mifos", keys: tuple[str, ...]) -> tuple[str, ...]:
    if world.generation.shows_net_disbursal:
        return keys
    return tuple(key for key in keys if key not in SINCE_1_6)


def found(world: "Mifos", loan_id: int) -> Loan:
    if loan_id not in world.loans:
        message = f"Loan with identifier {loan_id} does not exist"
        raise errors.missing("error.msg.loan.id.invalid", message, loan_id)
    return world.loans[loan_id]


def _check_client(world: "Mifos", loan: Loan) -> None:
    client = world.clients.get(loan.client_id) if loan.client_id is not None else None
    if client and not client.active:
        message = f"The Client with id `{client.id}` is not active"
        raise errors.rule("error.msg.client.not.active.exception", message, client.id)


def _result(world: "Mifos", loan: Loan, name: str, changes: Changes) -> dict[str, Any]:
    modern = world.generation.is_idempotent
    paid = loan.transactions[-1] if modern and name.startswith("disburse") else None
    return compact(
        {
            "officeId": 1,
            "clientId": loan.client_id,
            "groupId": GROUP["id"] if loan.client_id is None else None,
            "loanId": loan.id,
            "resourceId": loan.id,
            "resourceExternalId": loan.external_id if modern else None,
            "subResourceId": paid.id if paid else None,
            "subResourceExternalId": paid.external_id if paid else None,
            "changes": changes,
        }
    )


def approve(world: "Mifos", loan: Loan, body: Body) -> Changes:
    on = body.required_date("approvedOnDate")
    amount = body.money("approvedLoanAmount")
    net = body.money("netDisbursalAmount")
    expected = body.date("expectedDisbursementDate")
    body.done()
    _check_approval(world, loan, on, amount)
    loan.status, loan.approved_on, loan.expected_on = APPROVED, on, expected or loan.expected_on
    loan.approved_principal = loan.principal = amount or loan.proposed_principal
    loan.net_disbursal = net or loan.approved_principal - loan.charges_at_disbursement
    return _approval(world, loan, body, amount, expected)


def _check_approval(world: "Mifos", loan: Loan, on: date, amount: Decimal | None) -> None:
    _from_pending(loan, "approval")
    if on < loan.submitted_on:
        message = f"The date on which a loan is approved cannot be before its submittal: {on}"
        code = "error.msg.loan.approval.cannot.be.before.submittal.date"
        raise errors.rule(code, message, on, loan.submitted_on)
    _not_in_future(world, loan, on, "approval", "approved")
    if amount and amount > loan.proposed_principal:
        code = "error.msg.loan.approval.amount.can't.be.greater.than.loan.amount.demanded"
        message = "Loan approved amount can't be greater than loan amount demanded."
        raise errors.rule(code, message, loan.proposed_principal, amount)


def _approval(
    world: "Mifos", loan: Loan, body: Body, amount: Decimal | None, expected: date | None
) -> Changes:
    changes: Changes = {"status": status(APPROVED)}
    if amount:
        changes |= {"approvedLoanAmount": number(amount), "principal": number(amount)}
        if world.generation.shows_net_disbursal:
            changes["netDisbursalAmount"] = number(loan.net_disbursal)
    changes |= _dated(body, "approvedOnDate")
    if expected:
        # The old serializer had nothing to say about a date.
        modern = world.generation.hook_is_envelope
        changes["expectedDisbursementDate"] = array(expected) if modern else {}
    return changes


def undo_approval(world: "Mifos", loan: Loan, body: Body) -> Changes:
    if loan.status != APPROVED:
        raise errors.state(
            "error.msg.loan.undo.approval.account.is.not.approved",
            "Loan Account Undo Approval is not allowed. Loan Account is not in approved state.",
        )
    loan.status, loan.approved_on = PENDING, None
    loan.principal = loan.approved_principal = loan.proposed_principal
    loan.net_disbursal = loan.principal - loan.charges_at_disbursement
    return {"status": status(PENDING), "approvedOnDate": ""}


def reject(world: "Mifos", loan: Loan, body: Body) -> Changes:
    return _close(world, loan, body, "rejectedOnDate", REJECTED, "reject", "rejected")


def withdraw(world: "Mifos", loan: Loan, body: Body) -> Changes:
    return _close(world, loan, body, "withdrawnOnDate", WITHDRAWN, "withdrawal", "withdrawn")


def _close(
    world: "Mifos", loan: Loan, body: Body, name: str, to: int, act: str, done: str
) -> Changes:
    on = body.required_date(name)
    _from_pending(loan, act)
    _not_in_future(world, loan, on, act, done)
    loan.status, loan.closed_on = to, on
    return {"status": status(to)} | _dated(body, name)


def _from_pending(loan: Loan, act: str) -> None:
    if loan.status != PENDING:
        code = f"error.msg.loan.{act}.account.is.not.submitted.and.pending.state"
        message = "Loan Account is not in submitted and pending approval state."
        raise errors.state(code, f"Loan {act} is not allowed. {message}")


def _not_in_future(world: "Mifos", loan: Loan, on: date, act: str, done: str) -> None:
    if on > world.today():
        message = f"The date on which a loan with identifier : {loan.account_no} is {done} "
        code = f"error.msg.loan.{act}.cannot.be.a.future.date"
        raise errors.rule(code, message + "cannot be in the future.", on)


def _dated(body: Body, name: str) -> Changes:
    return {key: body.raw[key] for key in ("locale", "dateFormat", name)}


COMMANDS = {
    "approve": LoanCommand(
        "APPROVE",
        ("approvedOnDate", "approvedLoanAmount", "expectedDisbursementDate", "disbursementData",
         "netDisbursalAmount", "loanId", *DATED),
        approve,
    ),
    "undoapproval": LoanCommand("APPROVALUNDO", ("note",), undo_approval),
    "reject": LoanCommand("REJECT", ("rejectedOnDate", *DATED), reject),
    "withdrawnByApplicant": LoanCommand("WITHDRAW", ("withdrawnOnDate", *DATED), withdraw),
    "disburse": LoanCommand("DISBURSE", (*DISBURSE_KEYS, *SINCE_1_6), disburse),
    "disburseToSavings": LoanCommand(
        "DISBURSETOSAVINGS",
        ("actualDisbursementDate", "transactionAmount", "externalId", *DATED),
        disburse_to_savings,
    ),
    "undodisbursal": LoanCommand("DISBURSALUNDO", ("note",), undo_disbursal),
}  # fmt: skip
