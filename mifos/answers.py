"""What Mifos X answers, as frozen dataclasses: money as Decimal, dates as date."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

SUBMITTED, APPROVED, ACTIVE = 100, 200, 300
# Active, in transfer, closed in one of three ways, overpaid: its money is out.
DISBURSED = {ACTIVE, 303, 304, 600, 601, 602, 700}
LARGEST_ID = 2**63 - 1
DISBURSEMENT_CHARGE = "chargeTimeType.disbursement"
ACCOUNT_TRANSFER = "chargepaymentmode.accounttransfer"


class Unreadable(ValueError):
    """An answer without what it must have."""


@dataclass(frozen=True)
class LoanTransaction:
    id: int
    is_disbursement: bool
    is_reversed: bool
    amount: Decimal
    on: date | None
    external_id: str
    receipt: str


@dataclass(frozen=True)
class Loan:
    id: int
    account: str
    status_id: int
    status: str
    client_id: int | None
    client_name: str
    product_id: int | None
    product_name: str
    office_id: int | None
    currency: str
    principal: Decimal
    approved_principal: Decimal
    fees_at_disbursement: Decimal
    net_disbursal: Decimal | None
    approved_on: date | None
    is_individual: bool
    is_top_up: bool
    has_tranches: bool
    has_transfer_charges: bool
    transactions: tuple[LoanTransaction, ...] = ()

    @property
    def is_approved(self) -> bool:
        return self.status_id == APPROVED

    @property
    def is_disbursed(self) -> bool:
        return self.status_id in DISBURSED

    @property
    def disbursements(self) -> list[LoanTransaction]:
        return [t for t in self.transactions if t.is_disbursement and not t.is_reversed]


@dataclass(frozen=True)
class Client:
    id: int
    name: str
    mobile: str
    is_active: bool
    office_id: int | None


@dataclass(frozen=True)
class LoanProduct:
    id: int
    name: str
    currency: str
    min_principal: Decimal | None
    max_principal: Decimal | None


@dataclass(frozen=True)
class PaymentType:
    id: int
    name: str
    is_cash: bool


@dataclass(frozen=True)
class Office:
    id: int
    name: str


@dataclass(frozen=True)
class Hook:
    id: int
    name: str
    display_name: str
    is_active: bool
    events: tuple[tuple[str, str], ...]
    """Pairs of entity and action, such as ("LOAN", "APPROVE")."""
    config: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.config.get("Payload URL", "")


@dataclass(frozen=True)
class Identity:
    username: str
    permissions: frozenset[str]

    def may(self, permission: str) -> bool:
        everything = {"ALL_FUNCTIONS"}
        if permission.startswith("READ_"):
            everything.add("ALL_FUNCTIONS_READ")
        return permission in self.permissions or bool(everything & self.permissions)


@dataclass(frozen=True)
class CommandResult:
    """A command's answer. Applied only if the status says so: it may have been parked."""

    resource_id: int | None
    transaction_id: int | None
    status_id: int | None
    is_parked: bool


