"""What payouts need of the loan system behind a disbursement; `mifos` fills it in.

A disbursement entered by hand or through the API has no loan system behind it.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Protocol

from disbursements.models import Disbursement


def cents(amount: Decimal) -> Decimal:
    """Mifos X computes with six decimals; money has two."""
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


@dataclass(frozen=True)
class LoanFacts:
    """A loan and its client as the loan system has them now. Amounts are in `currency`."""

    loan_id: int
    is_approved: bool
    status_words: str
    read_at: datetime
    account: str = ""
    approved_on: date | None = None
    product_id: int | None = None
    product_name: str = ""
    client_id: int | None = None
    client_name: str = ""
    client_is_active: bool = True
    phone: str = ""
    currency: str = "KES"
    gross: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    net_told: Decimal | None = None
    """What the loan system itself says is to be paid, where it says so."""
    is_disbursed: bool = False
    is_top_up: bool = False
    has_tranches: bool = False
    is_individual: bool = True
    has_transfer_charges: bool = False

    @property
    def net(self) -> Decimal:
        return cents(self.gross) - cents(self.fees)


class LoanSystem(Protocol):
    def read(self, disbursement: Disbursement) -> LoanFacts:
        """The loan as it is now. Raises paymentvault.http.RemoteError."""

    def paid(self, disbursement: Disbursement) -> None:
        """Ring whoever records the payment; called inside the transaction that says paid."""


_systems: list[LoanSystem] = []


def register(system: LoanSystem) -> None:
    _systems[:] = [system]


def system_of(disbursement: Disbursement) -> LoanSystem | None:
    return _systems[0] if disbursement.connection_id and _systems else None
