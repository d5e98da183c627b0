"""Signing in with allauth: how it is adapted, what is locked, and what the audit is told of it."""

import time
from datetime import datetime, timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.account.signals import authentication_step_completed, user_logged_in
from allauth.core import context
from allauth.core.internal import ratelimit
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from axes.signals import user_locked_out
from django.conf import settings
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from paymentvault import audit, factors, second_factor, sessions
from paymentvault.addresses import block_of, source_address
from paymentvault.api import tokens
from paymentvault.models import REFUSED, AuditEvent, User
from paymentvault.recent import is_recent
from paymentvault.session_store import kept_as
from paymentvault.sessions import UNKNOWN

LOCKED = "locked out"
# Wrong codes of one person in an hour, wherever they come from: against guessing from many places.
WRONG_CODES_AN_HOUR = 50
IN_WORDS = {"password": "password", "totp": "authenticator app", "webauthn": "passkey",
            "recovery_codes": "recovery code"}  # fmt: skip


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """axes counts wrong passwords. allauth's own count is by user name alone, so that a
        stranger could lock an officer out."""

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """What a session that somebody left or stole guesses is few, and told one by one."""
        if request.user.is_authenticated:
            if not getattr(request, "axes_locked_out", False):
                audit.record(REFUSED, by=request.user.get_username(), subject=request.user,
                             what="a wrong password")  # fmt: skip
        else:
            account = _account(credentials.get("username"))
            _refused(request, "a sign-in with a wrong name or password", account)

    def is_reauthentication_required(self, *, app: str, **given: Any) -> bool:
        """Whoever has no second factor yet, and signed in just now, sets it up at once."""
        if not settings.ASK_AGAIN_AFTER_S:
            return False
        return not _signed_in_just_now(context.request) or factors.is_set_up(context.request.user)

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """The second factor alone, where there is one: a password may have been seen or guessed."""
        found = super().get_reauthentication_methods(user)
        if not isinstance(user, User) or not factors.is_set_up(user):
            return list(found)
        return [method for method in found if method["id"] != "reauthenticate"]

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """The audit tells; no mail server is needed."""


def _signed_in_just_now(request: HttpRequest) -> bool:
    earliest = time.time() - settings.ASK_AGAIN_AFTER_S
    return any(one["at"] > earliest for one in get_authentication_records(request, request.user))


def address_of(request: HttpRequest) -> str:
    """What is counted as one place: also a whole block, and what can't be told. The audit keeps
    the address itself."""
    return block_of(source_address(request) or UNKNOWN)


def _account(name: str | None) -> User | None:
    """Whose it is, if anybody's. What else was typed, maybe a password, is told nowhere."""
    return User.objects.filter(username=name).first() if name else None


def _refused(request: HttpRequest, what: str, account: User | None) -> None:
    """One line a minute for an address and an account: a flood mustn't fill the audit."""
    address = source_address(request)
    a_minute_ago = timezone.now() - timedelta(minutes=1)
    if not _is_told(REFUSED, account, request, since=a_minute_ago):
        audit.record(REFUSED, by="stranger", subject=account or "", source_address=address,
                     what=what)  # fmt: skip


def _is_told(act: str, account: User | None, request: HttpRequest, *, since: datetime) -> bool:
    told = AuditEvent.objects.filter(
        act=act, actor="stranger", subject=str(account or "")[:100], at__gt=since
    )
    known = told.values_list("source_address", flat=True)
    return address_of(request) in {block_of(one or UNKNOWN) for one in known}


def answer_locked_out(request: HttpRequest, answer: HttpResponse, *given: Any) -> HttpResponse:
    """The form itself says it; programs see it by the status."""
    answer.status_code = 429
    return answer


@receiver(user_locked_out, dispatch_uid="audit_locked_out")
def _locked_out(request: HttpRequest, username: str, ip_address: str, **given: Any) -> None:
    _tell_locked_out(request, _account(username))


