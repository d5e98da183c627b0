"""Disbursing a loan, and undoing it: where most of the refusals are."""

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox.mifos_body import Body
from paymentvault.sandbox.mifos_loans import status
from paymentvault.sandbox.mifos_records import ACTIVE, APPROVED, Loan, Transaction
from paymentvault.sandbox.mifos_values import number

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

DETAILS = ("accountNumber", "checkNumber", "routingCode", "receiptNumber", "bankNumber")


def disburse(world: "Mifos", loan: Loan, body: Body) -> dict[str, Any]:
    on = body.required_date("actualDisbursementDate")
    asked, net = body.money("transactionAmount"), body.money("netDisbursalAmount")
    details = {name: value for name in DETAILS if (value := body.text(name, longest=50))}
    external_id = body.text("externalId", longest=100)
    type_id = body.integer("paymentTypeId")
    body.done()
    _check_state(loan)
    _check_date(world, loan, on)
    _check_type(world, type_id)
    amount = _amount(loan, asked)
    _not_in_future(world, loan, on)
    _check_unique(world, external_id)
    # Without a payment type Fineract drops the payment details, and says nothing.
    kept = details if type_id is not None else {}
    _pay(world, loan, on, amount, external_id, type_id, kept)
    loan.net_disbursal = net or loan.net_disbursal
    return kept | _changes(world, loan, body, asked)


def disburse_to_savings(world: "Mifos", loan: Loan, body: Body) -> dict[str, Any]:
    if not loan.linked_savings:
        code = "error.msg.loan.disburse.to.savings.requires.linked.account"
        raise errors.rule(code, "Disburse to Savings requires linked savings account", loan.id)
    return disburse(world, loan, body)


def undo_disbursal(world: "Mifos", loan: Loan, body: Body) -> dict[str, Any]:
    if loan.status != ACTIVE:
        raise errors.state(
            "error.msg.loan.undo.disbursal.account.is.not.disbursed",
            "Loan Undo disbursal is not allowed. Loan Account is not disbursed.",
        )
    loan.status, loan.disbursed_on = APPROVED, None
    loan.principal = loan.approved_principal
    loan.net_disbursal = loan.principal - loan.charges_at_disbursement
    for transaction in loan.transactions:
        transaction.reversed = True
    for tranche in loan.tranches:
        tranche.disbursed_on = None
    return {"status": status(APPROVED), "actualDisbursementDate": ""}


def _check_state(loan: Loan) -> None:
    next_tranche = loan.status == ACTIVE and bool(loan.open_tranches)
    if loan.status != APPROVED and not next_tranche:
        raise errors.state(
            "error.msg.loan.disbursal.account.is.not.approve.not.disbursed.state",
            "Loan Disbursal is not allowed. "
            "Loan Account is not in approved and not disbursed state.",
        )


def _check_date(world: "Mifos", loan: Loan, on: date) -> None:
    approved = loan.approved_on or date.min
    if on < approved:
        message = "The date on which a loan is disbursed cannot be before its approval date: "
        code = "error.msg.loan.disbursal.cannot.be.before.approval.date"
        raise errors.rule(code, f"{message}{approved}", on, approved)
    if loan.first_repayment_on and on > loan.first_repayment_on:
        message = "submittedOnDate cannot be after the loans expectedFirstRepaymentOnDate"
        code = "error.msg.loan.disbursal.cannot.be.after.expected.first.repayment.date"
        raise errors.rule(code, message, on, loan.first_repayment_on)
    _check_calendar(world, loan, on)


def _check_calendar(world: "Mifos", loan: Loan, on: date) -> None:
    if world.products[loan.product_id].syncs_expected_date and on != loan.expected_on:
        code = "error.msg.actual.disbursement.date.does.not.match.with.expected.disbursal.date"
        message = "Actual disbursement date does not match with expected disbursal date"
        raise errors.rule(code, message, on, loan.expected_on)
    if on in world.non_working_days:
        code = "error.msg.loan.application.disbursement.date.on.non.working.day"
        message = "The expected disbursement date cannot be on a non working day"
        raise errors.rule(code, message, on)


def _check_type(world: "Mifos", type_id: int | None) -> None:
    if type_id is not None and type_id not in {t["id"] for t in world.payment_types}:
        message = f"Payment Type with identifier {type_id} does not exist"
        raise errors.missing("error.msg.payment.type.invalid", message, type_id)


def _amount(loan: Loan, asked: Decimal | None) -> Decimal:
    if loan.tranches:
        return _tranche_amount(loan, asked)
    if asked and asked > loan.approved_principal:
        message = "Loan can't be disbursed,disburse amount is exceeding approved amount "
        code = "error.msg.loan.disburse.amount.must.be.less.than.approved.amount"
        raise errors.rule(code, message, asked, loan.approved_principal)
    return asked or loan.approved_principal


def _tranche_amount(loan: Loan, asked: Decimal | None) -> Decimal:
    amount = asked or loan.open_tranches[0].principal
    so_far = sum((t.amount for t in loan.transactions if not t.reversed), Decimal(0))
    if so_far + amount > loan.approved_principal:
        message = "Loan can't be disbursed,disburse amount is exceeding approved principal "
        code = "error.msg.loan.disburse.amount.must.be.less.than.approved.principal"
        raise errors.rule(code, message, so_far + amount, loan.approved_principal)
    return amount


def _not_in_future(world: "Mifos", loan: Loan, on: date) -> None:
    if on > world.today():
        message = f"The date on which a loan with identifier : {loan.account_no} is disbursed "
        code = "error.msg.loan.disbursal.cannot.be.a.future.date"
        raise errors.rule(code, message + "cannot be in the future.", on)


def _check_unique(world: "Mifos", external_id: str | None) -> None:
    taken = {t.external_id for other in list(world.loans.values()) for t in other.transactions}
    if external_id and external_id in taken:
        code = "validation.msg.loan.transaction.externalId.value.must.be.unique"
        message = f"The external id {external_id} is already in use."
        raise errors.invalid(errors.detail(code, message, "externalId", external_id))


def _pay(
    world: "Mifos",
    loan: Loan,
    on: date,
    amount: Decimal,
    external_id: str | None,
    type_id: int | None,
    details: dict[str, str],
) -> None:
    first = loan.status != ACTIVE
    fees = loan.charges_at_disbursement if first else Decimal(0)
    paid = Transaction(world.transaction_id(), amount, on, fees, external_id, type_id, details)
    loan.transactions.append(paid)
    loan.status, loan.disbursed_on = ACTIVE, loan.disbursed_on or on
    if loan.tranches:
        loan.open_tranches[0].disbursed_on = on
    else:
        loan.principal, loan.net_disbursal = amount, amount - loan.charges_at_disbursement


def _changes(world: "Mifos", loan: Loan, body: Body, asked: Decimal | None) -> dict[str, Any]:
    raw = body.raw
    names = ("paymentTypeId", "locale", "dateFormat", "actualDisbursementDate")
    changes = {name: raw[name] for name in names if raw.get(name) is not None}
    changes["status"] = status(ACTIVE)
    if asked and not world.generation.is_idempotent:
        changes["transactionAmount"] = number(asked)
    if asked and asked != loan.approved_principal and not loan.tranches:
        changes["principal"] = number(asked)
    return changes
