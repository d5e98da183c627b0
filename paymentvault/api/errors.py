"""Errors in one shape: {"error": {"code", "message", "fields"?, "request_id"}}.

Programs go by the code, which never changes its meaning; people read the message.
"""

from typing import Any

import structlog
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig
from django.core.exceptions import SuspiciousOperation as Suspicious
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from paymentvault import audit
from paymentvault.addresses import source_address

log = structlog.get_logger(__name__)

# Every code there is: its status, and what it means.
CODES: dict[str, tuple[int, str]] = {
    "invalid": (400, "Something given is missing or wrong; `fields` names it."),
    "malformed": (400, "The request can't be read: its body isn't JSON, for instance."),
    "invalid_cursor": (400, "The page's address is broken. Begin at the first page."),
    "idempotency_key_required": (400, "Give a header Idempotency-Key."),
    "not_authenticated": (401, "Nobody is signed in."),
    "invalid_credentials": (401, "The token or API key isn't known, or its signature is wrong."),
    "token_expired": (401, "The access token is too old. Get another with the refresh token."),
    "token_revoked": (401, "The token was revoked, or whoever it belongs to signed out."),
    "key_expired": (401, "The API key is too old."),
    "key_revoked": (401, "The API key was revoked."),
    "address_not_allowed": (403, "The API key may not be used from this address."),
    "csrf_failed": (403, "A session needs the header X-CSRFToken for whatever changes something."),
    "session_required": (403, "Only a person who is signed in with a session may do this."),
    "second_factor_required": (403, "The person needs a second factor now. Get new tokens."),
    "confirmation_required": (403, "Who they are must be confirmed first; the message says where."),
    "forbidden": (403, "The right, or the API key's scope, is missing."),
    "maker_is_checker": (403, "Whoever asked for a disbursement can't decide about it."),
    "not_found": (404, "There is nothing here, or it is another partner's."),
    "method_not_allowed": (405, "The address doesn't know this method."),
    "not_acceptable": (406, "Answers are JSON only."),
    "wrong_state": (409, "It isn't in a state in which this can be done."),
    "refused": (409, "A rule forbids it; the message says which."),
    "not_configured": (409, "What this needs hasn't been set up."),
    "idempotency_key_reused": (409, "The Idempotency-Key was used before, with another body."),
    "too_large": (413, "The body is too large."),
    "unsupported_media_type": (415, "Bodies are JSON: application/json."),
    "rate_limited": (429, "Too many requests. Retry-After says how long to wait, in seconds."),
    "fault": (500, "A fault of ours. Ask for the state of things before trying again."),
    "unavailable": (503, "The database, or what keeps the limits, is away. Try again later."),
}
# What was said on the way in, in DRF's or Django's words.
_KINDS: list[tuple[type[Exception] | tuple[type[Exception], ...], str]] = [
    (exceptions.ParseError, "malformed"),
    (exceptions.ValidationError, "invalid"),
    (exceptions.NotAuthenticated, "not_authenticated"),
    (exceptions.AuthenticationFailed, "invalid_credentials"),
    ((exceptions.PermissionDenied, PermissionDenied), "forbidden"),
    ((exceptions.NotFound, Http404), "not_found"),
    (exceptions.MethodNotAllowed, "method_not_allowed"),
    (exceptions.NotAcceptable, "not_acceptable"),
    (exceptions.UnsupportedMediaType, "unsupported_media_type"),
    (exceptions.Throttled, "rate_limited"),
    ((OperationalError, InterfaceError), "unavailable"),
    (RequestDataTooBig, "too_large"),
    ((Suspicious, BadRequest, MultiPartParserError, UnreadablePostError), "malformed"),
]
_RETRY_AFTER_S = 10


class Problem(exceptions.APIException):
    """Why a request isn't done: one of the codes, and what to tell whoever asked."""

    def __init__(
        self, code: str, message: str = "", *, fields: dict[str, list[str]] | None = None
    ) -> None:
        super().__init__(message or CODES[code][1], code)
        self.status_code = CODES[code][0]
        self.code = code
        self.fields = fields


