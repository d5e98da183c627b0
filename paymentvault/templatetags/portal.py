"""One filter each for money, numbers and times, and what every page needs of the request."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django import template
from django.db.models import Model
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

DASH = "—"
NOTHING = format_html(
    '<span class="muted"><span aria-hidden="true">{}</span><span class="unseen">none</span></span>',
    DASH,
)


class RightsAt:
    """Like Django's `perms`, about one thing: `at.partners.change_partner`."""

    def __init__(self, user: Any, thing: Model, app: str = "") -> None:
        self._user, self._thing, self._app = user, thing, app

    def __getitem__(self, name: str) -> Any:
        if not self._app:
            return RightsAt(self._user, self._thing, name)
        return self._user.has_perm(f"{self._app}.{name}", self._thing)


@register.simple_tag(takes_context=True)
def rights_at(context: template.RequestContext, thing: Model) -> RightsAt:
    """What whoever looks may do with a partner, or with something of a partner's."""
    return RightsAt(context["request"].user, thing)


@register.filter
def kes(amount: Decimal | int | None) -> str:
    """1234.5 as "1,234.50"; the currency stands in the heading or before it."""
    return DASH if amount is None else f"{amount:,.2f}"


@register.filter
def msisdn(number: str | None) -> str:
    """254708374149 as "254 708 374 149"."""
    if not number:
        return DASH
    return " ".join(number[i : i + 3] for i in range(0, len(number), 3))


@register.filter
def masked_msisdn(number: str | None) -> str:
    """254708374149 as "254 708 ··· 149"."""
    if not number:
        return DASH
    # A number that isn't whole could be guessed from so many digits.
    return f"{number[:3]} {number[3:6]} ··· {number[-3:]}" if len(number) >= 12 else "···"


@register.filter
def dash(value: Any) -> Any:
    """The value, or a dash for nothing."""
    return NOTHING if value in (None, "") else value


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """ "4 min ago", with the exact time in Nairobi on hover."""
    return _time(moment, _ago(moment)) if moment else NOTHING


@register.filter
def exactly(moment: datetime | None) -> SafeString | str:
    """The time in Nairobi, to the second."""
    return _time(moment, f"{timezone.localtime(moment):%-d %B %Y %H:%M:%S}") if moment else NOTHING


@register.filter
def on_day(moment: datetime | date | None) -> SafeString | str:
    """12 March 2026."""
    if not moment:
        return NOTHING
    if isinstance(moment, datetime):
        return _time(moment, f"{timezone.localtime(moment):%-d %B %Y}")
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), f"{moment:%-d %B %Y}")


@register.filter
def for_how_long(moment: datetime | None) -> str:
    """ "31 min", of something that has lasted since then."""
    return _lasting(timezone.now() - moment) if moment else DASH


@register.filter
def meta(row: Model | type[Model], name: str) -> Any:
    """A word of a model's, such as its verbose_name."""
    return getattr(row._meta, name)


@register.simple_tag(takes_context=True)
def is_here(context: template.Context, *prefixes: str) -> SafeString | str:
    """aria-current for the link in the navigation that leads to where one is."""
    path = context["request"].path
    if not any(path == p if p == "/" else path.startswith(p) for p in prefixes):
        return ""
    return format_html('aria-current="{}"', "page" if path in prefixes else "true")


@register.inclusion_tag("partials/badge.html")
def badge(label: str, tone: str) -> dict[str, str]:
    return {"label": label, "tone": tone}


@register.inclusion_tag("partials/copy.html")
def copied(text: object, label: str) -> dict[str, object]:
    """A text in monospace with a button that copies it; `label` says what it is."""
    return {"text": text, "label": label}


def _time(moment: datetime, words: str) -> SafeString:
    local = timezone.localtime(moment)
    exact = f"{local:%a %-d %b %Y %H:%M:%S} Nairobi"
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), exact, words)


def _ago(moment: datetime) -> str:
    passed = timezone.now() - moment
    if passed < timedelta(0):
        return f"in {_lasting(-passed)}"
    return "just now" if passed < timedelta(seconds=5) else f"{_lasting(passed)} ago"


def _lasting(passed: timedelta) -> str:
    seconds = int(passed.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length or (unit != "d" and seconds >= length):
            return f"{seconds // length} {unit}"
    return f"{max(seconds, 0)} s"
