"""Automatic disbursement: whether a partner's loans are paid without a person, loan by loan."""

from typing import Any

from partners.models import Partner
from paymentvault import audit


def switch(
    partner: Partner,
    *,
    to: bool,
    by: str,
    reason: str,
    source_address: str | None = None,
    **detail: Any,
) -> bool:
    """Switch it on or off; False if it is so already. Call it in a transaction.

    What waits for a person already goes on waiting for one.
    """
    changed = Partner.objects.filter(pk=partner.pk, is_automatic=not to).update(is_automatic=to)
    if changed:
        audit.record(
            f"automatic disbursement switched {'on' if to else 'off'}",
            by=by,
            subject=partner,
            partner_code=partner.code,
            source_address=source_address,
            reason=reason,
            **detail,
        )
    partner.is_automatic = to
    return bool(changed)
