"""How Fineract shows a loan, on its own and as a row of a list."""

from typing import TYPE_CHECKING, Any

from paymentvault.sandbox.mifos_records import ACTIVE, Loan
from paymentvault.sandbox.mifos_values import array, compact, currency, enum, number

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
