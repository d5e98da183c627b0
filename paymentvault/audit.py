"""One line in the audit, in the transaction of what it tells.

Lines are append-only, and `paymentvault.chain` links each to the one before by a hash.
"""

from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from paymentvault.addresses import source_address as address_of
from paymentvault.models import REFUSED, AuditEvent, User

log = structlog.get_logger(__name__)

Handler = Callable[[HttpRequest], HttpResponse]

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


def record(
    act: str,
    *,
    by: str,
    subject: object = "",
    partner_code: str = "",
    source_address: str | None = None,
    **detail: Any,
) -> AuditEvent:
    """Write what was done. Secrets must already be named as "changed", never given.

    Where a request is being answered, its address, id and person are written with it.
    """
    request = _request.get()
    if request is not None and source_address is None:
        source_address = address_of(request)
    about = subject if isinstance(subject, Model) else None
    return AuditEvent.objects.create(
        act=act[:60],
        actor=by,
        user=_person(request, by),
        request_id=_request_id(),
        subject=str(subject)[:100],
        about_type=about._meta.label_lower if about else "",
        about_id=str(about.pk)[:40] if about else "",
        partner_code=partner_code,
        source_address=source_address,
        detail=detail,
    )


def refused(what: str, *, source_address: str | None, by: str = "stranger") -> None:
    """Somebody was turned away. One line a minute for an address: a flood mustn't fill it."""
    log.warning("refused", what=what, source_address=source_address)
    a_minute_ago = timezone.now() - timedelta(minutes=1)
    lately = AuditEvent.objects.filter(
        act=REFUSED, source_address=source_address, actor=by, at__gte=a_minute_ago
    )
    if not lately.exists():
        record(REFUSED, by=by, source_address=source_address, what=what)


class Remembered:
    """Middleware: what is recorded while a request is answered names where it came from.

    It stands behind the one that knows who signed in. Who is refused a page is recorded too.
    """

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _request.set(request)
        try:
            return self._get_response(request)
        finally:
            _request.reset(token)

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        if isinstance(error, PermissionDenied) and request.user.is_authenticated:
            what = f"{request.method} {request.path}"[:200]
            refused(what, by=request.user.get_username(), source_address=address_of(request))


def _person(request: HttpRequest | None, by: str) -> User | None:
    user = getattr(request, "user", None)
    return user if isinstance(user, User) and user.get_username() == by else None


def _request_id() -> str:
    """Also of the request that rang the worker who writes this."""
    return str(structlog.contextvars.get_contextvars().get("request_id") or "")[:40]
