"""API keys: made, shown once, rotated with both valid for a while, revoked; and what each may do.

A key is of one partner, and sees nothing of another's. It never decides about a disbursement: what
a program asks for, a person approves, and not the one who made the key. While the partner is
switched off its keys only read.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from partners import access
from partners.models import ApiKey, Partner, Scope
from paymentvault import audit
from paymentvault.addresses import is_within, source_address
from paymentvault.api.errors import BadCredentials, Problem
from paymentvault.models import User

BEGINNING = "pv_"
# The time of the last use is written no oftener than this.
USE_IS_TOLD_EVERY = timedelta(minutes=1)

RIGHTS: dict[Scope, frozenset[str]] = {
    Scope.PARTNERS_READ: frozenset({
        "partners.view_partner", "partners.view_mifosconnection", "partners.view_mpesashortcode",
    }),
    Scope.DISBURSEMENTS_READ: frozenset({"disbursements.view_disbursement"}),
    Scope.DISBURSEMENTS_CREATE: frozenset({"disbursements.add_disbursement"}),
    Scope.EVENTS_READ: frozenset({"mifos.view_event"}),
    Scope.CALLBACKS_READ: frozenset({"disbursements.view_callback"}),
    Scope.CONNECTION_TEST: frozenset({"partners.change_mifosconnection"}),
}  # fmt: skip
READ = {scope for scope in Scope if scope.value.endswith(":read")}


class Program:
    """Whoever signed in with an API key, where a user would stand."""

    is_authenticated = is_active = True
    is_anonymous = is_staff = is_superuser = False

    def __init__(self, key: ApiKey) -> None:
        self.key = key
        self.pk = key.pk
        given = [
            scope for scope in map(Scope, key.scopes) if key.partner.is_active or scope in READ
        ]
        self._rights = frozenset[str]().union(*(RIGHTS[scope] for scope in given))

    def get_username(self) -> str:
        return str(self.key)

    def __str__(self) -> str:
        return str(self.key)

    def has_perm(self, right: str, row: Model | None = None) -> bool:
        return right in self._rights and (row is None or self._is_ours(row))

    def has_perms(self, rights: Iterable[str], row: Model | None = None) -> bool:
        return all(self.has_perm(right, row) for right in rights)

    def why_not(self, right: str) -> str:
        scope = next((scope for scope, rights in RIGHTS.items() if right in rights), None)
        if scope is None:
            return "No API key may do this: a person must."
        if scope.value in self.key.scopes:
            return f"{self.key.partner} is switched off: until it is active its API keys only read."
        return f"This API key lacks the scope {scope.value}."

    def _is_ours(self, row: Model) -> bool:
        rows = type(row)._default_manager.filter(pk=row.pk)
        return access.of_partner(rows, self.key.partner_id).exists()


def only(rows: QuerySet[access.M], caller: Any, right: str) -> QuerySet[access.M]:
    """The rows that a person or a program may see."""
    if isinstance(caller, Program):
        mine = access.of_partner(rows, caller.key.partner_id)
        return mine if caller.has_perm(right) else rows.none()
    return access.only(rows, caller, right)


def make(
    partner: Partner,
    *,
    name: str,
    scopes: list[str],
    allowed_networks: list[str],
    expires_at: datetime,
    by: User,
) -> tuple[ApiKey, str]:
    """A new key, and its text, which nobody can be shown again."""
    with transaction.atomic():
        key, text = _new(partner, name, scopes, allowed_networks, expires_at, by)
        audit.record("api key made", by=by.get_username(), subject=key, partner_code=partner.code,
                     scopes=sorted(scopes), networks=allowed_networks,
                     expires_at=expires_at.isoformat())  # fmt: skip
    return key, text


def rotate(
    key: ApiKey, *, both_for: timedelta, expires_at: datetime, by: User
) -> tuple[ApiKey, str]:
    """A key in place of another, which stays valid for a while. Raises ValueError."""
    with transaction.atomic():
        old = ApiKey.objects.select_for_update().get(pk=key.pk)
        if not old.is_valid:
            raise ValueError("It isn't valid any more. Make a new one.")
        if hasattr(old, "replaced_by"):
            raise ValueError("It was rotated already.")
        new, text = _new(
            old.partner, old.name, old.scopes, old.allowed_networks, expires_at, by, replaces=old
        )
        old.expires_at = min(old.expires_at, timezone.now() + both_for)
        old.save(update_fields=["expires_at"])
        audit.record("api key rotated", by=by.get_username(), subject=new, of=str(old),
                     partner_code=old.partner.code, old_ends_at=old.expires_at.isoformat(),
                     expires_at=expires_at.isoformat())  # fmt: skip
    return new, text


def revoke(key: ApiKey, *, by: User, reason: str) -> None:
    """End a key at once, for good. Raises ValueError."""
    with transaction.atomic():
        ended = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(
            revoked_at=timezone.now(), revoked_by=by
        )
        if not ended:
            raise ValueError("It was revoked already.")
        audit.record("api key revoked", by=by.get_username(), subject=key, reason=reason,
                     partner_code=key.partner.code)  # fmt: skip


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer pv_…`."""

    def authenticate(self, request: Request) -> tuple[Program, ApiKey] | None:
        word, _, given = get_authorization_header(request).partition(b" ")
        text = given.strip().decode(errors="replace")
        if word.lower() != b"bearer" or not text.startswith(BEGINNING):
            return None
        key, address = _found(text), source_address(request._request)
        if problem := _why_not(key, address):
            audit.refused(f"{problem.get_codes()}: {request.method} {request._request.path}"[:200],
                          by=str(key), source_address=address,
                          partner_code=key.partner.code)  # fmt: skip
            raise problem
        _tell_use(key, address)
        return Program(key), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


def _new(
    partner: Partner,
    name: str,
    scopes: list[str],
    networks: list[str],
    expires_at: datetime,
    by: User,
    replaces: ApiKey | None = None,
) -> tuple[ApiKey, str]:
    prefix = f"{BEGINNING}{secrets.token_hex(4)}"
    text = f"{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        partner=partner, name=name, prefix=prefix, sha256=hashed(text), scopes=scopes,
        allowed_networks=networks, expires_at=expires_at, created_by=by, replaces=replaces,
    )  # fmt: skip
    return key, text


def hashed(text: str) -> str:
    """256 random bits need no slow hash: there is nothing to guess."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _found(text: str) -> ApiKey:
    digest = hashed(text)
    key = ApiKey.objects.select_related("partner").filter(sha256=digest).first()
    if key is None or not hmac.compare_digest(key.sha256, digest):
        raise BadCredentials("invalid_credentials")
    return key


def _why_not(key: ApiKey, address: str | None) -> APIException | None:
    if key.revoked_at:
        return BadCredentials("key_revoked")
    if not key.is_valid:
        return BadCredentials("key_expired")
    if key.allowed_networks and not is_within(address, key.allowed_networks):
        return Problem("address_not_allowed")
    return None


def _tell_use(key: ApiKey, address: str | None) -> None:
    """At most one writes it in a minute, and none of the others waits for them."""
    now = timezone.now()
    is_news = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_IS_TOLD_EVERY)
    if key.last_used_at and key.last_used_at >= now - USE_IS_TOLD_EVERY:
        return
    with transaction.atomic():
        free = ApiKey.objects.select_for_update(skip_locked=True, no_key=True)
        if free.filter(is_news, pk=key.pk).exists():
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=now, last_used_from=address)
