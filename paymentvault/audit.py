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
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse

from paymentvault.addresses import source_address as address_of
from paymentvault.models import REFUSED, AuditEvent, User

log = structlog.get_logger(__name__)

Handler = Callable[[HttpRequest], HttpResponse]

# By PostgreSQL's clock, which dates the lines.
SHOWN_ONCE_IN = timedelta(hours=1)
TOLD_ONCE_IN = timedelta(minutes=1)
# Of one person, key or stranger at one address within that time.
REFUSALS_AT_MOST = 20

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
        partner_code=partner_code or _partner_code(about),
        source_address=source_address,
        detail=detail,
    )


def shown(act: str, *, by: str, subject: Model) -> None:
    """A secret was shown to somebody. One line an hour for each who looks: a page is reloaded."""
    lately = AuditEvent.objects.filter(
        actor=by, act=act, about_type=subject._meta.label_lower, about_id=str(subject.pk),
        at__gte=Now() - SHOWN_ONCE_IN,
    )  # fmt: skip
    if not lately.exists():
        record(act, by=by, subject=subject)


def refused(
    what: str, *, source_address: str | None, by: str = "stranger", partner_code: str = ""
) -> None:
    """Somebody was turned away. The same is told once a minute, and no flood fills the audit."""
    log.warning("refused", what=what, source_address=source_address)
    lately = AuditEvent.objects.filter(
        act=REFUSED, source_address=source_address, actor=by, at__gte=Now() - TOLD_ONCE_IN
    )
    told = list(lately.values_list("detail__what", flat=True)[:REFUSALS_AT_MOST])
    if what not in told and len(told) < REFUSALS_AT_MOST:
        record(REFUSED, by=by, source_address=source_address, partner_code=partner_code, what=what)


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


def here() -> tuple[str, str]:
    """The name of who asks and the id of the request, as far as something is being asked."""
    user = getattr(_request.get(), "user", None)
    return (user.get_username()[:150] if user and user.is_authenticated else ""), _request_id()


def _person(request: HttpRequest | None, by: str) -> User | None:
    user = getattr(request, "user", None)
    return user if isinstance(user, User) and user.get_username() == by else None


def _partner_code(about: Model | None) -> str:
    """Whose it is, where the object itself tells."""
    partner = getattr(about, "partner", None) or about
    return str(getattr(partner, "code", ""))[:20]


def _request_id() -> str:
    """Also of the request that rang the worker who writes this; else the worker's own task."""
    known = structlog.contextvars.get_contextvars()
    return str(known.get("request_id") or known.get("task_id") or "")[:40]