def _tell_locked_out(request: HttpRequest, account: User | None) -> None:
    """Once for each time that it holds, whatever else is tried meanwhile."""
    since = timezone.now() - timedelta(seconds=settings.LOCKED_OUT_FOR_S)
    if not _is_told(LOCKED, account, request, since=since):
        audit.record(LOCKED, by="stranger", subject=account or "",
                     source_address=source_address(request),
                     for_minutes=settings.LOCKED_OUT_FOR_S // 60)  # fmt: skip


class Guess:
    """A code that somebody tries, counted until it proves right.

    Few are looked at from one place. Who knows a password must not be able to lock its owner's
    second factor from elsewhere; so all places together have a limit that is far wider.
    """

    def __init__(self, request: HttpRequest, user: User) -> None:
        here = f"{settings.AXES_FAILURE_LIMIT}/{settings.LOCKED_OUT_FOR_S}s/key"
        # The second is spent only by who still has some of the first.
        self._spent = [
            _spend(request, "code", rate=here, key=f"{user.pk} {address_of(request)}")
        ]  # fmt: skip
        if self.is_looked_at:
            rate = f"{WRONG_CODES_AN_HOUR}/h/key"
            self._spent.append(_spend(request, "codes", rate=rate, key=str(user.pk)))
        if not self.is_looked_at:
            _tell_locked_out(request, user)

    @property
    def is_looked_at(self) -> bool:
        return all(self._spent)

    @property
    def why_not(self) -> str:
        if self._spent[0]:
            return "for your name from many places. None is looked at for up to an hour"
        minutes = settings.LOCKED_OUT_FOR_S // 60
        return f"for your name from here. None is looked at for up to {minutes} minutes"

    def was_right(self) -> None:
        for one in self._spent:
            if one:
                one.rollback()


def _spend(
    request: HttpRequest, action: str, *, rate: str, key: str
) -> ratelimit.RateLimitUsage | None:
    config = {action: rate}
    return ratelimit.consume(request, app="paymentvault", action=action, config=config, key=key)


@receiver(user_logged_in, dispatch_uid="audit_signed_in")
def _signed_in(request: HttpRequest, user: User, **given: Any) -> None:
    shown = [_in_words(one) for one in get_authentication_records(request, user)]
    audit.record("signed in", by=user.get_username(), subject=user, shown=", ".join(shown))


@receiver(authentication_step_completed, dispatch_uid="audit_asked_again")
def _confirmed(
    request: HttpRequest, method: str, user: User, reauthenticated: bool = False, **given: Any
) -> None:
    if reauthenticated and not given.get("set_up"):
        shown = _in_words({"method": method, **given})
        by = user.get_username()
        audit.record("confirmed who they are", by=by, subject=user, shown=shown)


@receiver(authentication_failed, dispatch_uid="audit_wrong_code")
def _wrong_code(request: HttpRequest, user: User, **given: Any) -> None:
    what = "a wrong code of the second factor"
    audit.refused(what, by=user.get_username(), source_address=source_address(request))


@receiver(post_save, sender=Authenticator, dispatch_uid="audit_factor_added")
def _added(instance: Authenticator, created: bool, **given: Any) -> None:
    """In the transaction that adds it. Whoever sets a factor up has shown that they have it: the
    first of somebody who signed in just now, or one more of who showed another."""
    if not created:
        return
    _told("second factor added", instance)
    if instance.type not in factors.TYPES:
        return
    request, user = context.request, instance.user
    is_own = bool(request) and request.user == user
    is_first = not factors.is_set_up(user, besides=instance)
    if is_first:
        _alone_here(user, but=kept_as(request.session.session_key) if is_own else "")
    if is_own and (second_factor.was_used(request) or (is_first and _is_let_in(request))):
        record_authentication(request, user, factors.SHOWN_AS, set_up=True,
                              type=instance.type, reauthenticated=True)  # fmt: skip


def _is_let_in(request: HttpRequest) -> bool:
    return _signed_in_just_now(request) or is_recent(request)


def _alone_here(user: User, *, but: str) -> None:
    """What began with the password alone ends, wherever it is."""
    by, why = _by(), "The second factor was set up."
    tokens.revoke_all(user, by=by, why=why)
    if ended := sessions.end(user, except_for=but):
        audit.record("sessions ended", by=by, subject=user, count=ended, reason=why)


@receiver(post_delete, sender=Authenticator, dispatch_uid="audit_factor_removed")
def _removed(instance: Authenticator, **given: Any) -> None:
    _told("second factor removed", instance)


def _told(act: str, factor: Authenticator) -> None:
    audit.record(act, by=_by(), subject=factor.user, which=IN_WORDS[factor.type])


def _by() -> str:
    user = getattr(context.request, "user", None)
    return user.get_username() if user and user.is_authenticated else "system"


def _in_words(record: dict[str, Any]) -> str:
    name = str(record.get("type") or record["method"])
    return IN_WORDS.get(name, name)
