"""What was paid, how fast, and what waits: the numbers behind home and its charts.

Each is one query whose time is bounded by an index: of when it was paid, when it was entered, or
of what still waits.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from statistics import median

from django.conf import settings
from django.db import connection
from django.db.models import Aggregate, Count, F, FloatField, Q, QuerySet, Sum
from django.db.models.functions import Extract, Floor, TruncDate
from django.utils import timezone

from disbursements.models import Disbursement
from disbursements.pages.waits import BANDS, what_waits
from disbursements.states import Status
from partners.models import MpesaShortcode, Partner

# One partner, several, or all.
Of = Partner | QuerySet[Partner] | None

DAYS = 30
# What M-Pesa paid of a sum: whole shillings, as in Disbursement.amount_kes.
PAID = Floor("amount")
# The usual time to money is that of so many payouts, the latest.
LATEST = 200
# The float's chart reads the last of so many spans: more dots than pixels say nothing more.
READINGS = 60
MOST_PARTNERS_NAMED = 8
# A float that was not read at three of its times is an old one.
READINGS_MISSED = 3


@dataclass(frozen=True)
class Row:
    """A partner's figures, or everybody's."""

    name: str
    code: str
    today: int
    today_sum: Decimal
    week: int
    week_sum: Decimal
    failed: int
    awaiting: int


def by_partner(now: datetime, partner: Of = None) -> list[Row]:
    """The figures of each partner that has any, the largest first."""
    today = midnight(timezone.localtime(now).date())
    monday = monday_of(now)
    paid_today, paid_this_week = Q(paid_at__gte=today), Q(paid_at__gte=monday)
    rows = (
        _of(Disbursement.objects.order_by(), partner)
        .filter(paid_this_week | Q(status__in=[Status.FAILED, Status.AWAITING_APPROVAL]))
        .values("partner__name", "partner__code")
        .annotate(
            today=Count("pk", filter=paid_today),
            today_sum=Sum(PAID, filter=paid_today, default=Decimal(0)),
            week=Count("pk", filter=paid_this_week),
            week_sum=Sum(PAID, filter=paid_this_week, default=Decimal(0)),
            failed=Count("pk", filter=Q(status=Status.FAILED)),
            awaiting=Count("pk", filter=Q(status=Status.AWAITING_APPROVAL)),
        )
        .values_list(
            "partner__name", "partner__code", "today", "today_sum", "week", "week_sum", "failed",
            "awaiting",
        )
    )  # fmt: skip
    return sorted((Row(*row) for row in rows), key=lambda row: (-row.week_sum, row.name))


def total(rows: Sequence[Row]) -> Row:
    return Row(
        "All partners", "", sum(r.today for r in rows),
        sum((r.today_sum for r in rows), Decimal(0)), sum(r.week for r in rows),
        sum((r.week_sum for r in rows), Decimal(0)), sum(r.failed for r in rows),
        sum(r.awaiting for r in rows),
    )  # fmt: skip


def usual_time(partner: Of = None) -> timedelta | None:
    """The median time from approval to money, of the latest payouts."""
    latest = (
        _of(Disbursement.objects.filter(paid_at__isnull=False), partner)
        .order_by("-paid_at")
        .values_list("paid_at", "approved_at")[:LATEST]
    )
    took = [max((paid - ok).total_seconds(), 0) for paid, ok in latest if paid and ok]
    return timedelta(seconds=median(took)) if took else None


@dataclass(frozen=True)
class Float:
    """What a shortcode holds, as M-Pesa last told."""

    shortcode: MpesaShortcode
    is_old: bool


def floats(shortcodes: list[MpesaShortcode], now: datetime) -> list[Float]:
    longest = timedelta(seconds=READINGS_MISSED * settings.BALANCE_EVERY_S)
    return [
        Float(shortcode, shortcode.balance_at is None or shortcode.balance_at < now - longest)
        for shortcode in shortcodes
    ]


@dataclass(frozen=True)
class Day:
    """What was paid on a day."""

    day: date
    count: int = 0
    sum: Decimal = Decimal(0)


@dataclass(frozen=True)
class Speed:
    """How long it took on a day from approval to money, in seconds."""

    day: date
    median: float | None = None
    p95: float | None = None


def paid_per_day(since: date, partner: Of = None) -> list[Day]:
    """One for each day up to today, also for those on which nothing was paid."""
    rows = (
        _paid_since(since, partner)
        .annotate(day=TruncDate("paid_at"))
        .values("day")
        .annotate(count=Count("pk"), sum=Sum(PAID))
        .values_list("day", "count", "sum")
    )
    found = {day: Day(day, count, total) for day, count, total in rows}
    return [found.get(day, Day(day)) for day in days_since(since)]


def speed_per_day(since: date, partner: Of = None) -> list[Speed]:
    timed = (
        _paid_since(since, partner)
        .annotate(day=TruncDate("paid_at"), took=Extract(F("paid_at") - F("approved_at"), "epoch"))
        .values("day")
        .annotate(middle=_Percentile("took", at=0.5), most=_Percentile("took", at=0.95))
        .values_list("day", "middle", "most")
    )
    found = {day: Speed(day, *map(_no_less_than_0, spans)) for day, *spans in timed}
    return [found.get(day, Speed(day)) for day in days_since(since)]


def _no_less_than_0(seconds: float | None) -> float | None:
    """M-Pesa's clock, which says when it was paid, isn't ours."""
    return None if seconds is None else max(seconds, 0.0)


class _Percentile(Aggregate):
    template = "percentile_cont(%(at)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def outcomes(since: date, partner: Of = None) -> dict[Status, tuple[int, Decimal]]:
    """What has become so far of what was entered since then."""
    rows = _of(Disbursement.objects.filter(created_at__gte=midnight(since)), partner)
    counted = rows.order_by().values("status").annotate(n=Count("pk"), sum=Sum("amount"))
    return {Status(status): (n, s) for status, n, s in counted.values_list("status", "n", "sum")}


def ages(now: datetime, partner: Of = None) -> dict[Status, list[int]]:
    """How many have been in each waiting state for how long, by the bands of the list's filter."""
    waiting = _of(Disbursement.objects.filter(what_waits()), partner).order_by()
    bands = {f"band_{i}": Count("pk", filter=band.condition(now)) for i, band in enumerate(BANDS)}
    rows = waiting.values("status").annotate(**bands).values_list("status", *bands)
    return {Status(status): list(counts) for status, *counts in rows}


