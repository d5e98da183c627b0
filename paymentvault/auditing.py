"""The audit as sentences, for reading in Django's admin and in exports."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from paymentvault.models import AuditEvent


@dataclass(frozen=True)
class Difference:
    """What one field was and is; both are "changed" for a secret."""

    name: str
    was: str
    now: str


def sentence(event: AuditEvent) -> str:
    """Who did what to what, for which partner, when and from where."""
    at = timezone.localtime(event.at)
    parts = [
        event.actor,
        f"— {event.act}",
        f"— {event.subject}" if event.subject else "",
        f"({event.partner_code})" if event.partner_code else "",
        f"on {at:%-d %B %Y at %H:%M:%S} Nairobi",
        f"from {event.source_address}" if event.source_address else "",
    ]
    return " ".join(part for part in parts if part) + "."


def differences(event: AuditEvent) -> list[Difference]:
    """The details that say from what to what."""
    return [
        Difference(name, _plain(value["from"]), _plain(value["to"]))
        if isinstance(value, dict) and {"from", "to"} <= value.keys()
        else Difference(name, "", _plain(value))
        for name, value in event.detail.items()
    ]


def link_to(event: AuditEvent) -> str:
    """The admin's page of what it is about; "" where there is none."""
    if not event.about_type:
        return ""
    try:
        name = event.about_type.replace(".", "_")
        return reverse(f"admin:{name}_change", args=[event.about_id])
    except NoReverseMatch:
        return ""


COLUMNS = ["id", "at (Nairobi)", "who", "from", "request", "what", "about", "partner", "details"]


def rows(events: Iterator[AuditEvent]) -> Iterator[list[str]]:
    for event in events:
        at = timezone.localtime(event.at).isoformat()
        details = "; ".join(
            f"{d.name}: {d.was} → {d.now}" if d.was else f"{d.name}: {d.now}"
            for d in differences(event)
        )
        yield [str(event.pk), at, event.actor, event.source_address or "", event.request_id,
               event.act, event.subject, event.partner_code, details]  # fmt: skip


def _plain(value: Any) -> str:
    return "nothing" if value in (None, "") else str(value)
