"""The audit as sentences, for reading in Django's admin and in exports."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode

from django.db import connection
from django.db.models import Model, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from paymentvault.models import REFUSED, AuditEvent, RowChange

# A search shows so many of the newest; what is older is found by a filter or a day.
FOUND_AT_MOST = 1_000
KNOWN_AT_MOST = 1_000


@dataclass(frozen=True)
class Difference:
    """What one field was and is, or else what was told with it."""

    name: str
    was: str
    now: str

    @property
    def is_change(self) -> bool:
        return self.was != "" or self.now == "changed"


def sentence(event: AuditEvent) -> str:
    """Who did what to what, for which partner, when and from where."""
    at = timezone.localtime(event.at)
    parts = [
        event.actor,
        f"— {did(event)}",
        f"— {event.subject}" if event.subject else "",
        f"({event.partner_code})" if event.partner_code else "",
        f"on {at:%-d %B %Y at %H:%M:%S} Nairobi",
        f"from {event.source_address}" if event.source_address else "",
    ]
    return " ".join(part for part in parts if part) + "."


# Acts that say nothing without a word of their details.
_SAY_WHAT = {REFUSED: "what", "signed in": "shown"}


def did(event: AuditEvent) -> str:
    """The act, with what was refused, or shown to sign in."""
    what = event.detail.get(_SAY_WHAT.get(event.act, ""))
    return f"{event.act}: {what}" if what else event.act


def when(moment: datetime) -> str:
    """To the second, in Nairobi."""
    return f"{timezone.localtime(moment):%-d %b %Y %H:%M:%S}"


def row_sentence(change: RowChange) -> str:
    """What became of which row, by whom, when."""
    at = timezone.localtime(change.at)
    partner = f" ({change.partner_code})" if change.partner_code else ""
    by = change.actor or f"somebody who signed in to the database as {change.database_role}"
    return (
        f"{change.about_type} {change.about_id}{partner} was {change.act}"
        f" on {at:%-d %B %Y at %H:%M:%S} Nairobi by {by}."
    )


def differences(detail: Mapping[str, Any]) -> list[Difference]:
    """The details that say from what to what."""
    return [
        Difference(name, _plain(value["from"]), _plain(value["to"]))
        if isinstance(value, dict) and {"from", "to"} <= value.keys()
        else Difference(name, "", _plain(value))
        for name, value in detail.items()
    ]


def found(lines: QuerySet[AuditEvent], term: str) -> QuerySet[AuditEvent]:
    """The newest of the lines that have the whole term as person, object, act and so on.

    Each column is looked up in its own index, in the order of time, and no further than is shown.
    """
    columns = {"actor": term, "subject": term, "act": term, "partner_code": term,
               "request_id": term, "about_id": term}  # fmt: skip
    if term != term.upper():
        columns["subject__exact"] = term.upper()
    if is_address(term):
        columns["source_address"] = term
    first, *others = (
        lines.filter(**{column: value}).order_by("-at", "-pk").values("pk")[:FOUND_AT_MOST]
        for column, value in columns.items()
    )
    return lines.filter(pk__in=first.union(*others))


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def known(model: type[Model], column: str) -> list[str]:
    """What a column has, each once, found by leaping through its index."""
    table, name = (connection.ops.quote_name(one) for one in (model._meta.db_table, column))
    leap = f"SELECT {name} FROM {table} WHERE {name} > known.one ORDER BY {name} LIMIT 1"  # noqa: S608
    statement = (
        f"WITH RECURSIVE known AS ((SELECT {name} AS one FROM {table} WHERE {name} > ''"  # noqa: S608
        f" ORDER BY {name} LIMIT 1) UNION ALL SELECT ({leap}) FROM known WHERE one IS NOT NULL)"
        " SELECT one FROM known WHERE one IS NOT NULL LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [KNOWN_AT_MOST])
        return [row[0] for row in cursor.fetchall()]


def others_of(event: AuditEvent) -> str:
    """How the list is filtered for the other events of the same object."""
    if event.about_type:
        return urlencode({"about_type": event.about_type, "about_id": event.about_id})
    return urlencode({"subject": event.subject}) if event.subject else ""


def link_to(event: AuditEvent | RowChange) -> str:
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
            for d in differences(event.detail)
        )
        yield [str(event.pk), at, event.actor, event.source_address or "", event.request_id,
               event.act, event.subject, event.partner_code, details]  # fmt: skip


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "nothing"
    return "nothing" if value in (None, "") else str(value)
