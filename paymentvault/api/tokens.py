"""Tokens for a person's own programs: given from a session, short-lived, revocable at once.

An access token names its grant, which is looked up each time: what was revoked works no longer.
The refresh token changes with every use. One that comes again was copied, so all of them end.
"""

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from paymentvault import audit, recent, second_factor, sessions
from paymentvault.addresses import source_address
from paymentvault.api.errors import BadCredentials, Problem
from paymentvault.models import TokenGrant, User
from paymentvault.session_store import kept_as

ACCESS_LIFE = timedelta(minutes=5)
# However long the session lasts, its tokens last no longer than a working day.
GRANT_LIFE = timedelta(hours=12)
_ALGORITHM, _AUDIENCE, _BEGINNING = "HS256", "paymentvault-api", "pvr_"


@dataclass(frozen=True)
class Pair:
    access: str
    refresh: str
    refresh_ends_at: Any
    expires_in: int = int(ACCESS_LIFE.total_seconds())


def issue(request: HttpRequest, user: User) -> Pair:
    """Give tokens from a session; they end when it does."""
    session = request.session
    ends_at = min(timezone.now() + GRANT_LIFE, session.get_expiry_date())
    with transaction.atomic():
        grant = TokenGrant(
            user=user, session_sha256=_hashed(kept_as(session.session_key)),
            source_address=source_address(request), ends_at=ends_at,
            auth_hash=user.get_session_auth_hash(), confirmed_at=_confirmed_at(request),
            has_second_factor=second_factor.was_used(request),
        )  # fmt: skip
        pair = _new_pair(grant)
        grant.save(force_insert=True)
        audit.record("api tokens issued", by=user.get_username(), subject=grant)
    return pair


def _confirmed_at(request: HttpRequest) -> datetime | None:
    at = recent.confirmed_at(request)
    return datetime.fromtimestamp(at, UTC) if at else None


def refresh(text: str) -> Pair:
    """A new pair for a refresh token, which is spent by it. Raises BadCredentials."""
    with transaction.atomic():
        grant = _grant_of(text)
        if not _is_current(grant, text):
            # Outside of this transaction, which the refusal undoes.
            stolen = grant
        else:
            _check(grant)
            pair = _new_pair(grant)
            grant.refreshed_at = timezone.now()
            grant.save(update_fields=["refresh_sha256", "refreshed_at"])
            return pair
    _revoke(TokenGrant.objects.filter(pk=stolen.pk), by="system", why="A spent token came again.")
    raise BadCredentials("token_revoked")


def revoke(text: str) -> None:
    """End the tokens that a refresh token belongs to. Raises BadCredentials."""
    with transaction.atomic():
        grant = _grant_of(text)
        if not _is_current(grant, text):
            raise BadCredentials("token_revoked")
        rows = TokenGrant.objects.filter(pk=grant.pk)
        _revoke(rows, by=grant.user.get_username(), why="Asked for.")


def revoke_all(user: User, *, by: str, why: str) -> int:
    """End every token of somebody."""
    return _revoke(TokenGrant.objects.filter(user=user), by=by, why=why)


def revoke_one(user: User, pk: uuid.UUID) -> int:
    """End the tokens of one sign-in of somebody, who asks for it."""
    rows = TokenGrant.objects.filter(user=user, pk=pk)
    return _revoke(rows, by=user.get_username(), why="Asked for.")


def of(user: User) -> list[TokenGrant]:
    """Those that somebody's programs can use now."""
    rows = _live().filter(
        user=user, auth_hash=user.get_session_auth_hash(), session_sha256__in=_awake(user)
    )
    return list(rows.order_by("-created_at"))


