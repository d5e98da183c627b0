"""Which path answers what, in the order that Fineract checks a call."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paymentvault.sandbox import mifos_auth as auth
from paymentvault.sandbox import mifos_bus as bus
from paymentvault.sandbox import mifos_commands as commands
from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox import mifos_hooks as hooks
from paymentvault.sandbox import mifos_loan_reads as loans
from paymentvault.sandbox import mifos_notes as notes
from paymentvault.sandbox import mifos_reference as reference
from paymentvault.sandbox.mifos_body import json_of
from paymentvault.sandbox.mifos_faults import is_command, value_of
from paymentvault.sandbox.mifos_records import User
from paymentvault.sandbox.server import Answer, HangUp, Request, Reset

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

ROOT = "/fineract-provider"
API = f"{ROOT}/api/v1"
OAUTH = ("/oauth/token", f"{ROOT}/oauth/token", f"{ROOT}/api/oauth/token", f"{API}/oauth/token")
AFTER = "_after_applying"


@dataclass(frozen=True)
class Call:
    request: Request
    user: User
    faults: tuple[str, ...] = ()

    @property
    def command(self) -> str | None:
        return self.request.query.get("command")


def is_api(path: str) -> bool:
    return path.startswith(f"{ROOT}/") or path in OAUTH


def meet(world: "Mifos", request: Request) -> Answer:
    """Answer a call, or let the fault planned for it happen around the answer."""
    fault = world.faults.take(request)
    if fault and (spoilt := _fail(fault)):
        return spoilt
    if fault and not is_command(request):
        time.sleep(value_of([fault], "slow") or 0)
    answer = _answer(world, request, (fault,) if fault else ())
    if fault and fault.endswith(AFTER):
        return _fail(fault.removesuffix(AFTER)) or answer
    return answer


def _fail(fault: str) -> Answer | None:
    if fault == "reset":
        raise Reset
    if fault == "hang_up":
        raise HangUp
    if fault == "error_500":
        return errors.crash("java.lang.NullPointerException").answer
    if fault == "html_502":
        return errors.page(502, "502 Bad Gateway").answer
    return None


def _answer(world: "Mifos", request: Request, faults: tuple[str, ...]) -> Answer:
    try:
        return _open(world, request) or _guarded(world, request, faults)
    except errors.ApiError as error:
        return error.answer
    except ValueError as error:  # such as Integer.parseInt of a status in words
        return errors.crash(f"java.lang.NumberFormatException: {error}").answer


def _open(world: "Mifos", request: Request) -> Answer | None:
    """The few paths that ask for no credentials."""
    if request.path in OAUTH and request.method == "POST":
        return auth.oauth_token(world, request)
    if request.path in (f"{ROOT}/actuator/health", f"{ROOT}/actuator/info"):
        return reference.actuator(world, request)
    auth.check_tenant(world, request)
    if request.path == f"{API}/authentication" and not world.use_oauth:
        return auth.authentication(world, request)
    return None


def _guarded(world: "Mifos", request: Request, faults: tuple[str, ...]) -> Answer:
    call = Call(request, auth.caller(world, request), faults)
    path = request.path.removeprefix(API).rstrip("/")
    fitting = [(m, route) for route in ROUTES if (m := re.fullmatch(route[1], path))]
    for match, (method, _, permission, answer) in fitting:
        if method == request.method:
            _check_permission(call.user, permission)
            return answer(world, call, *map(int, match.groups()))
    number, title = (405, "Method Not Allowed") if fitting else (404, "Not Found")
    raise errors.page(number, f"HTTP Status {number} – {title}")


def _check_permission(user: User, permission: str) -> None:
    if permission and not user.may(permission):
        raise errors.denied(permission)


def _loan_command(world: "Mifos", call: Call, loan_id: int) -> Answer:
    name = call.command
    if name not in commands.COMMANDS:
        raise loans.unsupported_command(name)
    raw = json_of(call.request)
    return _run(
        world,
        call,
        ("LOAN", commands.COMMANDS[name].action),
        lambda: commands.decide(world, name, loan_id, raw),
        loan_id,
    )


def _run(
    world: "Mifos",
    call: Call,
    what: tuple[str, str],
    decide: Callable[[], bus.Outcome],
    loan_id: int | None = None,
) -> Answer:
    entity, action = what
    # The filter that reads the key is missing from the OAuth2 chain, and from 1.8 and older.
    heard = world.generation.is_idempotent and not world.use_oauth
    command = bus.Command(
        entity=entity,
        action=action,
        user=call.user,
        request=json_of(call.request) if call.request.body else None,
        decide=decide,
        loan_id=loan_id,
        key=call.request.headers.get("idempotency-key") if heard else None,
    )
    return bus.run(world, command, faults=call.faults)


def _add_note(world: "Mifos", call: Call, loan_id: int) -> Answer:
    raw = json_of(call.request)
    return _run(
        world, call, ("LOANNOTE", "CREATE"), lambda: notes.add(world, raw, loan_id), loan_id
    )


def _add_hook(world: "Mifos", call: Call) -> Answer:
    raw = json_of(call.request)
    return _run(world, call, ("HOOK", "CREATE"), lambda: hooks.create(world, raw))


def _change_hook(world: "Mifos", call: Call, id_: int) -> Answer:
    raw = json_of(call.request)
    return _run(world, call, ("HOOK", "UPDATE"), lambda: hooks.update(world, raw, id_))


def _drop_hook(world: "Mifos", call: Call, id_: int) -> Answer:
    return _run(world, call, ("HOOK", "DELETE"), lambda: hooks.delete(world, id_))


def _hook(world: "Mifos", call: Call, id_: int) -> Answer:
    with_template = call.request.query.get("template") == "true"
    extra = hooks.template() if with_template else {}
    return Answer(200, hooks.shown(hooks.found(world, id_)) | extra)


def _hooks(world: "Mifos", call: Call) -> Answer:
    return Answer(200, [hooks.shown(hook) for hook in list(world.hooks.values())])


def _check(world: "Mifos", call: Call, id_: int) -> Answer:
    parked = world.parked.get(id_)
    if not parked:
        message = f"Audit with identifier {id_} does not exist"
        raise errors.missing("error.msg.command.id.invalid", message, id_)
    if not call.user.may("CHECKER_SUPER_USER"):
        _check_permission(call.user, f"{parked.command.task}_CHECKER")
    if call.command == "approve":
        return Answer(200, bus.approve(world, parked))
    if call.command == "reject":
        world.parked.pop(id_, None)
        return Answer(200, {"commandId": id_})
    raise loans.unsupported_command(call.command)


def _loan(world: "Mifos", call: Call, id_: int) -> Answer:
    return loans.one(world, call.request, commands.found(world, id_))


def _template(world: "Mifos", call: Call, id_: int) -> Answer:
    return loans.template(world, call.request, commands.found(world, id_))


def _details(world: "Mifos", call: Call) -> Answer:
    if not world.use_oauth:
        raise errors.page(404, "HTTP Status 404 – Not Found")
    return Answer(200, auth.details(call.user))


def _plain(read: Callable[..., Any]) -> Callable[..., Answer]:
    return lambda world, call, *ids: Answer(200, read(world, *ids))


Route = tuple[str, str, str, Callable[..., Answer]]
"""(method, path, permission, answer); a command's own permission is checked by the bus."""