class BadCredentials(exceptions.AuthenticationFailed):
    """A token or key was given, and is no good."""

    def __init__(self, code: str) -> None:
        super().__init__(CODES[code][1], code=code)


class Told(serializers.Serializer[Any]):
    """What was wrong."""

    code = serializers.ChoiceField(choices=sorted(CODES))
    message = serializers.CharField(help_text="For people. It may change.")
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()), required=False,
        help_text="By the name of what was given: what is wrong with it.",
    )  # fmt: skip
    request_id = serializers.CharField(help_text="Name it when you ask us about it.")


class Error(serializers.Serializer[Any]):
    """Every answer from 400 on."""

    error = Told()


def answer(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler."""
    code = code_of(error)
    if code == "fault":
        log.exception("api_fault", exc_info=error)
    _audit(code, context.get("request"))
    return Response(told(code, error), CODES[code][0], headers=_headers(code, error))


def outside(request: HttpRequest, code: str) -> JsonResponse | None:
    """The same for what breaks around the API's views; None for other addresses."""
    if not request.path.startswith("/api/"):
        return None
    headers = {"Cache-Control": "no-store", **_headers(code)}
    return JsonResponse(told(code), status=CODES[code][0], headers=headers)


def code_of(error: Exception) -> str:
    if isinstance(error, Problem):
        return error.code
    if isinstance(error, BadCredentials):
        return str(error.get_codes())
    return next((code for kinds, code in _KINDS if isinstance(error, kinds)), "fault")


def told(code: str, error: Exception | None = None) -> dict[str, Any]:
    """The body of an answer."""
    body: dict[str, Any] = {"code": code, "message": CODES[code][1], "request_id": request_id()}
    if isinstance(error, Problem) and error.fields:
        body["fields"] = error.fields
    if isinstance(error, exceptions.ValidationError):
        body["fields"] = flat(error.detail)
    elif isinstance(error, exceptions.APIException) and isinstance(error.detail, str):
        body["message"] = str(error.detail)
    return {"error": body}


def flat(detail: Any, name: str = "") -> dict[str, list[str]]:
    """Errors by the path of what they are about, such as `scopes.0`."""
    if isinstance(detail, dict):
        beneath = f"{name}." if name else ""
        parts = [flat(value, f"{beneath}{key}") for key, value in detail.items()]
    elif isinstance(detail, list) and any(isinstance(value, dict | list) for value in detail):
        parts = [flat(value, f"{name}.{number}") for number, value in enumerate(detail) if value]
    else:
        texts = detail if isinstance(detail, list) else [detail]
        return {name or "body": [str(text) for text in texts]}
    return {key: value for part in parts for key, value in part.items()}


def request_id() -> str:
    return str(structlog.contextvars.get_contextvars().get("request_id") or "")


def _headers(code: str, error: Exception | None = None) -> dict[str, str]:
    headers = {}
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    if isinstance(error, exceptions.Throttled):
        headers["Retry-After"] = str(int(getattr(error, "wait", None) or 1))
    elif code == "unavailable":
        headers["Retry-After"] = str(_RETRY_AFTER_S)
    return headers


# The last three were told where the key is known.
_NOT_WORTH_A_LINE = {"not_authenticated", "key_expired", "key_revoked", "address_not_allowed"}


def _audit(code: str, request: Any) -> None:
    """Whoever is turned away is told of in the audit."""
    if CODES[code][0] not in (401, 403) or code in _NOT_WORTH_A_LINE or request is None:
        return
    django_request = request._request
    user = django_request.user
    by = user.get_username() if user.is_authenticated else "stranger"
    what = f"{code}: {django_request.method} {django_request.path}"[:200]
    audit.refused(what.replace("\x00", ""), by=by, source_address=source_address(django_request))
