"""Saved by a person, with a line in the audit, and when that was."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import models
from django.http import HttpRequest

from partners.forms import Audited
from partners.models import MifosConnection, Partner
from paymentvault import audit
from paymentvault.acts import user_of
from paymentvault.addresses import source_address
from paymentvault.models import AuditEvent

LATEST = 100


def save(request: HttpRequest, form: Audited, *, partner: Partner | None = None) -> Any:
    """Save a valid form and tell the audit what changed. Call it in a transaction."""
    is_new, changes = form.instance._state.adding, form.changes()
    row = form.save()
    if is_new or changes:
        record(request, f"{row._meta.verbose_name} {'added' if is_new else 'changed'}",
               subject=row, partner=partner or row, **changes)  # fmt: skip
    return row


def record(
    request: HttpRequest, act: str, *, subject: models.Model, partner: Partner, **detail: Any
) -> None:
    audit.record(act, by=user_of(request).get_username(), subject=subject,
                 partner_code=partner.code, source_address=source_address(request),
                 **detail)  # fmt: skip


def acts(partner: Partner, *names: str, at_most: int = LATEST) -> list[AuditEvent]:
    """The newest lines of the audit about a partner."""
    lines = AuditEvent.objects.filter(partner_code=partner.code, act__in=names)
    return list(lines.order_by("-pk")[:at_most])


def secrets_saved_at(connection: MifosConnection, names: Iterable[str]) -> dict[str, datetime]:
    """When each saved secret was last typed; where the audit doesn't tell, when it was at last."""
    if connection._state.adding:
        return {}
    lines = acts(connection.partner, *(f"Mifos X connection {what}" for what in
                                       ("added", "changed")))  # fmt: skip
    found = {}
    for name in names:
        if getattr(connection, name):
            told = (line.at for line in lines if name in line.detail)
            found[name] = next(told, connection.updated_at)
    return found
