"""The world's own levers over HTTP, under /_sandbox/, for tests in other processes."""

from collections.abc import Callable
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from paymentvault.sandbox.safaricom_faults import FAULTS, STATUS_FAULTS
from paymentvault.sandbox.server import Answer, Request

if TYPE_CHECKING:
    from paymentvault.sandbox.safaricom import Safaricom

PREFIX = "/_sandbox/"


def control(world: "Safaricom", request: Request) -> Answer:
    lever = LEVERS.get((request.method, request.path.removeprefix(PREFIX)))
    if lever is None:
        return Answer(404, {"error": f"No lever {request.method} {request.path}"})
    try:
        return lever(world, request.json() or {})
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        return Answer(400, {"error": f"{type(error).__name__}: {error}"})


def _add_app(world: "Safaricom", given: Any) -> Answer:
    if "utility_balance" in given:
        given["utility_balance"] = Decimal(str(given["utility_balance"]))
    world.add_app(**given)
    return _done()


def _plan(world: "Safaricom", given: Any) -> Answer:
    world.plan(given["msisdn"], *given["faults"])
    return _done()


def _plan_status(world: "Safaricom", given: Any) -> Answer:
    world.plan_status(given["msisdn"], *given["faults"])
    return _done()


def _random(world: "Safaricom", given: Any) -> Answer:
    world.plan_at_random(given["seed"], given["share"], *given.get("faults", ()))
    return _done()


def _balance(world: "Safaricom", given: Any) -> Answer:
    world.set_balance(given["shortcode"], Decimal(str(given["utility"])))
    return _done()


def _unregistered(world: "Safaricom", given: Any) -> Answer:
    world.unregistered.update(given["msisdns"])
    return _done()


def _expire_tokens(world: "Safaricom", given: Any) -> Answer:
    world.expire_tokens()
    return _done()


def _reset(world: "Safaricom", given: Any) -> Answer:
    world.reset()
    return _done()


def _ledger(world: "Safaricom", given: Any) -> Answer:
    return Answer(200, {"payments": [_plain(asdict(p)) for p in list(world.ledger)]})


def _requests(world: "Safaricom", given: Any) -> Answer:
    return Answer(200, {"requests": [asdict(r) for r in list(world.requests)]})


def _callbacks(world: "Safaricom", given: Any) -> Answer:
    return Answer(200, {"callbacks": [asdict(d) for d in list(world.callbacks)]})


def _faults(world: "Safaricom", given: Any) -> Answer:
    return Answer(200, {"b2c": FAULTS, "status": STATUS_FAULTS})


def _certificate(world: "Safaricom", given: Any) -> Answer:
    return Answer(200, world.certificate_pem, {"Content-Type": "text/plain; charset=utf-8"})


def _health(world: "Safaricom", given: Any) -> Answer:
    return _done()


def _done() -> Answer:
    return Answer(200, {"ok": True})


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with what JSON has no form for as text: times in ISO, sums exact."""
    return {
        key: value if isinstance(value, str | int) else str(value)
        for key, value in (row | {"at": row["at"].isoformat()}).items()
    }


LEVERS: dict[tuple[str, str], Callable[["Safaricom", Any], Answer]] = {
    ("POST", "apps"): _add_app,
    ("POST", "plan"): _plan,
    ("POST", "plan_status"): _plan_status,
    ("POST", "random"): _random,
    ("POST", "balance"): _balance,
    ("POST", "unregistered"): _unregistered,
    ("POST", "expire_tokens"): _expire_tokens,
    ("POST", "reset"): _reset,
    ("GET", "ledger"): _ledger,
    ("GET", "requests"): _requests,
    ("GET", "callbacks"): _callbacks,
    ("GET", "faults"): _faults,
    ("GET", "certificate"): _certificate,
    ("GET", "health"): _health,
}
