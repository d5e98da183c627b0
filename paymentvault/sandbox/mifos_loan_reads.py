"""GET /loans, /loans/{id} with its associations, and the disburse template."""

import re
from typing import TYPE_CHECKING, Any

from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox.mifos_loans import shown
from paymentvault.sandbox.mifos_records import ACTIVE, Loan, Tranche, Transaction
from paymentvault.sandbox.mifos_reference import payment_types
from paymentvault.sandbox.mifos_values import array, compact, currency, enum, number
from paymentvault.sandbox.server import Answer, Request

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

# The rest of what a loan has, such as clientName, is refused in `fields`.
FIELDS = {
    "id",
    "accountNo",
    "externalId",
    "clientId",
    "status",
    "principal",
    "currency",
    "timeline",
}
ORDERS = {"id": "id", "accountNo": "account_no", "principal": "principal"}


def listed(world: "Mifos", request: Request) -> Answer:
    query = request.query
    ids = _statuses(world, query)
    loans = [loan for loan in list(world.loans.values()) if _wanted(loan, query, ids)]
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


def _wanted(loan: Loan, query: dict[str, str], ids: set[int] | None) -> bool:
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
    kept = enum(
        5, "loanTransactionType.repaymentAtDisbursement", "Repayment (at time of disbursement)"
    )
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
    return {
        "id": paid.id,
        "paymentType": {"id": type_["id"], "name": type_["name"]},
        **paid.details,
    }


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
