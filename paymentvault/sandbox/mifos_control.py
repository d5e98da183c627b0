"""The pretend world's own controls, in JSON under /_sandbox: no part of Fineract."""

import re
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from paymentvault.sandbox.mifos_errors import ApiError
from paymentvault.sandbox.mifos_faults import FAULTS
from paymentvault.sandbox.mifos_records import Loan, Transaction
from paymentvault.sandbox.mifos_values import compact, number
from paymentvault.sandbox.server import Answer, Request

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

Given = dict[str, Any]
DATES = ("on", "expected", "submitted_on", "business_date")
SETTINGS = {
    "down", "slow_s", "maker_checker", "business_date", "use_oauth", "oauth_token_life_s",
    "hook_delay_s", "hook_commit_lag_s", "non_working_days",
}  # fmt: skip


def handle(world: "Mifos", request: Request) -> Answer:
    path = request.path.removeprefix("/_sandbox")
    for method, pattern, act in ROUTES:
        match = re.fullmatch(pattern, path)
        if match and method == request.method:
            ids = map(int, match.groups())
            return _answer(partial(_act, world, request, act, *ids))
    return Answer(404, {"error": f"There is no {request.method} {request.path} here"})


def _answer(act: Callable[[], Any]) -> Answer:
    try:
        return Answer(200, act() or {})
    except ApiError as error:
        return error.answer
    except (ValueError, TypeError, KeyError) as error:
        return Answer(400, {"error": str(error)})


def _act(world: "Mifos", request: Request, act: Callable[..., Any], *ids: int) -> Any:
    return act(world, _given(request), *ids)


def _given(request: Request) -> Given:
    given = request.json() if request.body else {}
    if not isinstance(given, dict):
        raise TypeError("a JSON object is expected")
    return {name: _value(name, value) for name, value in given.items()}


def _value(name: str, value: Any) -> Any:
    if name == "non_working_days":
        return {date.fromisoformat(day) for day in value}
    return date.fromisoformat(value) if name in DATES and value else value


def _add_user(world: "Mifos", given: Given) -> None:
    world.add_user(given.pop("username"), given.pop("password"), **given)


def _add_client(world: "Mifos", given: Given) -> Given:
    return {"id": world.add_client(**given)}


def _set_mobile(world: "Mifos", given: Given, client_id: int) -> None:
    world.set_mobile(client_id, given["mobile"])


def _add_loan(world: "Mifos", given: Given) -> Given:
    """With a client_id, or with the name and mobile of a new client."""
    if "client_id" not in given:
        who = {name: given.pop(name) for name in ("name", "mobile") if name in given}
        given["client_id"] = world.add_client(**who)
    return {"id": world.add_loan(given.pop("client_id"), **given)}


def _plan(world: "Mifos", given: Given) -> None:
    world.plan(*given.pop("faults"), **given)


def _set(world: "Mifos", given: Given) -> None:
    if unknown := set(given) - SETTINGS:
        raise ValueError(f"Unknown settings: {', '.join(sorted(unknown))}")
    for name, value in given.items():
        setattr(world, name, value)


def _loans(world: "Mifos", given: Given) -> Given:
    return {"loans": [_loan(world, loan) for loan in list(world.loans.values())]}


def _loan(world: "Mifos", loan: Loan) -> Given:
    client = world.clients[loan.client_id] if loan.client_id is not None else None
    return {
        "id": loan.id,
        "status": loan.status,
        "client_id": loan.client_id,
        "client": client.name if client else None,
        "mobile": client.mobile if client else None,
        "principal": number(loan.principal),
        "approved_principal": number(loan.approved_principal),
        "net_disbursal": number(loan.net_disbursal),
        "receipts": loan.receipts,
        "transactions": [_transaction(each) for each in loan.transactions],
        "notes": loan.notes,
    }


def _transaction(paid: Transaction) -> Given:
    return compact(
        {
            "id": paid.id,
            "amount": number(paid.amount),
            "date": paid.date.isoformat(),
            "external_id": paid.external_id,
            "payment_type_id": paid.payment_type_id,
            "receipt_number": paid.receipt_number,
            "account_number": paid.account_number,
            "reversed": paid.reversed,
        }
    )


def _requests(world: "Mifos", given: Given) -> Given:
    hidden = {"headers"}  # they hold credentials
    rows = [{n: v for n, v in vars(r).items() if n not in hidden} for r in list(world.requests)]
    return {"requests": rows}


def _on_loan(name: str) -> Callable[..., None]:
    return lambda world, given, loan_id: getattr(world, name)(loan_id, **given)


ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("POST", "/users", _add_user),
    ("POST", "/clients", _add_client),
    ("POST", r"/clients/(\d+)", _set_mobile),
    ("POST", "/loans", _add_loan),
    ("GET", "/loans", _loans),
    ("POST", r"/loans/(\d+)/approve", _on_loan("approve")),
    ("POST", r"/loans/(\d+)/undo_approval", _on_loan("undo_approval")),
    ("POST", r"/loans/(\d+)/reject", _on_loan("reject")),
    ("POST", r"/loans/(\d+)/withdraw", _on_loan("withdraw")),
    ("POST", r"/loans/(\d+)/disburse_by_staff", _on_loan("disburse_by_staff")),
    ("POST", r"/loans/(\d+)/undo_disbursal", _on_loan("undo_disbursal")),
    ("POST", r"/loans/(\d+)/approve_parked", _on_loan("approve_parked")),
    ("POST", "/plan", _plan),
    ("POST", "/set", _set),
    ("POST", "/reset", lambda world, given: world.reset()),
    ("GET", "/faults", lambda world, given: {"faults": FAULTS}),
    ("GET", "/requests", _requests),
    ("GET", "/health", lambda world, given: {"status": "UP"}),
)
