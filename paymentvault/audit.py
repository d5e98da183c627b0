"""One line in the audit, in the transaction of what it tells."""

from typing import Any

from paymentvault.models import AuditEvent


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