@dataclass(frozen=True)
class Reading:
    """A shortcode's float at a time, as M-Pesa told it."""

    at: datetime
    amount: Decimal


def float_readings(
    now: datetime, partner: Partner | None = None
) -> dict[MpesaShortcode, list[Reading]]:
    """Each active shortcode's float in the last days, oldest first."""
    rows = MpesaShortcode.objects.filter(is_active=True).select_related("partner")
    if partner:
        rows = rows.filter(partner=partner)
    named = rows.only("shortcode", "environment", "partner__name", "partner__code")
    shortcodes = list(named.order_by("partner__name", "shortcode"))
    found: dict[int, list[Reading]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(LAST_OF_EACH_SPAN, {
            "shortcodes": [shortcode.pk for shortcode in shortcodes], "spans": READINGS,
            "since": now - timedelta(days=DAYS), "until": now + timedelta(seconds=1),
        })  # fmt: skip
        for shortcode_id, *reading in cursor:
            found[shortcode_id].append(Reading(*reading))
    return {shortcode: found[shortcode.pk] for shortcode in shortcodes if shortcode.pk in found}


# Every payout leaves a reading. So the time from the first of them till now is cut into spans, and
# each looks up its last in the index, however many it has.
LAST_OF_EACH_SPAN = """
    SELECT one.id, last.at, last.amount
    FROM unnest(%(shortcodes)s::bigint[]) AS one (id)
    CROSS JOIN LATERAL (
        SELECT at, (%(until)s - at) / %(spans)s AS span FROM disbursements_floatreading
        WHERE shortcode_id = one.id AND at >= %(since)s ORDER BY at LIMIT 1
    ) AS first
    CROSS JOIN generate_series(1, %(spans)s) AS number
    CROSS JOIN LATERAL (
        SELECT at, amount FROM disbursements_floatreading
        WHERE shortcode_id = one.id AND at >= first.at + (number - 1) * first.span
          AND at < first.at + number * first.span
        ORDER BY at DESC LIMIT 1
    ) AS last
    ORDER BY one.id, last.at
"""


def _paid_since(since: date, partner: Of) -> QuerySet[Disbursement]:
    return _of(Disbursement.objects.filter(paid_at__gte=midnight(since)), partner).order_by()


def _of(rows: QuerySet[Disbursement], partner: Of) -> QuerySet[Disbursement]:
    if isinstance(partner, QuerySet):
        return rows.filter(partner__in=partner)
    return rows.filter(partner=partner) if partner else rows


def days_since(since: date) -> list[date]:
    number = (timezone.localdate() - since).days + 1
    return [since + timedelta(days=i) for i in range(number)]


def monday_of(now: datetime) -> datetime:
    today = timezone.localtime(now).date()
    return midnight(today - timedelta(days=today.weekday()))


def midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
