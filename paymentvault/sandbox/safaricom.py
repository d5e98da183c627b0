"""The pretend Safaricom: Daraja's B2C, status and balance APIs, as strict as the real ones.

Faults on demand are listed in safaricom_faults.py. Run it alone with
`python -m paymentvault.sandbox.safaricom`.
"""

import argparse
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from paymentvault.sandbox import safaricom_answers as answers
from paymentvault.sandbox import safaricom_page as page
from paymentvault.sandbox import safaricom_rules as rules
from paymentvault.sandbox.keys import shared_keys
from paymentvault.sandbox.safaricom_callbacks import Courier, Delivery
from paymentvault.sandbox.safaricom_control import PREFIX, control
from paymentvault.sandbox.safaricom_core import Account, Core, Operator, Payment
from paymentvault.sandbox.safaricom_faults import (
    FAULTS,
    STATUS_FAULTS,
    Plans,
    any_fault,
)
from paymentvault.sandbox.safaricom_gateway import PRODUCTS, App, Gateway
from paymentvault.sandbox.safaricom_payouts import Payouts
from paymentvault.sandbox.safaricom_queries import Queries
from paymentvault.sandbox.server import Answer, Request, Server, World, serve_alone

__all__ = ["FAULTS", "STATUS_FAULTS", "Delivery", "Payment", "Received", "Safaricom", "main"]

TOKENS = "/oauth/v1/generate"
PAYMENTS = "/mpesa/b2c/v3/paymentrequest"
STATUS = "/mpesa/transactionstatus/v1/query"
BALANCE = "/mpesa/accountbalance/v1/query"


@dataclass
class Received:
    method: str
    path: str
    body: dict[str, Any] | None
    answer_status: int | None = None
    """None while it is being answered, and for good when the connection was broken off."""


@dataclass(frozen=True)
class Api:
    product: str
    wrong_field: Callable[[Mapping[str, Any]], str | None]
    serve: Callable[[App, Mapping[str, Any]], Answer]


