"""What needs me, the float, the figures; and the charts, which home fetches once it is there."""

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from partners import access
from partners.models import Partner
from paymentvault.acts import user_of
from paymentvault.models import User
from paymentvault.portal import charts, figures
from paymentvault.portal.needs import Needs
from paymentvault.rights import needs

SEE, SEE_FLOAT = "disbursements.view_disbursement", "partners.view_mpesashortcode"


def home(request: HttpRequest) -> HttpResponse:
    """The page, and the part of it that htmx fetches again and again."""
    shown = _shown(user_of(request))
    is_part = bool(request.headers.get("HX-Request"))
    if is_part:
        # Only what has changed is announced.
        shown["is_news"] = request.GET.get("known") != str(shown["count"])
    answer = render(request, "home/_live.html" if is_part else "home.html", shown)
    patch_vary_headers(answer, ["HX-Request"])
    return answer


def _shown(user: User) -> dict[str, object]:
    needs = Needs(user)
    sees_money = user.has_perm(SEE)
    partners = _theirs(user)
    rows = figures.by_partner(needs.now, partners) if sees_money else []
    return {
        "needs": needs.sentences,
        "count": len(needs.sentences),
        "looked_at": needs.now,
        "floats": figures.floats(needs.shortcodes, needs.now),
        "figures": rows[: figures.MOST_PARTNERS_NAMED] if len(rows) > 1 else [],
        "total": figures.total(rows),
        "today": timezone.localdate(needs.now),
        "monday": figures.monday_of(needs.now).date(),
        "usual_time": figures.usual_time(partners) if sees_money else None,
        "sees_money": sees_money,
    }


def _theirs(user: User) -> QuerySet[Partner] | None:
    """The partners whose money somebody sees; None for all."""
    return None if access.is_everywhere(user, SEE) else access.partners(user, SEE)


@needs(SEE)
def show_charts(request: HttpRequest) -> HttpResponse:
    """The charts, of one partner or of all; a page of their own, and a part of home."""
    partners = list(access.partners(user_of(request), SEE).only("code", "name"))
    partner = next((p for p in partners if p.code == request.GET.get("partner")), None)
    shown = {"charts": _charts(request, partner), "partners": partners, "partner": partner}
    is_part = bool(request.headers.get("HX-Request"))
    answer = render(request, "home/_charts.html" if is_part else "home/charts.html", shown)
    patch_vary_headers(answer, ["HX-Request"])
    return answer


def _charts(request: HttpRequest, partner: Partner | None) -> list[charts.Chart]:
    now = timezone.now()
    since = timezone.localdate(now) - timedelta(days=figures.DAYS - 1)
    link = charts.links_of(partner.code if partner else "")
    user = user_of(request)
    of = partner or _theirs(user)
    paid = figures.paid_per_day(since, of)
    found = [
        charts.paid_count(paid, link),
        charts.paid_sum(paid, link),
        charts.speed(figures.speed_per_day(since, of), link),
        charts.outcome_shares(figures.outcomes(since, of), since, link),
        charts.ageing(figures.ages(now, of), link),
    ]
    return found + _of_floats(now, partner, user)


def _of_floats(now: datetime, partner: Partner | None, user: User) -> list[charts.Chart]:
    if not user.has_perm(SEE_FLOAT):
        return []
    return [
        charts.float_over_time(
            f"{shortcode.shortcode}, {shortcode.partner}", f"float-{shortcode.pk}",
            readings, charts.links_of(shortcode.partner.code),
        )
        for shortcode, readings in figures.float_readings(now, partner).items()
        if user.has_perm(SEE_FLOAT, shortcode.partner)
    ]  # fmt: skip
