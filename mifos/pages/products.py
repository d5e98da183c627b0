"""A partner's loan products: which are paid automatically, and within which sums."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from mifos.pages.connection import RIGHT, connection_of, start
from partners import work
from partners.forms import LoanProductForm
from partners.models import LoanProduct, MifosConnection
from partners.pages import saving
from paymentvault import rights
from paymentvault.rights import needs

SEE = "partners.view_mifosconnection"
CHANGED = "loan product changed"
SHOWN = 20
# No lender has so many; a form of them all stays one page.
AT_MOST = 500


@needs(SEE)
def products(request: HttpRequest, code: str) -> HttpResponse:
    connection = connection_of(request, code, SEE)
    if request.method != "POST":
        return _page(request, connection, _forms(connection, None))
    if not request.user.has_perm(RIGHT, connection.partner):
        raise rights.Missing(RIGHT)
    with transaction.atomic():
        MifosConnection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        found = _forms(connection, request.POST)
        if clash := _clash(found, request.POST):
            # What is saved now is what the next press is about.
            found = _forms(connection, _seen_now(found, request.POST))
        elif found.is_valid():
            changed = [_saved(request, form, connection) for form in found if form.has_changed()]
            words = f"Saved: {', '.join(changed)}." if changed else "Nothing was changed."
            messages.success(request, words)
            return redirect("partners:detail", code)
    return _page(request, connection, found, clash=clash)


class ProductForms(forms.BaseModelFormSet):  # type: ignore[type-arg]
    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        row = form.instance
        form.fields["seen"] = forms.CharField(
            widget=forms.HiddenInput, required=False, initial=_stamp(row)
        )


def _stamp(row: LoanProduct) -> str:
    return f"{row.is_automatic}/{row.min_amount}/{row.max_amount}"


def _forms(connection: MifosConnection, typed: Any) -> Any:
    made = forms.modelformset_factory(
        LoanProduct, form=LoanProductForm, formset=ProductForms, extra=0, max_num=AT_MOST
    )
    rows = LoanProduct.objects.filter(connection=connection).order_by("-is_listed", "name", "pk")
    return made(typed, queryset=rows)


def _clash(found: Any, typed: Any) -> bool:
    """Whether somebody else changed one of them since this page was opened.

    One that isn't this connection's has no row here, and so is refused as well.
    """
    return any(
        form.instance.pk is None
        or typed.get(form.add_prefix("seen")) != form.fields["seen"].initial
        for form in found
    )


def _seen_now(found: Any, typed: QueryDict) -> QueryDict:
    now = typed.copy()
    for form in found:
        now[form.add_prefix("seen")] = form.fields["seen"].initial
    return now


def _saved(request: HttpRequest, form: LoanProductForm, connection: MifosConnection) -> str:
    changes = {name: told for name, told in form.changes().items() if name != "seen"}
    row: LoanProduct = form.save()
    if changes:
        saving.record(request, CHANGED, subject=row, partner=connection.partner,
                      product_id=row.product_id, **changes)  # fmt: skip
    return row.name


def _page(
    request: HttpRequest, connection: MifosConnection, found: Any, *, clash: bool = False
) -> HttpResponse:
    given = {
        "connection": connection,
        "partner": connection.partner,
        "forms": found,
        "form": found,
        "clash": clash,
        "may_change": request.user.has_perm(RIGHT, connection.partner),
        "history": [
            (line, _in_words(line.detail))
            for line in saving.acts(connection.partner, CHANGED, at_most=SHOWN)
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
