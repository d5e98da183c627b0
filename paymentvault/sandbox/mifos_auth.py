"""Who calls: the tenant header, Basic or OAuth2, and permissions by code."""

import base64
import binascii
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox.mifos_body import json_of
from paymentvault.sandbox.mifos_records import User
from paymentvault.sandbox.server import Answer, Request

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

REALM = 'Basic realm="Fineract Platform API"'


@dataclass(frozen=True)
class Token:
    user: User
    until: float


def check_tenant(world: "Mifos", request: Request) -> None:
    named = request.headers.get("fineract-platform-tenantid")
    if (named or request.query.get("tenantIdentifier")) != world.tenant:
        raise errors.page(400, "HTTP Status 400 – Bad Request", WWW_Authenticate=REALM)


def caller(world: "Mifos", request: Request) -> User:
    user = _by_token(world, request) if world.use_oauth else _by_password(world, request)
    if user.password_expired:
        raise errors.password_outdated(user.id)
    return user


def _by_password(world: "Mifos", request: Request) -> User:
    name, password = _basic(request)
    if user := known(world, name, password):
        return user
    raise errors.page(401, "", WWW_Authenticate=REALM)


def _basic(request: Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        plain = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    name, _, password = plain.partition(":")
    return (name, password) if scheme.lower() == "basic" else ("", "")


def known(world: "Mifos", name: str, password: str) -> User | None:
    user = world.users.get(name)
    is_right = user and secrets.compare_digest(user.password.encode(), password.encode())
    return user if is_right else None


def _by_token(world: "Mifos", request: Request) -> User:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    token = world.tokens.get(value) if scheme.lower() == "bearer" else None
    if token and token.until > time.monotonic():
        return token.user
    why = "Access token expired" if token else "Full authentication is required"
    body = {"error": "invalid_token" if token else "unauthorized", "error_description": why}
    challenge = {"WWW-Authenticate": f'Bearer realm="oauth2", error="{body["error"]}"'}
    raise errors.ApiError(Answer(401, body, challenge))


def oauth_token(world: "Mifos", request: Request) -> Answer:
    """POST /oauth/token. A service user is also an OAuth client by the same name and secret."""
    if not world.use_oauth:
        raise errors.page(404, "HTTP Status 404 – Not Found")
    form = request.form()
    grant = form.get("grant_type")
    if grant == "client_credentials":
        return _granted(world, _client(world, request, form), "invalid_client", 401)
    if grant == "password":
        user = known(world, form.get("username", ""), form.get("password", ""))
        return _granted(world, user, "invalid_grant", 400)
    return Answer(400, {"error": "unsupported_grant_type"})


def _client(world: "Mifos", request: Request, form: dict[str, str]) -> User | None:
    name, secret = _basic(request)
    return known(world, name or form.get("client_id", ""), secret or form.get("client_secret", ""))


def _granted(world: "Mifos", user: User | None, refusal: str, status: int) -> Answer:
    if not user:
        return Answer(status, {"error": refusal, "error_description": "Bad credentials"})
    value = secrets.token_urlsafe(24)
    world.tokens[value] = Token(user, time.monotonic() + world.oauth_token_life_s)
    life = int(world.oauth_token_life_s)
    body = {"access_token": value, "token_type": "bearer", "expires_in": life, "scope": "all"}
    return Answer(200, body, {"Cache-Control": "no-store"})


def authentication(world: "Mifos", request: Request) -> Answer:
    """POST /authentication: optional, and no session comes of it."""
    given = request.query if world.generation.logs_in_by_query else json_of(request)
    user = known(world, str(given.get("username", "")), str(given.get("password", "")))
    if not user:
        raise errors.not_authenticated()
    return Answer(200, details(user))


def details(user: User) -> dict[str, Any]:
    role = {
        "id": 1,
        "name": "Super user",
        "description": "This role provides all application permissions.",
    }
    return {
        "username": user.username,
        "userId": user.id,
        "base64EncodedAuthenticationKey": _key(user),
        "authenticated": True,
        "officeId": 1,
        "officeName": "Head Office",
        "roles": [role],
        "permissions": sorted(user.permissions),
    }


def _key(user: User) -> str:
    return base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
