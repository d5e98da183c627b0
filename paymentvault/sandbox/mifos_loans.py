"""How Fineract shows a loan: alone, in a list, and before it is disbursed."""

import re
from typing import TYPE_CHECKING, Any

from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox.mifos_records import ACTIVE, Loan, Tranche, Transaction
from paymentvault.sandbox.mifos_reference import payment_types
from paymentvault.sandbox.mifos_values import array, compact, currency, enum, number
from paymentvault.sandbox.server import Answer, Request

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

STATUSES = {
    100: ("submitted.and.pending.approval", "Submitted and pending approval"),
    200: ("approved", "Approved"),
    300: ("active", "Active"),
    400: ("withdrawn.by.client", "Withdrawn by applicant"),
    500: ("rejected", "Rejected"),
    600: ("closed.obligations.met", "Closed (obligations met)"),
    700: ("overpaid", "Overpaid"),
}
TYPES = {1: ("individual", "Individual"), 2: ("group", "Group"), 3: ("jlg", "JLG"),
         4: ("glim", "GLIM")}  # fmt: skip
GROUP = {"id": 7, "name": "Umoja Women Group"}
# The rest of what a loan has, such as clientName, is refused in `fields`.
FIELDS = {"id", "accountNo", "externalId", "clientId", "status", "principal", "currency", "timeline"}
ORDERS = {"id": "id", "accountNo": "account_no", "principal": "principal"}


def status(id_: int) -> dict[str, Any]:
    code, value = STATUSES[id_]
    return enum(id_, f"loanStatusType.{code}", value) | {
        "pendingApproval": id_ == 100,
        "waitingForDisbursal": id_ == 200,
        "active": id_ == 300,
        "closedObligationsMet": id_ == 600,
        "closedWrittenOff": id_ == 601,
        "closedRescheduled": id_ == 602,
        "closed": id_ in (600, 601, 602),
        "overpaid": id_ == 700,
    }


def shown(world: "Mifos", loan: Loan) -> dict[str, Any]:
    code, value = TYPES[loan.loan_type]
    net = number(loan.net_disbursal) if world.generation.shows_net_disbursal else None
    row = {
        "id": loan.id,
        "accountNo": loan.account_no,
        "externalId": loan.external_id,
        "status": status(loan.status),
        **_borrower(world, loan),
        "loanProductId": loan.product_id,
        "loanProductName": world.products[loan.product_id].name,
        "loanType": enum(loan.loan_type, f"loanType.{code}", value),
        "currency": currency(loan.currency),
        "principal": number(loan.principal),
        "approvedPrincipal": number(loan.approved_principal),
        "proposedPrincipal": number(loan.proposed_principal),
        "netDisbursalAmount": net,
        **_terms(),
        "timeline": _timeline(loan),
        "summary": _summary(loan),
        "feeChargesAtDisbursementCharged": number(loan.charges_at_disbursement),
        "multiDisburseLoan": bool(loan.tranches),
        "canDisburse": bool(loan.open_tranches) if loan.tranches else None,
        "isTopup": loan.topup,
        "closureLoanId": 1 if loan.topup else None,
        "topupAmount": 0 if loan.topup else None,
        "inArrears": False,
        "isNPA": False,
    }
    return compact(row)


def _borrower(world: "Mifos", loan: Loan) -> dict[str, Any]:
    if loan.client_id is None:
        return {"group": GROUP}
    client = world.clients[loan.client_id]
    return {
        "clientId": client.id,
        "clientAccountNo": f"{client.id:09d}",
        "clientName": client.name,
        "clientOfficeId": client.office_id,
    }


def _terms() -> dict[str, Any]:
    return {
        "termFrequency": 12,
        "termPeriodFrequencyType": enum(2, "termFrequency.periodFrequencyType.months", "Months"),
        "numberOfRepayments": 12,
        "repaymentEvery": 1,
        "repaymentFrequencyType": enum(
            2, "repaymentFrequency.periodFrequencyType.months", "Months"
        ),
        "interestRatePerPeriod": 2,
        "annualInterestRate": 24,
        "transactionProcessingStrategyCode": "mifos-standard-strategy",
    }


