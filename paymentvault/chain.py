"""The audit's chain: each line linked to the one before by a hash, so that changes show.

Writers add lines without waiting for each other. One at a time, a linker gives the committed
lines their numbers, in the order in which it finds them. What it hasn't reached yet waits in a
table of its own, seconds as a rule.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pgtrigger
import structlog
from django.db import DatabaseError, connection, transaction
from django.db.models import Model, Q
from django.utils import timezone

from paymentvault import audit
from paymentvault.models import AuditEvent, AuditLink, AuditWaiting

log = structlog.get_logger(__name__)

BEGINNING = "0" * 64
AT_ONCE = 500
READ_AT_ONCE = 2_000
# A line may wait for its link so long; later the linker is down, or somebody meddled.
WAITS_AT_MOST = timedelta(minutes=15)
# Web servers and PostgreSQL needn't agree to the second.
CLOCKS_DIFFER_BY = timedelta(minutes=1)
# What a hash covers, by the version that its link has. A column more is a version more, so that
# what was linked before stays whole.
COLUMNS = {
    1: ("id", "at", "actor", "user_id", "source_address", "request_id", "act", "subject",
        "about_type", "about_id", "partner_code", "detail"),
}  # fmt: skip
VERSION = max(COLUMNS)
# What a check tells the audit.
WHOLE, BROKEN = "audit's chain found whole", "audit's chain found broken"
_KEPT = re.compile(r"(?P<number>[0-9]{1,18}):(?P<hash>[0-9a-f]{64})")
_LOCK = 0x5641554C


@dataclass(frozen=True)
class Finding:
    """What verification saw: how much is whole, and the first thing that doesn't fit."""

    checked: int
    newest: str
    wrong: str = ""
    event_id: int | None = None
    """The line that doesn't fit, where it is one."""
    waiting: int = 0
    """How many lines wait for their link."""
    late: int = 0
    """How many waited long for it, as they do while the workers are down."""


def link_what_waits() -> int:
    """Link the lines that have none; returns how many. Only one linker is at work at a time."""
    linked = 0
    while (batch := _link_batch()) is not None:
        linked += batch
    return linked


def check(known: str = "", *, by: str) -> Finding:
    """Link what waits, verify, and tell the audit what was found.

    It is verified all the same where nothing can be linked. Raises ValueError for a kept link that
    isn't one, before anything else.
    """
    parsed(known)
    try:
        link_what_waits()
    except DatabaseError:
        log.exception("linking_failed")
    found = verify(known)
    told: dict[str, Any] = {
        "checked": found.checked, "newest": found.newest, "waiting": found.waiting,
    }  # fmt: skip
    if found.wrong:
        told |= {"wrong": found.wrong, "line": found.event_id}
    audit.record(BROKEN if found.wrong else WHOLE, by=by, **told)
    return found


def last_check() -> AuditEvent | None:
    """What the newest check found, by whomever."""
    newest = (AuditEvent.objects.filter(act=act).order_by("-at", "-pk").first()
              for act in (WHOLE, BROKEN))  # fmt: skip
    return max((one for one in newest if one), key=lambda one: one.pk, default=None)


@transaction.atomic
def _link_batch() -> int | None:
    """How many were linked of the next ones that wait; None if none waits, or another links."""
    if not _is_only_linker():
        return None
    batch = _rows(_WAITING, AT_ONCE)
    if not batch:
        return None
    # What somebody let wait anew has its link; it only leaves the queue.
    waiting = [(event_id, line) for event_id, line, is_linked in batch if not is_linked]
    last = AuditLink.objects.order_by("-number").first()
    number, previous = (last.number, last.hash) if last else (0, BEGINNING)
    made_at = timezone.now()
    links = []
    for event_id, line in waiting:
        number += 1
        digest = digest_of(VERSION, number, previous, _as_text(made_at), line)
        links.append(
            AuditLink(number=number, event_id=event_id, previous=previous, hash=digest,
                      made_at=made_at, version=VERSION)
        )  # fmt: skip
        previous = digest
    AuditLink.objects.bulk_create(links)
    AuditWaiting.objects.filter(pk__in=[event_id for event_id, *_ in batch]).delete()
    return len(links)


