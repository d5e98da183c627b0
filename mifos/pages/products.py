"""A partner's loan products: which are paid automatically, and within which sums."""

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from mifos.drafts import PRODUCT_CHANGED, ProductsDraft
from mifos.pages.connection import RIGHT, connection_of, locked_partner, start
from mifos.pages.product_forms import clash, forms_of, seen_now
from partners import changes, work
from partners.changes import Kind
from partners.drafts import about_of
from partners.forms import WhyForm
from partners.models import MifosConnection
from partners.pages import saving
from paymentvault import rights
from paymentvault.rights import needs

SEE = "partners.view_mifosconnection"
SHOWN = 20


@needs(SEE)
def products(request: HttpRequest, code: str) -> HttpResponse:
    connection = connection_of(request, code, SEE)
    if request.method != "POST":
        return _page(request, connection, forms_of(connection, None), why=WhyForm())
    if not request.user.has_perm(RIGHT, connection.partner):
        raise rights.Missing(RIGHT)
    why = WhyForm(request.POST)
    with transaction.atomic():
        partner = locked_partner(request, code)
        MifosConnection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        found = forms_of(connection, request.POST)
        if has_clash := clash(found, request.POST):
            # What is saved now is what the next press is about.
            found = forms_of(connection, seen_now(found, request.POST))
        elif found.is_valid() and why.is_valid():
            draft = ProductsDraft(list(found), connection, partner)
            if told := saving.submit(request, draft, why):
                messages.success(request, told.words)
                return redirect("partners:detail", code)
    return _page(request, connection, found, why=why, clash=has_clash)


def _page(
    request: HttpRequest,
    connection: MifosConnection,
    found: Any,
    *,
    why: WhyForm,
    clash: bool = False,
) -> HttpResponse:
    given = {
        "connection": connection,
        "partner": connection.partner,
        "forms": found,
        "form": found,
        "why": why if connection.partner.in_use_since else None,
        "waiting": changes.waiting(connection.partner, Kind.PRODUCTS, about_of(connection)),
        "clash": clash,
        "may_change": request.user.has_perm(RIGHT, connection.partner),
        "history": [
            (line, _in_words(line.detail))
            for line in saving.acts(connection.partner, PRODUCT_CHANGED, at_most=SHOWN)
        ],
    }
    return render(request, "connection/products.html", given,
                  status=422 if found.is_bound else 200)  # fmt: skip


def _in_words(detail: dict[str, Any]) -> str:
    """What a line of the audit tells of a product's switch and sums."""
    told = []
    if switch := detail.get("is_automatic"):
        told.append("paid automatically" if switch["to"] else "no longer paid automatically")
    for name, which in (("min_amount", "at least"), ("max_amount", "at most")):
        if change := detail.get(name):
            told.append(f"from {_sum(change['from'])} to {_sum(change['to'])} {which}")
    return "; ".join(told)


def _sum(amount: str | None) -> str:
    return "no limit" if amount is None else f"KES {Decimal(amount):,.2f}"


@needs(RIGHT)
@require_POST
def ask(request: HttpRequest, code: str) -> HttpResponse:
    partner = connection_of(request, code).partner
    title = f"Loan products of {partner.name}’s Mifos X"
    job, _ = start(request, work.PRODUCTS, partner, title=title, back="connection:products")
    return redirect("job", job.pk)
