"""How often somebody may ask: counted in the cache by the minute, told in every answer.

Signing in is counted elsewhere, in PostgreSQL: by axes and allauth.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError
from rest_framework.exceptions import Throttled

from paymentvault.addresses import block_of
from paymentvault.api.errors import Problem

log = structlog.get_logger(__name__)

View = Callable[..., HttpResponse]

WINDOW_S = 60
# After the cache failed it isn't asked again so soon: each try may cost its time-out.
REST_S = 5.0


@dataclass(frozen=True)
class Limit:
    """So many requests a minute of a kind; `setting` names how many."""

    name: str
    setting: str
    needs_cache: bool = False
    """Refuse when nobody counts. The others go through: PostgreSQL guards what they change."""

    @property
    def per_minute(self) -> int:
        return int(getattr(settings, self.setting))


READS = Limit("reads", "API_READS_PER_MINUTE")
WRITES = Limit("writes", "API_WRITES_PER_MINUTE")
# It makes us call a server that somebody names.
CONNECTION_TESTS = Limit("tests", "API_CONNECTION_TESTS_PER_MINUTE", needs_cache=True)
FAILED_SIGN_INS = Limit("failed", "API_FAILED_SIGN_INS_PER_MINUTE")
# Webhooks and callbacks: of an address that knows no secret, and of each secret that is known.
STRANGERS = Limit("strangers", "WEBHOOK_STRANGERS_PER_MINUTE")
EVENTS = Limit("events", "WEBHOOK_EVENTS_PER_MINUTE")
CALLBACKS = Limit("callbacks", "WEBHOOK_CALLBACKS_PER_MINUTE")


@dataclass(frozen=True)
class Spent:
    """What is left of a limit."""

    limit: int
    left: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.left),
            "RateLimit-Reset": str(self.reset_s),
        }


class OverLimit(Throttled):
    def __init__(self, spent: Spent) -> None:
        super().__init__(wait=spent.reset_s, detail=f"More than {spent.limit} a minute.")
        self.spent = spent


def spend(limit: Limit, who: str) -> Spent | None:
    """Count one request; None if nobody counts. Raises OverLimit, or Problem."""
    now = time.time()
    reset_s = WINDOW_S - int(now) % WINDOW_S
    used = _count(f"{limit.name}:{block_of(who)}:{int(now) // WINDOW_S}")
    if used is None:
        if limit.needs_cache:
            raise Problem("unavailable", "Nobody counts requests now. Try again in a minute.")
        return None
    spent = Spent(limit.per_minute, max(0, limit.per_minute - used), reset_s)
    if used > limit.per_minute:
        raise OverLimit(spent)
    return spent


class TooMany(Exception):
    """Too many requests came in this minute; `answer` says so."""

    def __init__(self, spent: Spent) -> None:
        super().__init__("too many requests")
        words = {"code": "rate_limited", "message": "Too many requests. Nothing was kept."}
        headers = {"Retry-After": str(spent.reset_s), **spent.headers}
        self.answer = JsonResponse({"error": words}, status=429, headers=headers)


def count(limit: Limit, who: object) -> None:
    """One more request to a view that isn't the API's. Raises TooMany, which `limited` answers."""
    try:
        spend(limit, str(who))
    except OverLimit as over:
        raise TooMany(over.spent) from over


def limited(view: View) -> View:
    @wraps(view)
    def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except TooMany as many:
            return many.answer

    return counted


_resting_until = 0.0


def _count(key: str) -> int | None:
    global _resting_until
    if time.monotonic() < _resting_until:
        return None
    try:
        caches["limits"].add(key, 0, timeout=2 * WINDOW_S)
        return int(caches["limits"].incr(key))
    except (RedisError, ConnectionError, ValueError) as error:
        # ValueError: it was thrown out of the cache between the two.
        log.warning("limits_not_counted", error=type(error).__name__)
        _resting_until = time.monotonic() + REST_S
        return None
