"""The audit's chain: each line linked to the one before by a hash, so that changes show.

Writers add lines without waiting for each other. One at a time, a linker gives the committed
lines their numbers, in the order in which it finds them. What it hasn't reached yet waits in a
table of its own, seconds as a rule.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from paymentvault.models import AuditEvent, AuditLink, AuditWaiting

BEGINNING = "0" * 64
AT_ONCE = 500
# A line may wait for its link so long; later the linker is down, or somebody meddled.
WAITS_AT_MOST = timedelta(minutes=15)
_LOCK = 0x5641554C


@dataclass(frozen=True)
class Finding:
    """What verification saw: how much is whole, and the first thing that doesn't fit."""

    checked: int
    newest: str
    wrong: str = ""


def link_what_waits() -> int:
    """Link the lines that have none; returns how many. Only one linker is at work at a time."""
    linked = 0
    while batch := _link_batch():
        linked += batch
    return linked


@transaction.atomic
def _link_batch() -> int:
    if not _is_only_linker():
        return 0
    waiting = list(AuditWaiting.objects.select_related("event").order_by("event_id")[:AT_ONCE])
    last = AuditLink.objects.order_by("-number").first()
    number, previous = (last.number, last.hash) if last else (0, BEGINNING)
    made_at = timezone.now()
    links = []
    for waits in waiting:
        number += 1
        digest = digest_of(number, previous, made_at, waits.event)
        links.append(
            AuditLink(number=number, event=waits.event, previous=previous, hash=digest,
                      made_at=made_at)
        )  # fmt: skip
        previous = digest
    AuditLink.objects.bulk_create(links)
    AuditWaiting.objects.filter(pk__in=[w.pk for w in waiting]).delete()
    return len(links)


def _is_only_linker() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])


def digest_of(number: int, previous: str, made_at: datetime, event: AuditEvent) -> str:
    """SHA-256 over the place and every column of the line, as PostgreSQL keeps them."""
    line = {field.attname: getattr(event, field.attname) for field in event._meta.local_fields}
    told = json.dumps(
        [number, previous, made_at, line], sort_keys=True, separators=(",", ":"), default=_plain
    )
    return hashlib.sha256(told.encode()).hexdigest()


def verify(known: str = "") -> Finding:
    """Check the whole chain against the lines, from its beginning.

    `known` is a newest link that was kept elsewhere, as "number:hash"; then a chain that was cut
    short behind it is found too.
    """
    number, previous = 0, BEGINNING
    kept = _parsed(known)
    for number, link in enumerate(_links(), start=1):
        wrong = _wrong_with(link, number, previous)
        if wrong:
            return Finding(number - 1, f"{number - 1}:{previous}", wrong)
        previous = link.hash
        if kept and link.number == kept[0] and link.hash != kept[1]:
            words = f"Link {number} is not the one that was kept elsewhere."
            return Finding(number - 1, f"{number}:{previous}", words)
    newest = f"{number}:{previous}"
    if kept and kept[0] > number:
        words = f"The chain ends with link {number}; link {kept[0]} was there before."
        return Finding(number, newest, words)
    return Finding(number, newest, _unlinked())


def _links() -> Iterator[AuditLink]:
    return AuditLink.objects.select_related("event").order_by("number").iterator(chunk_size=2000)


def _wrong_with(link: AuditLink, number: int, previous: str) -> str:
    event = link.event
    if link.number != number:
        return f"Link {number} is missing; the next one is {link.number} (line {event.pk})."
    if link.previous != previous:
        return f"Link {number} (line {event.pk}) doesn't follow the one before it."
    if link.hash != digest_of(number, previous, link.made_at, event):
        return f"Line {event.pk} ({event}) is not what was linked as number {number}."
    return ""


def _unlinked() -> str:
    """A line that never got its link: taken out of the waiting table, or the linker is down."""
    long_ago = timezone.now() - WAITS_AT_MOST
    lost = AuditEvent.objects.filter(link=None, at__lt=long_ago).order_by("pk").first()
    return f"Line {lost.pk} ({lost}) has no link in the chain." if lost else ""


def newest() -> str:
    """The newest link, for keeping elsewhere."""
    last = AuditLink.objects.order_by("-number").first()
    return str(last) if last else f"0:{BEGINNING}"


def _parsed(known: str) -> tuple[int, str] | None:
    """Raises ValueError for what isn't a link."""
    if not known:
        return None
    number, _, digest = known.strip().partition(":")
    if len(digest) != 64:
        raise ValueError("A kept link reads number:hash, as verify_audit prints it.")
    return int(number), digest


def _plain(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
