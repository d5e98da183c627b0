"""Partners: the list, one with its way to the first automatic payout, and its form."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html

from partners import access, changes, work
from partners.changes import Kind
from partners.drafts import PartnerDraft, about_of
from partners.forms import PartnerPageForm
from partners.models import Partner
from partners.pages import saving, states
from paymentvault.acts import user_of
from paymentvault.paging import Pager, Sort
from paymentvault.rights import needs

SEE, CHANGE = "partners.view_partner", "partners.change_partner"
PAGER = Pager({"": Sort(("name", "pk"), "By name")})
FILTERS = {
    "on": ("Switched on", Q(mifos__is_on=True)),
    "failing": ("Failing", Q(mifos__is_on=True, mifos__failing_since__isnull=False)),
    "off": ("Not switched on", Q(mifos__isnull=True) | Q(mifos__is_on=False)),
    "automatic": ("Automatic disbursement on", Q(is_automatic=True)),
    "inactive": ("Not active", Q(is_active=False)),
}


@needs(SEE)
def index(request: HttpRequest) -> HttpResponse:
    q = request.GET.get("q", "").replace("\x00", "").strip()[:100]
    state = request.GET.get("state", "")
    rows = access.partners(user_of(request), SEE)
    rows = rows.select_related("mifos").prefetch_related("shortcodes")
    page = PAGER.page(_filtered(rows, q, state), request.GET)
    shown = [
        {"partner": partner, "state": states.of_connection(states.mifos_of(partner))}
        for partner in page.rows
    ]
    given = {"page": page, "shown": shown, "q": q, "state": state, "here": request.path,
             "filters": [(key, words) for key, (words, _) in FILTERS.items()]}  # fmt: skip
    return render(request, "partners/list.html", given | {"chips": _chips(request, q, state)})


def _filtered(rows: QuerySet[Partner], q: str, state: str) -> QuerySet[Partner]:
    if q:
        rows = rows.filter(
            Q(name__icontains=q) | Q(code__icontains=q) | Q(shortcodes__shortcode=q)
        ).distinct()
    return rows.filter(FILTERS[state][1]) if state in FILTERS else rows


def _chips(request: HttpRequest, q: str, state: str) -> list[dict[str, str]]:
    told = [("q", "Search", q), ("state", "Show", FILTERS[state][0] if state in FILTERS else "")]
    return [
        {"label": label, "words": words, "without": _without(request, name)}
        for name, label, words in told
        if words
    ]


def _without(request: HttpRequest, name: str) -> str:
    query = request.GET.copy()
    for gone in (name, "after", "before"):
        query.pop(gone, None)
    return query.urlencode()


@needs(SEE)
def detail(request: HttpRequest, code: str) -> HttpResponse:
    rows = Partner.objects.select_related("mifos")
    partner = access.one(rows, request.user, SEE, code=code)
    known = known_of(partner)
    steps = states.checklist(known, user=user_of(request))
    left = [step for step in steps if not step.is_done and not step.is_optional]
    given: dict[str, Any] = {
        "partner": partner,
        "connection": known.connection,
        "shortcodes": known.shortcodes,
        "products": known.products,
        "automatic": [product for product in known.products if product.is_automatic],
        "state": states.of_connection(known.connection),
        "steps": steps,
        "left": left,
        "next": next((step for step in left if step.is_possible), None),
        "hook": states.hook(known),
        "last_event_at": known.last_event_at,
        "running": [job for job in known.jobs.values() if not job.is_over],
        "waiting": changes.waiting_at(partner),
        "failed_step": known.connection and states.first_failure(known.connection.last_test),
    }
    return render(request, "partners/detail.html", given)


def known_of(partner: Partner) -> states.Known:
    """What the checklist is made of; the partner was read with its connection."""
    connection = states.mifos_of(partner)
    shortcodes = list(partner.shortcodes.all())
    for shortcode in shortcodes:
        shortcode.partner = partner
    heard = None
    if connection:
        connection.partner = partner
        # Our own test of the webhook is no sign of Mifos X's.
        events = connection.events.exclude(headers__contains=work.TRIAL_HEADERS)
        heard = events.values_list("received_at", flat=True).order_by("-received_at").first()
    return states.Known(
        partner=partner,
        connection=connection,
        shortcodes=shortcodes,
        products=list(connection.products.all()) if connection else [],
        jobs=work.latest(partner),
        last_event_at=heard,
    )


@needs("partners.add_partner")
def new(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        return _form(request, Partner())


@needs(CHANGE)
def edit(request: HttpRequest, code: str) -> HttpResponse:
    rows = Partner.objects.all()
    if request.method != "POST":
        return _form(request, access.one(rows, request.user, CHANGE, code=code))
    with transaction.atomic():
        locked = rows.select_for_update(no_key=True)
        return _form(request, access.one(locked, request.user, CHANGE, code=code))


def _form(request: HttpRequest, partner: Partner) -> HttpResponse:
    # As saved: the form's own row has what was typed.
    name, code = partner.name, partner.code
    form = PartnerPageForm(request.POST or None, instance=partner)
    if form.is_valid():
        draft = PartnerDraft(form)
        if told := saving.submit(request, draft, form):
            new = format_html("Added {}. The steps below lead to its first payout.", partner.name)
            messages.success(request, new if draft.is_new else told.words)
            return redirect("partners:detail", Partner.objects.get(pk=partner.pk).code)
    given: dict[str, Any] = {"form": form, "name": name, "code": code}
    if code:
        given["waiting"] = changes.waiting(partner, Kind.PARTNER, about_of(partner))
    return render(request, "partners/form.html", given, status=422 if form.is_bound else 200)