def _timeline(loan: Loan) -> dict[str, Any]:
    return compact(
        {
            "submittedOnDate": array(loan.submitted_on),
            **_by("submitted", loan.submitted_on),
            "approvedOnDate": array(loan.approved_on),
            **_by("approved", loan.approved_on),
            "expectedDisbursementDate": array(loan.expected_on),
            "actualDisbursementDate": array(loan.disbursed_on),
            **_by("disbursed", loan.disbursed_on),
            "closedOnDate": array(loan.closed_on),
        }
    )


def _by(act: str, when: object) -> dict[str, str]:
    if not when:
        return {}
    return {
        f"{act}ByUsername": "mifos",
        f"{act}ByFirstname": "App",
        f"{act}ByLastname": "Administrator",
    }


def _summary(loan: Loan) -> dict[str, Any] | None:
    if loan.status != ACTIVE:
        return None
    lent = number(sum((t.amount for t in loan.transactions if not t.reversed), loan.fees * 0))
    return {
        "currency": currency(loan.currency),
        "principalDisbursed": lent,
        "principalPaid": 0,
        "principalOutstanding": lent,
        "feeChargesDueAtDisbursementCharged": number(loan.charges_at_disbursement),
        "totalExpectedRepayment": lent,
        "totalRepayment": 0,
        "totalOutstanding": lent,
    }


def listed(world: "Mifos", request: Request) -> Answer:
    query = request.query
    loans = [loan for loan in world.loans.values() if _wanted(world, loan, query)]
    order = ORDERS.get(query.get("orderBy", "id"), "id")
    descending = query.get("sortOrder", "ASC").upper() == "DESC"
    loans.sort(key=lambda loan: getattr(loan, order), reverse=descending)
    page = _page(world, loans, query)
    rows = [_only(query, shown(world, loan)) for loan in page]
    return Answer(200, {"totalFilteredRecords": len(loans), "pageItems": rows})


def _page(world: "Mifos", loans: list[Loan], query: dict[str, str]) -> list[Loan]:
    start = int(query.get("offset") or 0)
    unasked = len(loans) if world.generation.filters_by_status else 200
    limit = int(query.get("limit") or unasked)
    return loans[start : start + limit] if limit >= 0 else loans[start:]


def _wanted(world: "Mifos", loan: Loan, query: dict[str, str]) -> bool:
    ids = _statuses(world, query)
    if ids is not None and loan.status not in ids:
        return False
    if "accountNo" in query and loan.account_no != query["accountNo"]:
        return False
    return "externalId" not in query or loan.external_id == query["externalId"]


def _statuses(world: "Mifos", query: dict[str, str]) -> set[int] | None:
    """The statuses asked for in the one way this generation hears, else all of them."""
    if world.generation.filters_by_status:
        return {int(query["status"])} if query.get("status") else None
    text = query.get("sqlSearch", "")
    match = re.fullmatch(r"\s*l\.loan_status_id\s*(?:=\s*(\d+)|in\s*\(([\d,\s]+)\))\s*", text)
    if not text:
        return None
    if not match:
        raise errors.crash(f"bad SQL grammar [{text}]")
    return {int(id_) for id_ in (match[1] or match[2]).split(",")}


def _only(query: dict[str, str], row: dict[str, Any]) -> dict[str, Any]:
    names = query.get("fields", "").split(",") if query.get("fields") else []
    if unknown := [name for name in names if name not in FIELDS]:
        raise errors.unsupported(*unknown)
    return {name: row[name] for name in names if name in row} if names else row


def one(world: "Mifos", request: Request, loan: Loan) -> Answer:
    asked = set(request.query.get("associations", "").split(","))
    everything = "all" in asked
    row = _only(request.query, shown(world, loan))
    if everything or "charges" in asked:
        row["charges"] = _charges(loan)
    if loan.transactions and (everything or "transactions" in asked):
        row["transactions"] = [t for each in loan.transactions for t in _lines(world, loan, each)]
    if loan.tranches and (everything or "multiDisburseDetails" in asked):
        row["disbursementDetails"] = [_tranche(world, each) for each in loan.tranches]
    return Answer(200, row)


