"""What the pretend Mifos X keeps."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

PENDING, APPROVED, ACTIVE, WITHDRAWN, REJECTED = 100, 200, 300, 400, 500


@dataclass(frozen=True)
class User:
    id: int
    username: str
    password: str
    full_name: str
    permissions: frozenset[str]
    password_expired: bool = False

    def may(self, code: str) -> bool:
        reads_all = code.startswith("READ_") and "ALL_FUNCTIONS_READ" in self.permissions
        return reads_all or bool(self.permissions & {code, "ALL_FUNCTIONS"})


@dataclass
class Client:
    id: int
    name: str
    mobile: str | None
    active: bool
    since: date
    office_id: int = 1


@dataclass
class Product:
    id: int
    name: str
    short_name: str
    minimum: int
    maximum: int
    usual: int
    syncs_expected_date: bool = False


@dataclass
class Transaction:
    """One disbursement of money. Also readable as a dict: `transaction["amount"]`."""

    id: int
    amount: Decimal
    date: date
    fees: Decimal = Decimal(0)
    external_id: str | None = None
    payment_type_id: int | None = None
    details: dict[str, str] = field(default_factory=dict)
    reversed: bool = False

    @property
    def receipt_number(self) -> str | None:
        return self.details.get("receiptNumber")

    @property
    def account_number(self) -> str | None:
        return self.details.get("accountNumber")

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


@dataclass
class Tranche:
    id: int
    principal: Decimal
    expected_on: date
    disbursed_on: date | None = None


@dataclass
class Loan:
    id: int
    client_id: int | None
    product_id: int
    currency: str
    loan_type: int
    principal: Decimal
    proposed_principal: Decimal = field(init=False)
    approved_principal: Decimal = field(init=False)
    net_disbursal: Decimal = field(init=False)
    fees: Decimal
    transfer_charges: Decimal
    submitted_on: date
    expected_on: date
    topup: bool = False
    tranches: list[Tranche] = field(default_factory=list)
    status: int = PENDING
    approved_on: date | None = None
    disbursed_on: date | None = None
    closed_on: date | None = None
    first_repayment_on: date | None = None
    linked_savings: bool = False
    external_id: str | None = None
    transactions: list[Transaction] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.proposed_principal = self.approved_principal = self.principal
        self.net_disbursal = self.principal - self.charges_at_disbursement

    @property
    def charges_at_disbursement(self) -> Decimal:
        return self.fees + self.transfer_charges

    @property
    def account_no(self) -> str:
        return f"{self.id:09d}"

    @property
    def receipts(self) -> list[str]:
        return [t.receipt_number for t in self.transactions if t.receipt_number and not t.reversed]

    @property
    def open_tranches(self) -> list[Tranche]:
        return [tranche for tranche in self.tranches if not tranche.disbursed_on]


@dataclass
class Hook:
    id: int
    name: str
    display_name: str
    is_active: bool
    events: list[tuple[str, str]]
    """(entity, action) pairs. Typos are kept and never fire."""
    config: dict[str, str]
    created_on: date
    updated_on: date
    template_id: int | None = None

    @property
    def url(self) -> str:
        return self.config["Payload URL"]


@dataclass(frozen=True)
class HookDelivery:
    url: str
    body: dict[str, Any]
    headers: dict[str, str]
    status: int | None = None
    error: str | None = None


@dataclass
class Received:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    """Parsed when it is JSON, else text."""
    answer_status: int | None = None
    """None when the connection was cut instead of answered."""
