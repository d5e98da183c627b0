"""What the pretend Mifos X remembers, its clock and its settings."""

import itertools
import threading
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from paymentvault.sandbox.mifos_auth import Token
from paymentvault.sandbox.mifos_bus import Key, Parked
from paymentvault.sandbox.mifos_faults import Plan
from paymentvault.sandbox.mifos_generation import Generation
from paymentvault.sandbox.mifos_records import (
    Client,
    Hook,
    HookDelivery,
    Loan,
    Product,
    Received,
    User,
)
from paymentvault.sandbox.mifos_reference import PAYMENT_TYPES
from paymentvault.sandbox.server import Answer, UnderWay, World


class State(World):
    """Everything a Mifos keeps; `Mifos` is what can be done with it."""

    def __init__(
        self,
        *,
        generation: str = "1.10",
        tenant: str = "default",
        zone: str = "Africa/Nairobi",
        hook_delay_s: float = 0.05,
    ) -> None:
        self.generation = Generation.named(generation)
        self.tenant, self.zone, self.hook_delay_s = tenant, ZoneInfo(zone), hook_delay_s
        self.safaricom_url: str | None = None
        self.lender = ""
        """Whose it is, for the title of its page."""
        self.lock = threading.RLock()
        self.era = 0
        self.under_way = UnderWay()
        self.reset()

    def settle(self, timeout_s: float = 5) -> bool:
        """Wait until no hook is on its way, and say whether that came true."""
        return self.under_way.settle(timeout_s)

    def reset(self) -> None:
        """Back to a new world; hooks still on their way are forgotten."""
        self.era += 1
        self._reset_settings()
        self.users: dict[str, User] = {}
        self.clients: dict[int, Client] = {}
        self.loans: dict[int, Loan] = {}
        self.hooks: dict[int, Hook] = {}
        self.deliveries: list[HookDelivery] = []
        self.requests: list[Received] = []
        self.parked: dict[int, Parked] = {}
        self.answers: dict[Key, Answer | None] = {}
        self.tokens: dict[str, Token] = {}
        self.faults = Plan()
        self._reset_ids()

    def _reset_settings(self) -> None:
        self.down, self.slow_s = False, 0.0
        self.maker_checker = False
        self.use_oauth, self.oauth_token_life_s = False, 3600.0
        self.business_date: date | None = None
        self.non_working_days: set[date] = set()
        self.hook_commit_lag_s = 0.2
        self.endpoint: str | None = None
        self.payment_types: list[dict[str, Any]] = [dict(row) for row in PAYMENT_TYPES]
        self.products = {
            1: Product(1, "Biashara Loan", "bia", 1000, 500_000, 10_000),
            2: Product(2, "Elimu Loan", "elm", 1000, 200_000, 20_000),
        }

    def _reset_ids(self) -> None:
        # Each kind counts from elsewhere, so that a mixed-up id is found out.
        self.user_ids, self.client_ids = itertools.count(2), itertools.count(11)
        self.loan_ids, self.hook_ids = itertools.count(3001), itertools.count(4)
        self.tranche_ids, self.command_ids = itertools.count(71), itertools.count(4711)
        # By two: the fees kept from a disbursement are a transaction of their own.
        self._transaction_ids = itertools.count(9001, 2)
        self._turns: dict[int, threading.Lock] = defaultdict(threading.Lock)

    def transaction_id(self) -> int:
        return next(self._transaction_ids)

    def today(self) -> date:
        return self.business_date or datetime.now(self.zone).date()

    def turn(self, loan_id: int | None) -> AbstractContextManager[Any]:
        """One command at a time; per loan where commands sleep before they commit."""
        if loan_id is None:
            return nullcontext()
        return self._turns[loan_id] if self.generation.hook_precedes_commit else self.lock

    def needs_checker(self, action: str, entity: str) -> bool:
        return self.maker_checker and (action, entity) == ("DISBURSE", "LOAN")