def _charges(loan: Loan) -> list[dict[str, Any]]:
    regular = enum(0, "chargepaymentmode.regular", "Regular")
    transfer = enum(1, "chargepaymentmode.accounttransfer", "Account transfer")
    sums = ((loan.fees, "Processing fee", regular), (loan.transfer_charges, "Insurance", transfer))
    paid = loan.status == ACTIVE
    return [
        {
            "id": loan.id * 10 + index,
            "chargeId": index,
            "name": name,
            "chargeTimeType": enum(1, "chargeTimeType.disbursement", "Disbursement"),
            "chargeCalculationType": enum(1, "chargeCalculationType.flat", "Flat"),
            "currency": currency(loan.currency),
            "amount": number(amount),
            "amountPaid": number(amount) if paid else 0,
            "amountOutstanding": 0 if paid else number(amount),
            "penalty": False,
            "chargePaymentMode": mode,
            "paid": paid,
            "waived": False,
            "loanId": loan.id,
        }
        for index, (amount, name, mode) in enumerate(sums, start=1)
        if amount
    ]


def _lines(world: "Mifos", loan: Loan, paid: Transaction) -> list[dict[str, Any]]:
    """The disbursement, and the fees that were kept from it as a line of their own."""
    kind = enum(1, "loanTransactionType.disbursement", "Disbursement")
    line = _line(loan, paid, kind, disbursement=True) | {"amount": number(paid.amount)}
    if paid.payment_type_id is not None:
        line["paymentDetailData"] = _payment(world, paid)
    if not paid.fees:
        return [line]
    kept = enum(5, "loanTransactionType.repaymentAtDisbursement", "Repayment (at time of disbursement)")
    fee = _line(loan, paid, kept, disbursement=False)
    fee.pop("externalId", None)
    return [line, fee | {"id": paid.id + 1, "amount": number(paid.fees)}]


def _line(
    loan: Loan, paid: Transaction, kind: dict[str, Any], *, disbursement: bool
) -> dict[str, Any]:
    flags = {
        "disbursement": disbursement,
        "repaymentAtDisbursement": not disbursement,
        "repayment": False,
    }
    return compact(
        {
            "id": paid.id,
            "officeId": 1,
            "officeName": "Head Office",
            "type": kind | flags,
            "date": array(paid.date),
            "submittedOnDate": array(paid.date),
            "currency": currency(loan.currency),
            "externalId": paid.external_id,
            "manuallyReversed": paid.reversed,
        }
    )


def _payment(world: "Mifos", paid: Transaction) -> dict[str, Any]:
    type_ = next(t for t in world.payment_types if t["id"] == paid.payment_type_id)
    return {"id": paid.id, "paymentType": {"id": type_["id"], "name": type_["name"]}, **paid.details}


def _tranche(world: "Mifos", tranche: Tranche) -> dict[str, Any]:
    net = number(tranche.principal) if world.generation.shows_net_disbursal else None
    return compact(
        {
            "id": tranche.id,
            "expectedDisbursementDate": array(tranche.expected_on),
            "actualDisbursementDate": array(tranche.disbursed_on),
            "principal": number(tranche.principal),
            "netDisbursalAmount": net,
        }
    )


def template(world: "Mifos", request: Request, loan: Loan) -> Answer:
    if request.query.get("command") not in ("disburse", "disburseToSavings"):
        raise unsupported_command(request.query.get("command"))
    amount = loan.open_tranches[0].principal if loan.open_tranches else loan.approved_principal
    net = number(loan.net_disbursal) if world.generation.shows_net_disbursal else None
    row = {
        "type": enum(1, "loanTransactionType.disbursement", "Disbursement"),
        "date": array(loan.expected_on),
        "currency": currency(loan.currency),
        "amount": number(amount),
        "netDisbursalAmount": net,
        "manuallyReversed": False,
        "paymentTypeOptions": payment_types(world),
    }
    return Answer(200, compact(row))


def unsupported_command(command: str | None) -> errors.ApiError:
    code = "error.msg.query.parameter.value.unsupported"
    message = f"The query parameter command has an unsupported value of: {command}"
    return errors.invalid(errors.detail(code, message, "command", "command", command))
