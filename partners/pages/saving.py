"""Saved by a person, or kept for a second one, with a line in the audit; and when that was."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models
from django.http import HttpRequest

from partners import changes
from partners.changes import Draft, NotProposed
from partners.models import MifosConnection, Partner, SettingsChange
from paymentvault import audit
from paymentvault.acts import user_of
from paymentvault.addresses import source_address
from paymentvault.models import AuditEvent

LATEST = 100


@dataclass(frozen=True)
class Told:
    """What whoever saved is told, and whether it waits for a second person."""

    words: str
    waits: bool = False


def submit(request: HttpRequest, draft: Draft, form: Any) -> Told | None:
    """Save what is typed into a valid form, or keep it for a second person; in a transaction.

    Returns what happened, or None where the form, which says why, tells now why nothing did.
    """
    try:
        outcome = changes.submit(draft, by=user_of(request), reason=form.why)
    except NotProposed as why:
        form.add_error(why.field, str(why))
        return None
    return Told(outcome) if isinstance(outcome, str) else Told(proposed(outcome), waits=True)


def proposed(change: SettingsChange) -> str:
    """What its proposer is told."""
    names = ", ".join(str(user) for user in changes.who_may_decide(change))
    whom = names or "nobody else has the right yet, so give somebody a role under People"
    return f"Saved as a proposal. It waits for a second person: {whom}. Nothing has changed yet."


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
