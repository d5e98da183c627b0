"""M-Pesa itself, behind the gateway: operators, accounts, and what truly happened."""

import secrets
import string
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from paymentvault.sandbox.keys import Keys

NAIROBI = timezone(timedelta(hours=3), "EAT")
SMALLEST, LARGEST = 10, 250_000
TRIES_BEFORE_LOCK = 3
FEE = Decimal("22.40")
PAID, INVALID_INITIATOR, LOCKED = "0", "2001", "8006"


@dataclass
class Operator:
    name: str
    password: str
    wrong_tries: int = 0
    locked: bool = False


@dataclass
class Account:
    """A B2C shortcode: where its money is, and who may move it."""

    shortcode: str
    utility: Decimal
    working: Decimal = Decimal(0)
    charges: Decimal = Decimal(0)
    operators: dict[str, Operator] = field(default_factory=dict)


@dataclass(frozen=True)
class Payment:
    originator_conversation_id: str
    conversation_id: str
    receipt: str
    msisdn: str
    amount: int
    shortcode: str
    status: str
    """Completed, or Declined: accepted by the gateway, and nothing moved."""
    at: datetime
    result_code: str = PAID
    command_id: str = "BusinessPayment"
    utility_after: Decimal = Decimal(0)
    charges_after: Decimal = Decimal(0)


class Core:
    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.accounts: dict[str, Account] = {}
        self.ledger: list[Payment] = []
        self.unregistered: set[str] = set()
        self._seen: set[str] = set()
        self._lock = threading.RLock()

    def forget(self) -> None:
        with self._lock:
            for kept in (self.accounts, self.ledger, self.unregistered, self._seen):
                kept.clear()

    def open(self, shortcode: str, utility: Decimal, operator: Operator) -> None:
        with self._lock:
            account = self.accounts.setdefault(shortcode, Account(shortcode, utility))
            account.utility = utility
            account.operators[operator.name] = operator

    def refuses(self, shortcode: str, initiator: str, credential: str) -> str | None:
        """Return the result code that turns this operator away, counting wrong passwords."""
        with self._lock:
            operator = self.accounts[shortcode].operators.get(initiator)
            if operator is None:
                return INVALID_INITIATOR
            if operator.locked:
                return LOCKED
            if self.keys.decrypt(credential) == operator.password.encode():
                operator.wrong_tries = 0
                return None
            operator.wrong_tries += 1
            operator.locked = operator.wrong_tries >= TRIES_BEFORE_LOCK
            return INVALID_INITIATOR

    def take(self, body: Mapping[str, Any], planned_result: str | None = None) -> Payment | None:
        """Take a payment order and carry it out, or None when its id was seen before."""
        with self._lock:
            own_id = body["OriginatorConversationID"]
            if own_id in self._seen:
                return None
            self._seen.add(own_id)
            result = self._result(body, planned_result)
            if result == PAID:
                self._move(self.accounts[body["PartyA"]], int(body["Amount"]))
            return self._write(body, result)

    def _result(self, body: Mapping[str, Any], planned: str | None) -> str:
        account, amount = self.accounts[body["PartyA"]], int(body["Amount"])
        refused = self.refuses(body["PartyA"], body["InitiatorName"], body["SecurityCredential"])
        if refused or planned:
            return refused or planned or PAID
        if amount < SMALLEST:
            return "2"
        if amount > LARGEST:
            return "3"
        if body["PartyB"] in self.unregistered:
            return "2040"
        return "1" if amount > account.utility else PAID

    def _move(self, account: Account, amount: int) -> None:
        account.utility -= amount
        account.charges -= FEE

    def _write(self, body: Mapping[str, Any], result: str) -> Payment:
        account = self.accounts[body["PartyA"]]
        payment = Payment(
            originator_conversation_id=body["OriginatorConversationID"],
            conversation_id=new_conversation_id(),
            receipt=new_receipt(),
            msisdn=body["PartyB"],
            amount=int(body["Amount"]),
            shortcode=account.shortcode,
            status="Completed" if result == PAID else "Declined",
            at=now(),
            result_code=result,
            command_id=body["CommandID"],
            utility_after=account.utility,
            charges_after=account.charges,
        )
        self.ledger.append(payment)
        return payment

    def find(self, shortcode: str, *, receipt: str, own_id: str) -> Payment | None:
        """Return the shortcode's payment that answers to every name given."""
        with self._lock:
            for payment in self.ledger:
                if (
                    payment.shortcode == shortcode
                    and receipt in ("", payment.receipt)
                    and own_id in ("", payment.originator_conversation_id)
                ):
                    return payment
        return None


def now() -> datetime:
    return datetime.now(NAIROBI)


# The ids come from the system's randomness, not from the world's seed: a restarted world
# must not hand out a receipt that somebody's database already has.
def new_receipt() -> str:
    letters = string.ascii_uppercase
    return secrets.choice(letters) + "".join(
        secrets.choice(letters + string.digits) for _ in range(9)
    )


def new_conversation_id() -> str:
    return f"AG_{now():%Y%m%d}_{secrets.token_hex(10)}"