class Safaricom(World):
    def __init__(
        self, *, seed: int = 0, callback_delay_s: float = 0.2, token_life_s: int = 3599
    ) -> None:
        self.callback_delay_s = callback_delay_s
        self.core = Core(shared_keys())
        self.gateway = Gateway(token_life_s)
        self.courier = Courier()
        self.plans, self.status_plans = Plans(FAULTS), Plans(STATUS_FAULTS)
        self.requests: list[Received] = []
        self._payouts = Payouts(self.core, self.courier, random.Random(seed))
        self._queries = Queries(self.core, self.courier, self.status_plans)
        self._apis = self._catalogue()

    @property
    def certificate_pem(self) -> str:
        return self.core.keys.certificate_pem

    @property
    def ledger(self) -> list[Payment]:
        return self.core.ledger

    @property
    def callbacks(self) -> list[Delivery]:
        return self.courier.deliveries

    @property
    def unregistered(self) -> set[str]:
        return self.core.unregistered

    @property
    def accounts(self) -> dict[str, Account]:
        return self.core.accounts

    @property
    def apps(self) -> dict[str, App]:
        return self.gateway.apps

    def add_app(
        self,
        *,
        consumer_key: str,
        consumer_secret: str,
        shortcode: str,
        initiator: str,
        password: str,
        utility_balance: Decimal | int = 1_000_000,
        products: Iterable[str] = PRODUCTS,
    ) -> None:
        self.gateway.register(consumer_key, consumer_secret, frozenset(products), shortcode)
        self.core.open(shortcode, Decimal(utility_balance), Operator(initiator, password))

    def plan(self, msisdn: str, *faults: str) -> None:
        """Let the k-th B2C request to a number meet the k-th fault; after them all is normal."""
        self.plans.plan(msisdn, faults)

    def plan_status(self, msisdn: str, *faults: str) -> None:
        """Let the k-th status query about a payment to a number meet the k-th fault."""
        self.status_plans.plan(msisdn, faults)

    def plan_at_random(self, seed: int, share: float, *faults: str) -> None:
        """Let this share of the B2C requests without a plan meet one of the faults, or of all."""
        self.plans.at_random(seed, share, faults or any_fault())

    def set_balance(self, shortcode: str, utility: Decimal | int) -> None:
        self.core.accounts[shortcode].utility = Decimal(utility)

    def lock_initiator(self, shortcode: str) -> None:
        for operator in self.core.accounts[shortcode].operators.values():
            operator.locked = True

    def unlock_initiator(self, shortcode: str) -> None:
        for operator in self.core.accounts[shortcode].operators.values():
            operator.locked, operator.wrong_tries = False, 0

    def expire_tokens(self) -> None:
        self.gateway.expire_tokens()

    def paid_to(self, msisdn: str) -> list[Payment]:
        return [p for p in list(self.ledger) if (p.msisdn, p.status) == (msisdn, "Completed")]

    def settle(self, timeout_s: float = 5) -> bool:
        """Wait until no callback is on its way, and say whether that came true."""
        return self.courier.settle(timeout_s)

    def reset(self) -> None:
        for part in (self.courier, self.core, self.gateway, self.plans, self.status_plans):
            part.forget()
        self.requests.clear()

    def handle(self, request: Request) -> Answer:
        if request.path.startswith(PREFIX):
            return control(self, request)
        if seen := page.answer(self, request):
            return seen
        received = Received(request.method, request.path, _object(request))
        self.requests.append(received)
        answer = self._route(request, received.body)
        received.answer_status = answer.status
        return answer

    def _route(self, request: Request, body: dict[str, Any] | None) -> Answer:
        method = "GET" if request.path == TOKENS else "POST"
        if request.path != TOKENS and request.path not in self._apis:
            return answers.refusal("404.001.01")
        if request.method != method:
            return answers.refusal("405.001")
        if request.path == TOKENS:
            return self.gateway.new_token(request)
        return self._call(self._apis[request.path], request, body)

    def _call(self, api: Api, request: Request, body: dict[str, Any] | None) -> Answer:
        app = self.gateway.admit(request, api.product)
        if isinstance(app, Answer):
            return app
        if body is None:
            return answers.refusal("400.002.05")
        wrong = api.wrong_field(body)
        if wrong is None and body["PartyA"] not in app.shortcodes:
            wrong = "PartyA"
        return answers.wrong(wrong) if wrong else api.serve(app, body)

    def _catalogue(self) -> dict[str, Api]:
        return {
            PAYMENTS: Api("b2c", rules.wrong_payment_field, self._pay),
            STATUS: Api("status", rules.wrong_status_field, self._tell_status),
            BALANCE: Api("balance", rules.wrong_balance_field, self._tell_balance),
        }

    def _pay(self, app: App, body: Mapping[str, Any]) -> Answer:
        fault = self.plans.next(body["PartyB"])
        if fault.has("token_expired"):
            return self._lose_token(app)
        return self._payouts.serve(body, fault, self.callback_delay_s)

    def _lose_token(self, app: App) -> Answer:
        value, app.token = (app.token.value if app.token else ""), None
        return answers.invalid_token(value)

    def _tell_status(self, app: App, body: Mapping[str, Any]) -> Answer:
        return self._queries.status(body, self.callback_delay_s)

    def _tell_balance(self, app: App, body: Mapping[str, Any]) -> Answer:
        return self._queries.balance(body, self.callback_delay_s)


def _object(request: Request) -> dict[str, Any] | None:
    """Return the JSON object sent, or None for anything else."""
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        return None
    try:
        body = request.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def main() -> None:
    options = _options()
    world = Safaricom(seed=options.seed, callback_delay_s=options.callback_delay)
    serve_alone(Server(world, host=options.host, port=options.port))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--callback-delay", type=float, default=0.2, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
