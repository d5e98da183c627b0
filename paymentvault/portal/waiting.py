"""How many of everything wait for a person, and since when, in one query.

It reads indexes of what waits only, so it costs the same with a hundred disbursements and with
millions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from django.db.models import CharField, Count, F, JSONField, Min, Model, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from disbursements.models import Callback, Case, Disbursement, Settlement
from disbursements.pages.filters import awaiting, unrecorded
from disbursements.states import Status
from mifos.models import Event
from partners import access
from partners.changes import for_second
from partners.models import WebhookEndpoint
from paymentvault.models import User

M = TypeVar("M", bound=Model)

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
    counted = [rows for right, rows in _counts(user) if user.has_perm(right)]
    if not counted:
        return []
    first, *others = counted
    return [Group(*row) for row in first.union(*others, all=True)]


def _counts(user: User) -> Iterator[tuple[str, QuerySet[Any, Any]]]:
    see_money, see_events = "disbursements.view_disbursement", "mifos.view_event"
    settle, see_cases = "disbursements.settle_disbursement", "disbursements.view_case"
    see_callbacks, change_partner = "disbursements.view_callback", "partners.change_partner"

    def only(all_rows: QuerySet[M], right: str) -> QuerySet[M]:
        return access.only(all_rows.order_by(), user, right)

    rows = only(Disbursement.objects.all(), see_money)
    stuck = rows.filter(status__in=[Status.HELD, Status.IN_DOUBT, Status.FAILED])
    to_confirm = only(Settlement.objects.all(), settle).filter(state=Settlement.State.PROPOSED)
    cases = only(Case.objects.all(), see_cases).filter(closed_at=None)
    open_cases = cases.exclude(kind__in=TOLD_OTHERWISE)
    lost = [Callback.State.UNMATCHED, Callback.State.UNREADABLE]
    callbacks = only(Callback.objects.all(), see_callbacks)
    callbacks = callbacks.filter(state__in=lost, received_at__gte=_told_since())
    # What a person switches off fails no more.
    endpoints = only(WebhookEndpoint.objects.all(), change_partner).filter(
        is_on=False, failing_since__isnull=False, partner__is_active=True
    )
    # A code has no spaces.
    whose = Concat("partner__code", Value(" "), "partner__name")
    endpoints = endpoints.annotate(whose=whose)
    events = only(Event.objects.all(), see_events)
    unreadable = events.filter(state=Event.State.UNREADABLE, received_at__gte=_told_since())

    yield see_money, _grouped(stuck, "disbursement", "status", "status_at", holds=F("holds"))
    yield see_money, _grouped(unrecorded(rows, user), "unrecorded", "status", "status_at")
    yield (
        "disbursements.approve_disbursement",
        _grouped(
            awaiting(Disbursement.objects.order_by(), user), "awaiting", "status", "status_at"
        ),
    )
    yield (
        settle,
        _grouped(to_confirm.exclude(proposed_by=user), "settlement", "state", "proposed_at"),
    )
    yield "partners.view_partner", _grouped(for_second(user), "setting", "state", "proposed_at")
    yield change_partner, _grouped(endpoints, "endpoint", "whose", "failing_since")
    yield see_cases, _grouped(open_cases, "case", "kind", "opened_at")
    yield see_callbacks, _grouped(callbacks, "callback", "state", "received_at")
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
