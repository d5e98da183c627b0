"""The API's description: OpenAPI, with every error and limit told, and a page to read it."""

import re
from functools import cache
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from paymentvault.api import tokens
from paymentvault.api.errors import CODES, Error
from paymentvault.api.resources import Resource

MEANINGS = {
    400: "What was given is missing, wrong or unreadable",
    401: "Nobody is signed in, or the token or key is no good",
    403: "The right or scope is missing",
    404: "Not there, or another partner's",
    406: "Answers are JSON only",
    409: "It can't be done now",
    413: "The body is too large",
    415: "The body isn't JSON",
    429: "Too many requests",
    500: "A fault of ours",
    503: "The database is away",
}
ALWAYS = (400, 401, 403, 406, 429, 500, 503)
WITH_BODY = (409, 413, 415)
INTRODUCTION = """
Other programs use this to do what staff do in the portal. All of it is JSON, and in one version:
what is under `/api/v1/` stays as it is; fields may be added.

A partner's program signs in with an API key, made on the partner's page. A key sees its partner's
rows only; everything else is a 404. A person's own program signs in with tokens, which are given
from a session, after the second factor.

Lists come in pages: follow `next` until it is null. Requests are counted by the minute, and every
answer says what is left. Errors have one shape; go by their `code`.

Whoever asks for a disbursement is never who approves it. What a program asks for with an API key
always waits for a person; no key approves, rejects or retries; and the person who made the key
counts as its maker and can't approve it.
""".strip()


class ApiSchema(AutoSchema):
    """Adds to every operation the errors that it may answer."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        found = super()._get_response_bodies(direction)
        for status in self._errors():
            if str(status) not in found:
                body = self._get_response_for_code(Error, str(status), ["application/json"])  # type: ignore[no-untyped-call]
                found[str(status)] = body | {"description": MEANINGS[status]}
        return dict(sorted(found.items()))

    def _errors(self) -> list[int]:
        has_body = self.method in ("POST", "PUT", "PATCH")
        is_found_by_path = "{" in self.path
        return [*ALWAYS, *(WITH_BODY if has_body else ()),
                *((404,) if has_body or is_found_by_path else ())]  # fmt: skip


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "paymentvault.api.signing_in.Session"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey", "in": "cookie", "name": "sessionid",
            "description": "The portal's own session. Changes need the header X-CSRFToken.",
        }  # fmt: skip


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "paymentvault.api.tokens.TokenAuthentication"
    name = "staffToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "A person's access token, from POST /api/v1/tokens.",
        }  # fmt: skip


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "partners.keys.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer",
                "description": "A partner's API key, which begins with pv_."}  # fmt: skip


def only_v1(endpoints: list[Any], **_: Any) -> list[Any]:
    """Each address exists with and without a slash at its end; one of them is told."""
    return [one for one in endpoints if not one[0].endswith("/")]


LIMIT_HEADERS = {
    "RateLimit-Limit": "Requests a minute.",
    "RateLimit-Remaining": "How many of them are left.",
    "RateLimit-Reset": "Seconds until they are counted anew.",
}


def with_limits(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The headers of the limits, in every answer."""
    headers = result["components"].setdefault("headers", {})
    for name, words in {**LIMIT_HEADERS, "Retry-After": "Seconds to wait."}.items():
        headers[name] = {"description": words, "schema": {"type": "integer"}}
    for path in result["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                names = [*LIMIT_HEADERS, *(("Retry-After",) if status in ("429", "503") else ())]
                told = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
                answer["headers"] = answer.get("headers", {}) | told
    return result


@cache
def described() -> dict[str, Any]:
    """It changes with the code only."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    schema: dict[str, Any] = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    schema["info"]["description"] = INTRODUCTION
    return schema


class Schema(Resource):
    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        return Response(described())


class NotFound(Resource):
    """What no other address is."""

    authentication_classes = ()
    is_open = True

    @extend_schema(exclude=True)
    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self.http_method_names = []
        return super().dispatch(request, *args, **kwargs)

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        raise Http404


def page(request: HttpRequest) -> HttpResponse:
    """The same for people."""
    schema = described()
    given = {
        "paragraphs": [_marked(text) for text in INTRODUCTION.split("\n\n")],
        "groups": _groups(schema),
        "codes": [(code, status, words) for code, (status, words) in CODES.items()],
        "settings": settings,
        "origin": settings.PUBLIC_URL,
        "access_minutes": int(tokens.ACCESS_LIFE.total_seconds() // 60),
        "grant_hours": int(tokens.GRANT_LIFE.total_seconds() // 3600),
        "idle_minutes": settings.SESSION_IDLE_S // 60,
        "verify": render_to_string("api/verify.py.txt"),
    }
    return render(request, "api/page.html", given)


def _marked(text: str) -> SafeString:
    """What the schema writes between backticks, as code."""
    return mark_safe(re.sub("`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308


def _groups(schema: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            told = _told(schema, path, method, operation)
            groups.setdefault(operation["tags"][0], []).append(told)
    return sorted(groups.items())


def _told(
    schema: dict[str, Any], path: str, method: str, operation: dict[str, Any]
) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "description": operation.get("description", ""),
        "parameters": [
            {"name": one["name"], "where": one["in"], "is_required": one.get("required", False),
             "kind": _kind(one["schema"]), "words": one.get("description", "")}
            for one in operation.get("parameters", [])
        ],
        "body": _fields(schema, body.get("schema", {})),
        "answers": [
            {"status": status, "words": answer["description"] or "Done",
             "fields": _fields(schema, _content(answer)) if status < "400" else []}
            for status, answer in operation["responses"].items()
        ],
    }  # fmt: skip


def _content(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return found


def _fields(schema: dict[str, Any], part: dict[str, Any], depth: int = 0) -> list[dict[str, Any]]:
    """The fields of an object, those of objects in it after them, by their path."""
    part = _resolved(schema, part)
    required = part.get("required", [])
    found: list[dict[str, Any]] = []
    for name, value in part.get("properties", {}).items():
        found.append({
            "name": name, "kind": _kind(_resolved(schema, value)),
            "words": value.get("description", ""), "is_required": name in required,
        })  # fmt: skip
        inner = _resolved(schema, value)
        items = _resolved(schema, inner.get("items", inner))
        if items.get("properties") and depth < 2:
            beneath = _fields(schema, items, depth + 1)
            found += [{**one, "name": f"{name}.{one['name']}"} for one in beneath]
    return found


def _resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    for one in part.get("allOf", []) + part.get("oneOf", [])[:1]:
        part = {**_resolved(schema, one), **part}
    if "$ref" in part:
        return _resolved(schema, schema["components"]["schemas"][part["$ref"].rpartition("/")[2]])
    return part


def _kind(part: dict[str, Any]) -> str:
    kind = part.get("format") or part.get("type") or "object"
    if values := part.get("enum"):
        return "one of " + ", ".join(str(value) for value in values if value is not None)
    return str(kind)
