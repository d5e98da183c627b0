"""How many of everything wait for a person, and since when, in one query.

It reads indexes of what waits only, so it costs the same with a hundred disbursements and with
millions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import CharField, Count, F, JSONField, Min, QuerySet, Value
from django.db.models.functions import Cast
from django.utils import timezone

from disbursements.models import Callback, Case, Disbursement, Settlement
from disbursements.pages.filters import awaiting, unrecorded
from disbursements.states import Status
from mifos.models import Event
from paymentvault.models import User

# What nobody can put right, such as a callback with a stranger's token, leaves home after a week.
TOLD_FOR = timedelta(days=6)
# Home has a sentence about each of these that says more than the case.
TOLD_OTHERWISE = ("shortcode_paused", "events_waiting", "poll_late")


@dataclass(frozen=True)
class Group:
    """Things that wait for the same: how many, and since when the first."""

    what: str
    key: str
    holds: list[str] | None
    count: int
    since: datetime


def told_from() -> date:
    return timezone.localdate() - TOLD_FOR


def groups(user: User) -> list[Group]:
    """What waits, of what this person may see."""
    counted = [rows for permission, rows in _counts(user) if user.has_perm(permission)]
    if not counted:
        return []
    first, *others = counted
    return [Group(*row) for row in first.union(*others, all=True)]


def _counts(user: User) -> Iterator[tuple[str, QuerySet[Any, Any]]]:
    rows = Disbursement.objects.order_by()
    stuck = rows.filter(status__in=[Status.HELD, Status.IN_DOUBT, Status.FAILED])
    for_second = Settlement.objects.order_by().filter(state=Settlement.State.PROPOSED)
    open_cases = Case.objects.order_by().filter(closed_at=None).exclude(kind__in=TOLD_OTHERWISE)
    lost = [Callback.State.UNMATCHED, Callback.State.UNREADABLE]
    callbacks = Callback.objects.order_by().filter(state__in=lost, received_at__gte=_told_since())
    events = Event.objects.order_by()
    unreadable = events.filter(state=Event.State.UNREADABLE, received_at__gte=_told_since())
    see_money, see_events = "disbursements.view_disbursement", "mifos.view_event"

    yield see_money, _grouped(stuck, "disbursement", "status", "status_at", holds=F("holds"))
    yield see_money, _grouped(unrecorded(rows, user), "unrecorded", "status", "status_at")
    yield (
        "disbursements.approve_disbursement",
        _grouped(awaiting(rows, user), "awaiting", "status", "status_at"),
    )
    yield (
        "disbursements.settle_disbursement",
        _grouped(for_second.exclude(proposed_by=user), "settlement", "state", "proposed_at"),
    )
    yield "disbursements.view_case", _grouped(open_cases, "case", "kind", "opened_at")
    yield "disbursements.view_callback", _grouped(callbacks, "callback", "state", "received_at")
    yield see_events, _grouped(unreadable, "event", "state", "received_at")
    yield (
        see_events,
        _grouped(events.filter(state=Event.State.WAITING), "event", "state", "received_at"),
    )


def _grouped(
    rows: QuerySet[Any], what: str, key: str, since: str, *, holds: Any = None
) -> QuerySet[Any, Any]:
    """Rows of the same columns, whatever they count."""
    named = rows.annotate(
        a=Value(what, CharField()),
        b=Cast(key, CharField()),
        c=holds or Value(None, JSONField()),
    )
    counted = named.values("a", "b", "c").annotate(d=Count("pk"), e=Min(since))
    grouped: QuerySet[Any, Any] = counted.values_list("a", "b", "c", "d", "e")
    return grouped


def _told_since() -> datetime:
    return timezone.make_aware(datetime.combine(told_from(), datetime.min.time()))
