"""The kill switch: nobody is paid while it stands."""

from django.db import transaction

from paymentvault import audit
from paymentvault.models import KillSwitch


@transaction.atomic
def stop(*, by: str, reason: str, source_address: str | None = None) -> bool:
    """Stop all payouts; False if they are stopped already (the first reason stays)."""
    _, stopped = KillSwitch.objects.get_or_create(
        pk=1, defaults={"stopped_by": by, "reason": reason[:300]}
    )
    if stopped:
        audit.record("payouts stopped", by=by, reason=reason, source_address=source_address)
    return stopped


@transaction.atomic
def go(*, by: str, source_address: str | None = None) -> bool:
    """Let payouts go again; False if they weren't stopped."""
    count, _ = KillSwitch.objects.filter(pk=1).delete()
    if count:
        audit.record("payouts go again", by=by, source_address=source_address)
    return bool(count)
