"""Hooks as they leave: bodies per generation, sent on threads, once, never retried."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import requests

from paymentvault.sandbox.mifos_errors import ApiError
from paymentvault.sandbox.mifos_faults import value_of
from paymentvault.sandbox.mifos_records import Hook, HookDelivery, User

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

TIMEOUT_S = 10  # OkHttp's default
ERROR_CODES = {400: 2001, 403: 3001, 404: 1001}


@dataclass(frozen=True)
class Event:
    """A command that ended: with a result, with an error, or with neither when it was parked."""

    entity: str
    action: str
    user: User
    request: dict[str, Any] | None
    result: dict[str, Any] | None = None
    error: ApiError | None = None


def publish(world: "Mifos", event: Event, *, faults: Sequence[str] = ()) -> bool:
    """Send to every hook that listens, in time. True when something is on its way."""
    body = _body(world, event)
    listening = [hook for hook in list(world.hooks.values()) if _listens(hook, event)]
    if body is None or not listening or "lost_hook" in faults:
        return False
    delay = value_of(faults, "late_hook") or world.hook_delay_s
    for hook in listening * int(value_of(faults, "hook_times") or 1):
        _send_later(world, hook, event, body, delay)
    return True


def _listens(hook: Hook, event: Event) -> bool:
    return hook.is_active and (event.entity, event.action) in hook.events


def _body(world: "Mifos", event: Event) -> dict[str, Any] | None:
    """None when this generation sends no hook for it."""
    generation = world.generation
    if not generation.hook_is_envelope:
        return event.result
    if event.request is None or (event.result is None and not _tells_failures(world, event)):
        return None
    return _envelope(event) | _outcome(world, event)


def _tells_failures(world: "Mifos", event: Event) -> bool:
    # Before 1.9 a parked command was rolled back before its hook; a failed one was told.
    return event.error is not None or world.generation.failure_hook_is_bare


def _envelope(event: Event) -> dict[str, Any]:
    return {
        "entityName": event.entity,
        "actionName": event.action,
        "createdBy": event.user.id,
        "createdByName": event.user.username,
        "createdByFullName": event.user.full_name,
        "request": _doubles(event.request),
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }


def _outcome(world: "Mifos", event: Event) -> dict[str, Any]:
    if event.result is not None:
        inner = {name: value for name, value in event.result.items() if name != "officeId"}
        outer = {n: event.result[n] for n in ("officeId", "clientId") if n in event.result}
        return outer | {"response": inner}
    if event.error is None or world.generation.failure_hook_is_bare:
        return {}
    answer = event.error.answer
    codes = {"errorCode": ERROR_CODES.get(answer.status, 9999), "statusCode": answer.status}
    return {"status": "Exception", "response": dict(answer.body or {}) | codes}


def _doubles(value: Any) -> Any:
    """Numbers of the request come out as Java doubles."""
    if isinstance(value, dict):
        return {name: _doubles(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_doubles(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _send_later(
    world: "Mifos", hook: Hook, event: Event, body: dict[str, Any], delay: float
) -> None:
    era = world.era

    def send() -> None:
        if world.era == era:
            world.deliveries.append(_sent(world, hook, event, body))

    world.under_way.later(delay, send)


def _sent(world: "Mifos", hook: Hook, event: Event, body: dict[str, Any]) -> HookDelivery:
    url, headers = target(world, hook.url), _headers(world, event)
    form = hook.config["Content Type"] == "form"
    payload: dict[str, Any] = {"data": _flattened(body)} if form else {"json": body}
    if not form:
        headers["Content-Type"] = "application/json; charset=UTF-8"
    try:
        answer = ask(world, "POST", url, headers=headers, **payload)
    except requests.RequestException as error:
        return HookDelivery(url, body, headers, error=str(error))
    return HookDelivery(url, body, headers, status=answer.status_code)


def _headers(world: "Mifos", event: Event) -> dict[str, str]:
    headers = {
        "X-Fineract-Entity": event.entity,
        "X-Fineract-Action": event.action,
        "Fineract-Platform-TenantId": world.tenant,
        "User-Agent": "okhttp/4.9.3",
    }
    if world.endpoint:
        headers["X-Fineract-Endpoint"] = world.endpoint
    return headers


def target(world: "Mifos", url: str) -> str:
    """Where this generation's HTTP client really goes for a Payload URL."""
    if not world.generation.hook_is_envelope:
        return url.removesuffix("/") + "/"
    parts = urlsplit(url)
    if not parts.path.endswith("/"):
        raise ValueError(f"baseUrl must end in /: {url}")
    path = "/" if world.generation.hook_drops_path else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def ask(world: "Mifos", method: str, url: str, **options: Any) -> requests.Response:
    # Like OkHttp, requests follows a 301 or 302 of a POST as a GET without a body.
    with requests.Session() as session:
        session.trust_env = False
        session.verify = world.generation.hook_checks_tls
        return session.request(method, url, timeout=TIMEOUT_S, **options)


def _flattened(body: dict[str, Any]) -> dict[str, str]:
    return {name: _java_string(value) for name, value in body.items()}


def _java_string(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{n}={_java_string(v)}" for n, v in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
