"""Signing in with allauth: how it is adapted, what is locked, and what the audit is told of it."""

import time
from datetime import timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.account.signals import authentication_step_completed, user_logged_in
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from axes.signals import user_locked_out
from django.conf import settings
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from paymentvault import audit, second_factor
from paymentvault.addresses import source_address
from paymentvault.models import AuditEvent, User
from paymentvault.sessions import UNKNOWN

LOCKED = "locked out"
IN_WORDS = {"password": "password", "totp": "authenticator app", "webauthn": "passkey",
            "recovery_codes": "recovery code"}  # fmt: skip


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """axes counts wrong passwords. allauth's own count is by user name alone, so that a
        stranger could lock an officer out."""

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        known = request.user.get_username() if request.user.is_authenticated else "stranger"
        what = "a sign-in with a wrong name or password"
        audit.refused(what, by=known, source_address=source_address(request))

    def is_reauthentication_required(self, *, app: str, **given: Any) -> bool:
        """Whoever has no second factor yet, and signed in just now, sets it up at once."""
        if not settings.ASK_AGAIN_AFTER_S:
            return False
        return not _signed_in_just_now(context.request) or second_factor.is_set_up(
            context.request.user
        )

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """The second factor first, where there is one."""
        found = super().get_reauthentication_methods(user)
        return sorted(found, key=lambda method: method["id"] == "reauthenticate")

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """The audit tells; no mail server is needed."""


def _signed_in_just_now(request: HttpRequest) -> bool:
    earliest = time.time() - settings.ASK_AGAIN_AFTER_S
    return any(one["at"] > earliest for one in get_authentication_records(request, request.user))


def address_of(request: HttpRequest) -> str:
    """Also where it can't be told, which counts as one place."""
    return source_address(request) or UNKNOWN


def answer_locked_out(request: HttpRequest, answer: HttpResponse, *given: Any) -> HttpResponse:
    """The form itself says it; programs see it by the status."""
    answer.status_code = 429
    return answer


@receiver(user_locked_out, dispatch_uid="audit_locked_out")
def _locked_out(request: HttpRequest, username: str, ip_address: str, **given: Any) -> None:
    """Once for each time that it holds, whatever else is tried meanwhile."""
    since = timezone.now() - timedelta(seconds=settings.LOCKED_OUT_FOR_S)
    address, minutes = source_address(request), settings.LOCKED_OUT_FOR_S // 60
    told = AuditEvent.objects.filter(act=LOCKED, subject=username[:100], source_address=address)
    if not told.filter(at__gt=since).exists():
        audit.record(LOCKED, by="stranger", subject=username, source_address=address,
                     for_minutes=minutes)  # fmt: skip


@receiver(user_logged_in, dispatch_uid="audit_signed_in")
def _signed_in(request: HttpRequest, user: User, **given: Any) -> None:
    shown = [_in_words(one) for one in get_authentication_records(request, user)]
    by = user.get_username()
    audit.record("signed in", by=by, subject=by, shown=", ".join(shown))


@receiver(authentication_step_completed, dispatch_uid="audit_asked_again")
def _confirmed(
    request: HttpRequest, method: str, user: User, reauthenticated: bool = False, **given: Any
) -> None:
    if reauthenticated and not given.get("set_up"):
        by = user.get_username()
        shown = _in_words({"method": method, **given})
        audit.record("confirmed who they are", by=by, subject=by, shown=shown)


@receiver(authentication_failed, dispatch_uid="audit_wrong_code")
def _wrong_code(request: HttpRequest, user: User, **given: Any) -> None:
    what = "a wrong code of the second factor"
    audit.refused(what, by=user.get_username(), source_address=source_address(request))


@receiver(post_save, sender=Authenticator, dispatch_uid="audit_factor_added")
def _added(instance: Authenticator, created: bool, **given: Any) -> None:
    """In the transaction that adds it. Whoever sets a factor up has shown that they have it."""
    if not created:
        return
    _told("second factor added", instance)
    request = context.request
    if request and request.user == instance.user and instance.type in second_factor.FACTORS:
        record_authentication(request, instance.user, second_factor.SIGNED_BY, set_up=True,
                              type=instance.type, reauthenticated=True)  # fmt: skip


@receiver(post_delete, sender=Authenticator, dispatch_uid="audit_factor_removed")
def _removed(instance: Authenticator, **given: Any) -> None:
    _told("second factor removed", instance)


def _told(act: str, factor: Authenticator) -> None:
    user = getattr(context.request, "user", None)
    by = user.get_username() if user and user.is_authenticated else "system"
    audit.record(act, by=by, subject=factor.user.get_username(), which=IN_WORDS[factor.type])


def _in_words(record: dict[str, Any]) -> str:
    name = str(record.get("type") or record["method"])
    return IN_WORDS.get(name, name)
