"""Charts as plain shapes: every mark knows where it stands, what it says and where it leads.

Widths are percentages and heights pixels, so a drawing fits any screen and its words keep their
size. Each chart has a table that says the same; the drawing is only for the eye.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from math import floor, log10
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from disbursements.pages.waits import BANDS, WAITS
from disbursements.states import TONE, Status
from paymentvault.portal.figures import Day, Reading, Speed

HEIGHT = 150
# A word below every so many days.
DAYS_BETWEEN_WORDS = 7


@dataclass(frozen=True)
class Mark:
    """A bar or a dot: x and width in percent, y and height in pixels from the top."""

    x: float
    y: float
    width: float
    height: float
    says: str
    url: str
    tone: str = ""

    @property
    def middle(self) -> float:
        return round(self.x + self.width / 2, 3)

    @property
    def dot(self) -> tuple[float, float]:
        return self.middle, self.y


@dataclass(frozen=True)
class Line:
    """From dot to dot; a day without a value breaks it."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Word:
    """What stands at an axis: at x percent, or at y pixels."""

    at: float
    says: str
    is_minor: bool = False
    """Left out where there is little room."""


@dataclass(frozen=True)
class Series:
    """Dots and the lines between them; `shape` tells one from the other without colour."""

    label: str
    shape: str
    dots: list[Mark]
    lines: list[Line]


@dataclass(frozen=True)
class Chart:
    """A drawing with its title, a sentence that says the most of it, and its table."""

    key: str
    form: str
    """columns, lines, shares or lying: which of the drawings it is."""
    title: str
    says: str
    heads: list[str]
    rows: list["TableRow"]
    bars: list[Mark] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    below: list[Word] = field(default_factory=list)
    beside: list[Word] = field(default_factory=list)
    height: int = HEIGHT

    @property
    def template(self) -> str:
        return f"home/_{self.form}.html"

    @property
    def is_empty(self) -> bool:
        return not self.bars and not any(one.dots for one in self.series)


@dataclass(frozen=True)
class TableRow:
    """The first cell heads the row; each other has its value and, perhaps, a list behind it."""

    head: str
    cells: list[tuple[str, str]]


Link = Callable[..., str]


def links_of(partner_code: str) -> Link:
    """The list behind a mark, of one partner or of all."""

    def link(**query: Any) -> str:
        given = query | ({"partner": partner_code} if partner_code else {})
        return f"{reverse('disbursements:list')}?{urlencode(given, doseq=True)}"

    return link


def paid_count(days: Sequence[Day], link: Link) -> Chart:
    total = sum(d.count for d in days)
    return _of_days(
        "paid", "Payouts a day", f"{total:,} in {len(days)} days.", days,
        lambda d: d.count, lambda d: f"{d.count:,} paid", "Paid", link,
    )  # fmt: skip


def paid_sum(days: Sequence[Day], link: Link) -> Chart:
    total = sum((d.sum for d in days), Decimal(0))
    return _of_days(
        "sum", "KES a day", f"KES {total:,.0f} in {len(days)} days.", days,
        lambda d: d.sum, lambda d: f"KES {d.sum:,.2f}", "KES", link,
    )  # fmt: skip


def _of_days(
    key: str, title: str, says: str, days: Sequence[Day], value: Callable[[Day], Decimal | int],
    words: Callable[[Day], str], head: str, link: Link,
) -> Chart:  # fmt: skip
    top = nice(max((float(value(d)) for d in days), default=0))
    width = 100 / max(len(days), 1)
    bars, rows = [], []
    for i, one in enumerate(days):
        url = link(paid_from=one.day, paid_to=one.day)
        name = f"{one.day:%-d %B}"
        rows.append(TableRow(name, [(words(one).removeprefix("KES ").removesuffix(" paid"),
                                     url if one.count else "")]))  # fmt: skip
        if not one.count:
            continue
        high = max(_high(float(value(one)), top), 1.0)
        bars.append(Mark(round(i * width + width * 0.1, 3), HEIGHT - high, round(width * 0.8, 3),
                         high, f"{name}: {words(one)}", url))  # fmt: skip
    return Chart(
        key, "columns", title, says, ["Day", head], rows, bars=bars,
        below=_days([d.day for d in days]), beside=_beside(top, _short),
    )  # fmt: skip


def speed(days: Sequence[Speed], link: Link) -> Chart:
    """Median and 95th percentile; their shapes differ, and the one is drawn dashed."""
    timed = [d for d in days if d.median is not None]
    top = nice(max((d.p95 or 0 for d in timed), default=0))
    latest = f"{_span(timed[-1].median)} in the middle on the last day." if timed else ""
    rows = [
        TableRow(f"{d.day:%-d %B}", [
            (_span(d.median), link(paid_from=d.day, paid_to=d.day) if d.median is not None else ""),
            (_span(d.p95), ""),
        ])
        for d in days
    ]  # fmt: skip
    series = [
        _line("Median", "round", days, [d.median for d in days], top, link),
        _line("95 of 100 are faster", "square", days, [d.p95 for d in days], top, link),
    ]
    return Chart(
        "speed", "lines", "From approval to money", latest,
        ["Day", "Median", "95th percentile"], rows, series=series,
        below=_days([d.day for d in days]), beside=_beside(top, _span),
    )  # fmt: skip


def _line(
    label: str, shape: str, days: Sequence[Speed], values: Sequence[float | None], top: float,
    link: Link,
) -> Series:  # fmt: skip
    width = 100 / max(len(days), 1)
    dots: list[Mark | None] = []
    for i, (one, value) in enumerate(zip(days, values, strict=True)):
        if value is None:
            dots.append(None)
            continue
        says = f"{one.day:%-d %B}, {label.lower()}: {_span(value)}"
        dots.append(Mark(round(i * width, 3), HEIGHT - _high(value, top), round(width, 3), 0, says,
                         link(paid_from=one.day, paid_to=one.day)))  # fmt: skip
    return Series(label, shape, [d for d in dots if d], _between(dots))