def _is_only_linker() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])


def digest_of(version: int, number: int, previous: str, made_at: str, line: str | None) -> str:
    """SHA-256 over the place and the line, each column as PostgreSQL itself writes it."""
    told = json.dumps([version, number, previous, made_at, line], separators=(",", ":"))
    return hashlib.sha256(told.encode()).hexdigest()


def verify(known: str = "") -> Finding:
    """Check the whole chain against the lines, from its beginning, and what guards it.

    `known` is a newest link that was kept elsewhere, as "number:hash"; then a chain that was cut
    short behind it is found too. Raises ValueError where it isn't one.
    """
    kept = parsed(known)
    number, previous, clock = 0, BEGINNING, _Clock()
    for number, link in enumerate(_links(), start=1):
        wrong = _wrong_with(link, number, previous) or clock.wrong_with(link)
        if wrong:
            return Finding(number - 1, f"{number - 1}:{previous}", wrong, link.event_id)
        previous = link.hash
        if kept and link.number == kept[0] and link.hash != kept[1]:
            words = f"Link {number} is not the one that was kept elsewhere."
            return Finding(number - 1, f"{number}:{previous}", words, link.event_id)
    newest = f"{number}:{previous}"
    if kept and kept[0] > number:
        words = f"The chain ends with link {number}; link {kept[0]} was there before."
        return Finding(number, newest, words)
    wrong, event_id = _unlinked()
    wrong = wrong or _emptied(number) or _unguarded()
    return Finding(number, newest, wrong, event_id, AuditWaiting.objects.count(), clock.late)


@dataclass(frozen=True)
class _Link:
    number: int
    previous: str
    hash: str
    made_at: str
    version: int
    event_id: int
    line: str | None
    written: float | None
    """When its line was written, and when itself was made, in seconds: infinity is one too."""
    made: float


def _links() -> Iterator[_Link]:
    """All of them in their order, a batch at a time, so that millions need no more memory."""
    batch = [_Link(*row) for row in _rows(_FIRST_LINKS, READ_AT_ONCE)]
    while batch:
        yield from batch
        batch = [_Link(*row) for row in _rows(_NEXT_LINKS, batch[-1].number, READ_AT_ONCE)]


def _wrong_with(link: _Link, number: int, previous: str) -> str:
    if link.number != number:
        return f"Link {number} is missing; the next one is {link.number} (line {link.event_id})."
    if link.previous != previous:
        return f"Link {number} (line {link.event_id}) doesn't follow the one before it."
    if link.version not in COLUMNS:
        return f"Link {number} (line {link.event_id}) is of version {link.version}, unknown here."
    if link.line is None:
        return f"Line {link.event_id}, which was linked as number {number}, is gone."
    if link.hash != digest_of(link.version, number, previous, link.made_at, link.line):
        return f"Line {link.event_id} is not what was linked as number {number}: {link.line[:200]}"
    return ""


class _Clock:
    """Whether the lines' own times fit the order in which they were linked.

    A line may wait long for its link while the workers are down, and then its neighbours do too:
    that is counted. One that is far older than a line that was linked before it was back-dated.
    """

    def __init__(self) -> None:
        self.late = 0
        self._newest = self._began = float("-inf")

    def wrong_with(self, link: _Link) -> str:
        written = link.written or 0.0
        if link.number == 1:
            self._began = link.made
        if written > link.made + CLOCKS_DIFFER_BY.total_seconds():
            return f"Line {link.event_id} is younger than its link, number {link.number}."
        longest = WAITS_AT_MOST.total_seconds()
        if written < self._newest - longest:
            return (
                f"Line {link.event_id} says that it is older than lines that were linked before "
                f"it, number {link.number}: it was back-dated."
            )
        # Those that are older than the chain itself were all linked when it began.
        self.late += self._began < written < link.made - longest
        self._newest = max(self._newest, written)
        return ""


