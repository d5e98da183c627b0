"""One line in the audit, in the transaction of what it tells."""

from datetime import timedelta
from typing import Any

import structlog
from django.utils import timezone

from paymentvault.models import REFUSED, AuditEvent

log = structlog.get_logger(__name__)


def record(
    act: str,
    *,
    by: str,
    subject: object = "",
    partner_code: str = "",
    source_address: str | None = None,
    **detail: Any,
) -> AuditEvent:
    """Write what was done. Secrets must already be named as "changed", never given."""
    return AuditEvent.objects.create(
        act=act,
        actor=by,
        subject=str(subject)[:100],
        partner_code=partner_code,
        source_address=source_address,
        detail=detail,
    )


def refused(what: str, *, source_address: str | None) -> None:
    """A stranger was turned away. One line a minute for an address: a flood mustn't fill it."""
    log.warning("refused", what=what, source_address=source_address)
    a_minute_ago = timezone.now() - timedelta(minutes=1)
    lately = AuditEvent.objects.filter(
        act=REFUSED, source_address=source_address, at__gte=a_minute_ago
    )
    if not lately.exists():
        record(REFUSED, by="stranger", source_address=source_address, what=what)
