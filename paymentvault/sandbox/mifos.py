"""A pretend Mifos X (Apache Fineract): strict like the real one, and it can fail on purpose."""

import argparse
import json
import secrets
import time
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from paymentvault.sandbox import mifos_bus as bus
from paymentvault.sandbox import mifos_commands as commands
from paymentvault.sandbox import mifos_control as control
from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox import mifos_page as page
from paymentvault.sandbox import mifos_routes as routes
from paymentvault.sandbox.mifos_auth import Token
from paymentvault.sandbox.mifos_faults import FAULTS, HOOK_FAULTS, check
from paymentvault.sandbox.mifos_generation import GENERATIONS
from paymentvault.sandbox.mifos_records import Client, Loan, Received, Tranche, User
from paymentvault.sandbox.mifos_state import State
from paymentvault.sandbox.mifos_values import java_text
from paymentvault.sandbox.server import Answer, Request, Reset, Server, serve_alone

__all__ = ["FAULTS", "Mifos"]

STAFF = User(1, "mifos", "", "App Administrator", frozenset({"ALL_FUNCTIONS"}))
SUBMITTED = (("Wanjiku Maina", 8_000, 0), ("Otieno Odera", 15_000, 500), ("Halima Yusuf", 4_500, 0))
ENGLISH = {"locale": "en", "dateFormat": "dd MMMM yyyy"}