@receiver(pre_delete, sender=Session)
def session_ended(sender: Any, instance: Session, **_: Any) -> None:
    """Signing out, or ending a session from elsewhere, ends its tokens."""
    rows = TokenGrant.objects.filter(session_sha256=_hashed(instance.session_key))
    _revoke(rows, by="system", why="The session ended.")


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer` with an access token."""

    def authenticate(self, request: Request) -> tuple[User, TokenGrant] | None:
        word, _, token = get_authorization_header(request).partition(b" ")
        if word.lower() != b"bearer":
            return None
        return _holder(token.strip())

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def _holder(token: bytes) -> tuple[User, TokenGrant]:
    try:
        claims = jwt.decode(
            token, _signing_key(), algorithms=[_ALGORITHM], audience=_AUDIENCE,
            options={"require": ["exp", "sub", "grant"]},
        )  # fmt: skip
        grant_id = uuid.UUID(str(claims["grant"]))
    except jwt.ExpiredSignatureError as error:
        raise BadCredentials("token_expired") from error
    except (jwt.InvalidTokenError, ValueError) as error:
        raise BadCredentials("invalid_credentials") from error
    grant = _live().select_related("user").filter(pk=grant_id).first()
    if grant is None or str(grant.user_id) != claims["sub"]:
        raise BadCredentials("token_revoked")
    _check(grant)
    return grant.user, grant


def _check(grant: TokenGrant) -> None:
    """What may have changed since the tokens were given. Raises BadCredentials, or Problem."""
    if not hmac.compare_digest(grant.auth_hash, grant.user.get_session_auth_hash()):
        raise BadCredentials("token_revoked")
    if grant.session_sha256 not in _awake(grant.user):
        raise BadCredentials("token_revoked")
    if not grant.has_second_factor and second_factor.is_owed(grant.user):
        raise Problem("second_factor_required")


def _awake(user: User) -> set[str]:
    """The sessions of somebody that didn't rest too long. A press in the browser keeps one awake;
    what a program asks for doesn't, so what was left on a desk ends, and its tokens with it."""
    return {_hashed(one.session_key) for one in sessions.of(user)}


def _new_pair(grant: TokenGrant) -> Pair:
    token = f"{_BEGINNING}{grant.pk.hex}_{secrets.token_urlsafe(32)}"
    grant.refresh_sha256 = _hashed(token)
    now = timezone.now()
    claims = {
        "sub": str(grant.user_id), "grant": str(grant.pk), "aud": _AUDIENCE, "iat": now,
        "exp": min(now + ACCESS_LIFE, grant.ends_at),
    }  # fmt: skip
    access = jwt.encode(claims, _signing_key(), algorithm=_ALGORITHM)
    return Pair(access, token, grant.ends_at)


def _grant_of(text: str) -> TokenGrant:
    """The live grant that a refresh token names, locked. Whether it is the token shows later."""
    try:
        pk = uuid.UUID(hex=text.removeprefix(_BEGINNING).partition("_")[0])
    except ValueError as error:
        raise BadCredentials("invalid_credentials") from error
    grant = _live().select_for_update(of=("self",)).select_related("user").filter(pk=pk).first()
    if grant is None:
        raise BadCredentials("token_revoked")
    return grant


def _live() -> QuerySet[TokenGrant]:
    return TokenGrant.objects.filter(
        revoked_at=None, ends_at__gt=timezone.now(), user__is_active=True
    )


def _is_current(grant: TokenGrant, text: str) -> bool:
    return hmac.compare_digest(grant.refresh_sha256, _hashed(text))


@transaction.atomic
def _revoke(rows: QuerySet[TokenGrant], *, by: str, why: str) -> int:
    ended = list(rows.filter(revoked_at=None).select_for_update().select_related(None))
    for grant in ended:
        grant.revoked_at = timezone.now()
        grant.save(update_fields=["revoked_at"])
        audit.record("api tokens revoked", by=by, subject=grant, reason=why)
    return len(ended)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _signing_key() -> bytes:
    """Derived, so that what is signed here means nothing elsewhere."""
    return hmac.digest(settings.SECRET_KEY.encode(), b"paymentvault.api.tokens", "sha256")


def from_session(request: Request) -> User:
    """Whoever is signed in with a session. Raises Problem for a token or a key."""
    if request.auth is not None or not isinstance(request.user, User):
        raise Problem("session_required")
    return request.user