def money(value: Any) -> Decimal:
    """Raises Unreadable for what isn't a finite number."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or abs(amount) >= Decimal(10) ** 12:
        raise Unreadable(f"{str(value)[:40]!r} is not an amount.")
    return amount


def optional_money(value: Any) -> Decimal | None:
    return None if value is None else money(value)


def day(value: Any) -> date | None:
    """Mifos writes a date as [year, month, day]."""
    if isinstance(value, list) and len(value) >= 3:
        try:
            return date(*(int(part) for part in value[:3]))
        except (TypeError, ValueError):
            raise Unreadable(f"{str(value)[:40]} is not a date.") from None
    return None


def number(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_ID:
        return value
    raise Unreadable(f"{str(value)[:40]!r} is not an id.")


def optional_number(value: Any) -> int | None:
    return None if value is None else number(value)


def loan(body: Any) -> Loan:
    """Raises Unreadable if what a payout stands on is missing."""
    if not isinstance(body, dict) or not isinstance(status := body.get("status"), dict):
        raise Unreadable("There is no loan in Mifos X's answer.")
    timeline = as_object(body.get("timeline"))
    principal = money(body.get("principal", 0))
    return Loan(
        id=number(body.get("id")),
        account=_text(body.get("accountNo")),
        status_id=number(status.get("id")),
        status=str(status.get("value") or status.get("description") or status.get("code") or ""),
        client_id=optional_number(body.get("clientId")),
        client_name=_text(body.get("clientName")),
        product_id=optional_number(body.get("loanProductId")),
        product_name=_text(body.get("loanProductName")),
        office_id=optional_number(body.get("clientOfficeId")),
        currency=str(as_object(body.get("currency")).get("code") or ""),
        principal=principal,
        approved_principal=money(body.get("approvedPrincipal", principal)),
        fees_at_disbursement=_fees(body),
        net_disbursal=optional_money(body.get("netDisbursalAmount")),
        approved_on=day(timeline.get("approvedOnDate")),
        is_individual=as_object(body.get("loanType")).get("id", 1) == 1 and "clientId" in body,
        is_top_up=bool(body.get("isTopup")),
        has_tranches=bool(body.get("multiDisburseLoan") or body.get("disbursementDetails")),
        has_transfer_charges=any(_is_transfer(charge) for charge in _due_charges(body)),
        transactions=tuple(loan_transaction(t) for t in as_list(body.get("transactions"))),
    )


def loan_transaction(body: dict[str, Any]) -> LoanTransaction:
    return LoanTransaction(
        id=number(body.get("id")),
        is_disbursement=bool(as_object(body.get("type")).get("disbursement")),
        is_reversed=bool(body.get("manuallyReversed") or body.get("reversedOnDate")),
        amount=money(body.get("amount", 0)),
        on=day(body.get("date")),
        external_id=str(body.get("externalId") or ""),
        receipt=str(as_object(body.get("paymentDetailData")).get("receiptNumber") or ""),
    )


def client(body: dict[str, Any]) -> Client:
    return Client(
        id=number(body.get("id")),
        name=_text(body.get("displayName")),
        mobile=_text(body.get("mobileNo")),
        is_active=as_object(body.get("status")).get("id") == ACTIVE,
        office_id=optional_number(body.get("officeId")),
    )


def loan_product(body: dict[str, Any]) -> LoanProduct:
    return LoanProduct(
        id=number(body.get("id")),
        name=str(body.get("name") or ""),
        currency=str(as_object(body.get("currency")).get("code") or ""),
        min_principal=optional_money(body.get("minPrincipal")),
        max_principal=optional_money(body.get("maxPrincipal")),
    )


def payment_type(body: dict[str, Any]) -> PaymentType:
    return PaymentType(
        number(body.get("id")), str(body.get("name") or ""), bool(body.get("isCashPayment"))
    )


def office(body: dict[str, Any]) -> Office:
    return Office(number(body.get("id")), str(body.get("name") or ""))


def hook(body: dict[str, Any]) -> Hook:
    return Hook(
        id=number(body.get("id")),
        name=str(body.get("name") or ""),
        display_name=_text(body.get("displayName")),
        is_active=body.get("isActive") is True,
        events=tuple(
            (str(event.get("entityName")), str(event.get("actionName")))
            for event in as_list(body.get("events"))
        ),
        config={
            str(item.get("fieldName")): str(item.get("fieldValue"))
            for item in as_list(body.get("config"))
        },
    )


def command_result(body: dict[str, Any]) -> CommandResult:
    status = as_object(as_object(body.get("changes")).get("status"))
    return CommandResult(
        resource_id=optional_number(body.get("resourceId")),
        transaction_id=optional_number(body.get("subResourceId")),
        status_id=optional_number(status.get("id")),
        is_parked="commandId" in body and not status,
    )


def _text(value: Any) -> str:
    """Free text as PostgreSQL can hold it: without NUL and halves of characters."""
    text = str(value or "").replace("\x00", "\ufffd")
    return text.encode("utf-8", errors="replace").decode()


def _fees(body: dict[str, Any]) -> Decimal:
    """Fees due at disbursement: as the server sums them, else from the charges themselves."""
    told = money(body.get("feeChargesAtDisbursementCharged", 0))
    return told or sum((money(c.get("amount", 0)) for c in _due_charges(body)), Decimal(0))


def _due_charges(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        charge
        for charge in as_list(body.get("charges"))
        if as_object(charge.get("chargeTimeType")).get("code") == DISBURSEMENT_CHARGE
    ]


def _is_transfer(charge: dict[str, Any]) -> bool:
    mode = as_object(charge.get("chargePaymentMode")).get("code")
    return str(mode).lower().replace(".", "").replace("_", "") == ACCOUNT_TRANSFER.replace(".", "")


def as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