def _between(dots: Sequence[Mark | None]) -> list[Line]:
    pairs = zip(dots, dots[1:], strict=False)
    return [Line(*a.dot, *b.dot) for a, b in pairs if a and b]


def outcome_shares(found: dict[Status, tuple[int, Decimal]], since: date, link: Link) -> Chart:
    """One bar of all that was entered, in parts by what has become of it so far."""
    whole = sum(count for count, _ in found.values())
    ordered = [status for status in Status if status in found]
    bars, rows, x = [], [], 0.0
    for status in ordered:
        count, total = found[status]
        share = count * 100 / whole
        url = link(status=status.value, entered_from=since)
        words = f"{status.label}: {count:,} ({_percent(share)})"
        bars.append(Mark(round(x, 3), 0, round(share, 3), 28, words, url, TONE[status]))
        rows.append(TableRow(status.label, [(f"{count:,}", url), (_percent(share), ""),
                                            (f"{total:,.2f}", "")]))  # fmt: skip
        x += share
    return Chart(
        "outcomes", "shares", "What has become of what came in",
        f"{whole:,} entered in the last {(timezone.localdate() - since).days + 1} days.",
        ["State", "Number", "Share", "KES to pay"], rows, bars=bars, height=28,
    )  # fmt: skip


def ageing(found: dict[Status, list[int]], link: Link) -> Chart:
    """A bar for each state that things wait in, and how many of them have waited for how long."""
    whole = sum(sum(counts) for counts in found.values())
    rows = []
    for status in [*WAITS, Status.PAID]:
        if counts := found.get(status):
            view = {"view": "unrecorded"} if status == Status.PAID else {"status": status.value}
            cells = [
                (f"{count:,}", link(**view, waited=band.key) if count else "")
                for band, count in zip(BANDS, counts, strict=True)
            ]
            name = "Paid, not recorded" if status == Status.PAID else status.label
            rows.append(TableRow(name, cells))
    return Chart("ageing", "lying", "How long things have waited",
                 f"{whole:,} wait." if whole else "Nothing waits.",
                 ["State", *(band.label for band in BANDS)], rows,
                 bars=_age_bars(found, link))  # fmt: skip


def _age_bars(found: dict[Status, list[int]], link: Link) -> list[Mark]:
    """One bar for each band of age, of all states together, drawn lying."""
    totals = [sum(counts[i] for counts in found.values()) for i in range(len(BANDS))]
    most = max(totals, default=0)
    statuses = [status.value for status in found if status != Status.PAID]
    return [
        Mark(0, i * 34 + 18, round(total * 100 / most, 3), 10, f"{band.label}: {total:,}",
             link(status=statuses, waited=band.key), "warn" if i > 1 else "busy")
        for i, (band, total) in enumerate(zip(BANDS, totals, strict=True))
        if total and statuses
    ]  # fmt: skip


def float_over_time(name: str, key: str, readings: Sequence[Reading], link: Link) -> Chart:
    """A shortcode's float, at some of the times that M-Pesa told it."""
    first, last = readings[0].at, readings[-1].at
    spread = max((last - first).total_seconds(), 1)
    top = nice(max(float(r.amount) for r in readings))
    dots, rows = [], []
    for reading in readings:
        x = (reading.at - first).total_seconds() * 96 / spread + 2
        local = timezone.localtime(reading.at)
        url = link(paid_from=local.date(), paid_to=local.date())
        dots.append(Mark(round(x, 3), HEIGHT - _high(float(reading.amount), top), 0, 0,
                         f"{local:%-d %B %H:%M}: KES {reading.amount:,.2f}", url))  # fmt: skip
        rows.append(TableRow(f"{local:%-d %B %H:%M}", [(f"{reading.amount:,.2f}", url)]))
    lowest = min(r.amount for r in readings)
    return Chart(
        key, "lines", f"Float of {name}",
        f"KES {readings[-1].amount:,.0f} now, KES {lowest:,.0f} the lowest of these.",
        ["Read at", "KES"], rows[::-1],
        series=[Series("Float", "round", dots, _between(dots))],
        below=[Word(2, _moment(first)), Word(98, _moment(last))], beside=_beside(top, _short),
    )  # fmt: skip


def nice(top: float) -> float:
    """The next number that a scale may end on: 1, 2 or 5 with noughts."""
    if top <= 0:
        return 1
    size = 10 ** floor(log10(top))
    return float(next(n * size for n in (1, 2, 5, 10) if n * size >= top))


def _high(value: float, top: float) -> float:
    return round(value * HEIGHT / top, 2)


def _days(days: list[date]) -> list[Word]:
    width, between = 100 / max(len(days), 1), DAYS_BETWEEN_WORDS
    return [
        Word(round(i * width + width / 2, 3), f"{day:%-d %b}", bool(back % (2 * between)))
        for i, day in enumerate(days)
        if (back := len(days) - 1 - i) % between == 0
    ]


def _beside(top: float, words: Callable[[float], str]) -> list[Word]:
    return [Word(0, words(top)), Word(HEIGHT / 2, words(top / 2))]


def _short(value: float) -> str:
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "—"
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _percent(share: float) -> str:
    return "under 0.1%" if 0 < share < 0.1 else f"{share:.1f}%"


def _moment(at: datetime) -> str:
    return f"{timezone.localtime(at):%-d %b %H:%M}"