class Mifos(State):
    def handle(self, request: Request) -> Answer:
        if request.path.startswith("/_sandbox/"):
            return control.handle(self, request)
        if not routes.is_api(request.path):
            return page.handle(self, request)
        return self._ledgered(request)

    def _ledgered(self, request: Request) -> Answer:
        received = Received(
            request.method, request.path, request.query, request.headers, _readable(request.body)
        )
        self.requests.append(received)
        self.endpoint = self.endpoint or f"http://{request.headers.get('host')}{routes.API}/"
        if self.down:
            raise Reset
        time.sleep(self.slow_s)
        answer = routes.meet(self, request)
        received.answer_status = answer.status
        return answer

    def add_user(
        self,
        username: str,
        password: str,
        *,
        permissions: Iterable[str] = ("ALL_FUNCTIONS",),
        password_expired: bool = False,
    ) -> None:
        self.users[username] = User(
            next(self.user_ids), username, password, username.title(),
            frozenset(permissions), password_expired,
        )  # fmt: skip

    def add_client(
        self, *, name: str = "Amina Otieno", mobile: str | None = "0712345678", active: bool = True
    ) -> int:
        id_ = next(self.client_ids)
        since = self.today() - timedelta(days=30)
        self.clients[id_] = Client(id_, name, mobile.strip() if mobile else None, active, since)
        return id_

    def add_loan(
        self,
        client_id: int | None,
        *,
        principal: Decimal | int = 10000,
        fees: Decimal | int = 0,
        product_id: int = 1,
        currency: str = "KES",
        topup: bool = False,
        tranches: bool = False,
        loan_type: int = 1,
        submitted_on: date | None = None,
        transfer_charges: Decimal | int = 0,
    ) -> int:
        """A loan that waits for approval. Without a client it belongs to a group."""
        if client_id is not None and client_id not in self.clients:
            raise ValueError(f"No client {client_id}")
        lent, today = Decimal(principal), self.today()
        loan = Loan(
            id=next(self.loan_ids), client_id=client_id, product_id=self.products[product_id].id,
            currency=currency, loan_type=2 if client_id is None and loan_type == 1 else loan_type,
            principal=lent, fees=Decimal(fees), transfer_charges=Decimal(transfer_charges),
            submitted_on=submitted_on or today - timedelta(days=7), expected_on=today,
            topup=topup, tranches=self._halves(lent, today) if tranches else [],
        )  # fmt: skip
        self.loans[loan.id] = loan
        return loan.id

    def _halves(self, lent: Decimal, expected: date) -> list[Tranche]:
        half = lent // 2
        later = expected + timedelta(days=30)
        parts = ((half, expected), (lent - half, later))
        return [Tranche(next(self.tranche_ids), amount, on) for amount, on in parts]

    def approve(
        self,
        loan_id: int,
        *,
        amount: Decimal | int | None = None,
        on: date | None = None,
        expected: date | None = None,
        faults: Sequence[str] = (),
    ) -> None:
        """As a loan officer does on screen. Returns once it is committed."""
        wrong = check(faults, HOOK_FAULTS)
        day = on or self.today()
        body: dict[str, Any] = {"approvedOnDate": java_text(day), **ENGLISH}
        body["expectedDisbursementDate"] = java_text(expected or day)
        if amount is not None:
            body["approvedLoanAmount"] = amount
        fails = "hook_failed_command" in wrong
        answer = bus.run(self, self._by_staff("approve", loan_id, body, fails), faults=wrong)
        if answer.status != 200 and not fails:
            raise errors.ApiError(answer)

    def undo_approval(self, loan_id: int) -> None:
        self._staff("undoapproval", loan_id, {"note": "Approved by mistake"})

    def reject(self, loan_id: int) -> None:
        self._staff("reject", loan_id, self._dated("rejectedOnDate"))

    def withdraw(self, loan_id: int) -> None:
        self._staff("withdrawnByApplicant", loan_id, self._dated("withdrawnOnDate"))

    def disburse_by_staff(self, loan_id: int, receipt: str | None = None) -> None:
        body = self._dated("actualDisbursementDate")
        if receipt:
            body |= {"paymentTypeId": 26, "receiptNumber": receipt}
        self._staff("disburse", loan_id, body)

    def undo_disbursal(self, loan_id: int) -> None:
        self._staff("undodisbursal", loan_id, {"note": "Disbursed by mistake"})

    def _dated(self, name: str) -> dict[str, Any]:
        return {name: java_text(self.today()), **ENGLISH}

    def _staff(self, name: str, loan_id: int, body: dict[str, Any]) -> None:
        bus.perform(self, self._by_staff(name, loan_id, body), checked=True)

    def _by_staff(
        self, name: str, loan_id: int, body: dict[str, Any], fails: bool = False
    ) -> bus.Command:
        def decide() -> bus.Outcome:
            if fails:
                raise errors.conflict()
            return commands.decide(self, name, loan_id, body)

        action = commands.COMMANDS[name].action
        return bus.Command("LOAN", action, STAFF, body, decide, loan_id)

    def approve_parked(self, loan_id: int) -> None:
        """A checker says yes to the command that waits for this loan."""
        waiting = [p for p in self.parked.values() if p.command.loan_id == loan_id]
        if not waiting:
            raise ValueError(f"Nothing is parked for loan {loan_id}")
        bus.approve(self, waiting[0])

    def plan(self, *faults: str, loan_id: int | None = None, command: str | None = None) -> None:
        """Faults that the next API calls meet, one each, in this order."""
        self.faults.add(faults, loan_id=loan_id, command=command)

    def set_mobile(self, client_id: int, mobile: str | None) -> None:
        self.clients[client_id].mobile = mobile

    def set_maker_checker(self, on: bool) -> None:
        self.maker_checker = on

    def expire_oauth_tokens(self) -> None:
        self.tokens = {value: Token(token.user, 0.0) for value, token in self.tokens.items()}


def _readable(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def _submit_loans(world: Mifos) -> None:
    for name, principal, fees in SUBMITTED:
        # Other numbers each time: M-Pesa's daily limit counts across runs in one database.
        client_id = world.add_client(name=name, mobile=f"0722{secrets.randbelow(10**6):06}")
        world.add_loan(client_id, principal=principal, fees=fees)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--generation", choices=GENERATIONS, default="1.10")
    parser.add_argument("--tenant", default="default")
    parser.add_argument("--hook-delay", type=float, default=0.05)
    parser.add_argument("--safaricom", help="where the pretend Safaricom is, for its faults")
    parser.add_argument("--lender", default="", help="whose it is, for the title of its page")
    parser.add_argument("--with-loans", action="store_true", help="begin with some to approve")
    options = parser.parse_args()
    world = Mifos(
        generation=options.generation, tenant=options.tenant, hook_delay_s=options.hook_delay
    )
    world.safaricom_url, world.lender = options.safaricom, options.lender
    if options.with_loans:
        _submit_loans(world)
    serve_alone(Server(world, host=options.host, port=options.port))


if __name__ == "__main__":
    main()