def _unlinked() -> tuple[str, int | None]:
    """A line that never got its link: taken out of the waiting table, or the linker is down."""
    bare = AuditEvent.objects.filter(link=None)
    long_ago = timezone.now() - WAITS_AT_MOST
    lost = bare.filter(Q(auditwaiting=None) | Q(at__lt=long_ago)).order_by("pk").first()
    return (f"Line {lost.pk} ({lost}) has no link in the chain.", lost.pk) if lost else ("", None)


def _emptied(links: int) -> str:
    """PostgreSQL remembers how many lines it has numbered, also of a table that was emptied."""
    if links or AuditEvent.objects.exists():
        return ""
    numbered = _rows("SELECT pg_sequence_last_value('paymentvault_auditevent_id_seq')")[0][0]
    if numbered is None:
        return ""
    return f"There is no line at all, though {numbered:,} were numbered: the audit was emptied."


def _unguarded() -> str:
    """What keeps lines and links from being changed may have been switched off."""
    guarded: tuple[type[Model], ...] = (AuditEvent, AuditWaiting, AuditLink)
    for model in guarded:
        table = model._meta.db_table
        on = {name for (name,) in _rows(_SWITCHED_ON, table)}
        triggers: list[pgtrigger.Trigger] = getattr(model._meta, "triggers", [])
        for trigger in triggers:
            if trigger.get_pgid(model) not in on:
                return f"The guard {trigger.name} of the table {table} is switched off or gone."
    return ""


def newest() -> str:
    """The newest link, for keeping elsewhere."""
    last = AuditLink.objects.order_by("-number").first()
    return str(last) if last else f"0:{BEGINNING}"


def parsed(known: str) -> tuple[int, str] | None:
    """Raises ValueError for what isn't a link."""
    if not known.strip():
        return None
    kept = _KEPT.fullmatch(known.strip().lower())
    if kept is None:
        raise ValueError(
            "A kept link reads number:hash, as verify_audit prints it: a number, a colon, and 64 "
            "digits and letters from a to f."
        )
    number, digest = int(kept["number"]), kept["hash"]
    if not number and digest != BEGINNING:
        raise ValueError("No link has the number 0, which only says that there was none yet.")
    return number, digest


def _line(columns: tuple[str, ...]) -> str:
    """As it is in the database: Python would read some different numbers and times as one."""
    told = ", ".join(f"'{column}', e.{column}" for column in columns)
    return f"jsonb_build_object({told})::text"


_WAITING = f"""
    SELECT w.event_id, {_line(COLUMNS[VERSION])}, l.number IS NOT NULL
    FROM paymentvault_auditwaiting w JOIN paymentvault_auditevent e ON e.id = w.event_id
    LEFT JOIN paymentvault_auditlink l ON l.event_id = w.event_id
    ORDER BY w.event_id LIMIT %s
"""  # noqa: S608
_LINES = " ".join(f"WHEN {version} THEN {_line(columns)}" for version, columns in COLUMNS.items())
_LINKS = f"""
    SELECT l.number, l.previous, l.hash,
        to_char(l.made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), l.version, l.event_id,
        CASE WHEN e.id IS NOT NULL THEN CASE l.version {_LINES} END END,
        date_part('epoch', e.at), date_part('epoch', l.made_at)
    FROM paymentvault_auditlink l LEFT JOIN paymentvault_auditevent e ON e.id = l.event_id
"""  # noqa: S608
_FIRST_LINKS = f"{_LINKS} ORDER BY l.number LIMIT %s"
_NEXT_LINKS = f"{_LINKS} WHERE l.number > %s ORDER BY l.number LIMIT %s"
_SWITCHED_ON = """
    SELECT tgname::text FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled IN ('O', 'A')
"""


def _rows(statement: str, *values: int | str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _as_text(moment: datetime) -> str:
    """As `_LINKS` has it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
