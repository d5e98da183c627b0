"""How long one stays signed in, and where one is signed in now."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.auth.views import redirect_to_login
from django.contrib.sessions.models import Session
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from paymentvault import audit
from paymentvault.addresses import source_address
from paymentvault.models import User
from paymentvault.recent import here, sent_to
from paymentvault.session_store import kept_as

Handler = Callable[[HttpRequest], HttpResponse]

BEGUN, SEEN = "begun_at", "seen_at"
# A press is written down once in so many seconds, not at every one.
WRITTEN_EVERY_S = 60
# An address that can't be told; the column wants one.
UNKNOWN = "::"
BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"),
            ("Safari", "Safari"))  # fmt: skip
SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
           ("Mac OS", "Mac"), ("Linux", "Linux"))  # fmt: skip


class TimedOut:
    """Middleware: ends a session that rested too long, or is too old."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            return self._get_response(request)
        now = time.time()
        if words := _why_over(request, now):
            led = _ended(request, words)
            # The API tells programs itself that nobody is signed in.
            return self._get_response(request) if request.path.startswith("/api/") else led
        if _is_a_press(request) and now - request.session.get(SEEN, 0) >= WRITTEN_EVERY_S:
            _seen(request, now)
        return self._get_response(request)


def _why_over(request: HttpRequest, now: float) -> str:
    begun = request.session.setdefault(BEGUN, now)
    if now - begun > settings.SESSION_AT_MOST_S:
        hours = settings.SESSION_AT_MOST_S // 3600
        return f"You were signed in for {hours} hours. Sign in anew to go on."
    if now - request.session.get(SEEN, now) > settings.SESSION_IDLE_S:
        minutes = settings.SESSION_IDLE_S // 60
        return f"You were signed out, since nothing was pressed for {minutes} minutes."
    return ""


def _is_a_press(request: HttpRequest) -> bool:
    """A page that refreshes itself keeps nobody signed in."""
    return request.method != "GET" or not request.headers.get("HX-Request")


def _ended(request: HttpRequest, words: str) -> HttpResponse:
    user, back = request.user, here(request) if request.method == "GET" else "/"
    audit.record("session timed out", by=user.get_username(), subject=user)
    logout(request)
    messages.warning(request, words)
    return sent_to(request, redirect_to_login(back)["Location"])


def _seen(request: HttpRequest, now: float) -> None:
    request.session[SEEN] = now
    rows = UserSession.objects.filter(session_key=kept_as(request.session.session_key))
    rows.update(last_seen_at=timezone.now(), ip=source_address(request) or UNKNOWN)


@receiver(user_logged_in, dispatch_uid="session_begun")
def begin(sender: Any, request: HttpRequest, user: User, **given: Any) -> None:
    request.session[BEGUN] = request.session[SEEN] = time.time()
    request.session.save()
    UserSession.objects.update_or_create(
        session_key=kept_as(request.session.session_key),
        defaults={
            "user": user,
            "ip": source_address(request) or UNKNOWN,
            "user_agent": request.META.get("HTTP_USER_AGENT", "")[:200],
        },
    )


@receiver(user_logged_out, dispatch_uid="session_ended")
def end_own(sender: Any, request: HttpRequest, **given: Any) -> None:
    UserSession.objects.filter(session_key=kept_as(request.session.session_key)).delete()


def of(user: User) -> list[UserSession]:
    """Where somebody is signed in, the latest first."""
    there = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    awake = timezone.now() - timedelta(seconds=settings.SESSION_IDLE_S)
    rows = UserSession.objects.filter(user=user, session_key__in=there, last_seen_at__gt=awake)
    return list(rows.order_by("-last_seen_at"))


@transaction.atomic
def end(user: User, *, except_for: str = "", only: int | None = None) -> int:
    """Sign somebody out wherever else they are, or at one place; returns at how many."""
    rows = UserSession.objects.filter(user=user).exclude(session_key=except_for)
    if only is not None:
        rows = rows.filter(pk=only)
    keys = list(rows.values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    rows.delete()
    return len(keys)


def device(agent: str) -> str:
    """A browser's long name in a few words."""
    browser = next((words for part, words in BROWSERS if part in agent), "")
    system = next((words for part, words in SYSTEMS if part in agent), "")
    return " on ".join(part for part in (browser, system) if part) or "Unknown device"