ROUTES: tuple[Route, ...] = (
    ("GET", "/loans", "READ_LOAN", lambda world, call: loans.listed(world, call.request)),
    ("GET", r"/loans/(\d+)", "READ_LOAN", _loan),
    ("POST", r"/loans/(\d+)", "", _loan_command),
    ("GET", r"/loans/(\d+)/transactions/template", "READ_LOAN", _template),
    ("GET", r"/loans/(\d+)/notes", "READ_LOANNOTE", _plain(notes.listed)),
    ("POST", r"/loans/(\d+)/notes", "", _add_note),
    ("GET", r"/clients/(\d+)", "READ_CLIENT", _plain(reference.client)),
    ("GET", "/loanproducts", "READ_LOANPRODUCT", _plain(reference.products)),
    ("GET", "/paymenttypes", "READ_PAYMENTTYPE", _plain(reference.payment_types)),
    ("GET", "/offices", "READ_OFFICE", _plain(reference.offices)),
    ("GET", "/configurations", "READ_CONFIGURATION", _plain(reference.configurations)),
    ("GET", "/permissions", "READ_PERMISSION", _plain(reference.permissions)),
    ("GET", "/businessdate/BUSINESS_DATE", "READ_BUSINESS_DATE", _plain(reference.business_date)),
    ("GET", "/hooks", "READ_HOOK", _hooks),
    ("POST", "/hooks", "", _add_hook),
    ("GET", "/hooks/template", "READ_HOOK", _plain(lambda world: hooks.template())),
    ("GET", r"/hooks/(\d+)", "READ_HOOK", _hook),
    ("PUT", r"/hooks/(\d+)", "", _change_hook),
    ("DELETE", r"/hooks/(\d+)", "", _drop_hook),
    ("POST", r"/makercheckers/(\d+)", "", _check),
    ("GET", "/userdetails", "", _details),
)
