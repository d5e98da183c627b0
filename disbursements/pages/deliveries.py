"""What a partner's own system was told: its endpoints, and each delivery with what came of it."""

from typing import Any

from django import forms
from django.contrib.auth.decorators import permission_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from disbursements import deliveries
from disbursements.models import Delivery
from partners import access, endpoints
from partners.models import Announcement, Partner
from paymentvault.acts import Act, NoteForm, confirmed, user_of
from paymentvault.paging import Pager

State = Delivery.State

PAGER = Pager()
TONES = {State.WAITING: "busy", State.DELIVERED: "ok", State.GIVEN_UP: "bad"}
TYPES = [*Announcement.choices, (Delivery.TEST, "Test")]


class DeliveryFilter(forms.Form):
    q = forms.IntegerField(
        label="Disbursement", required=False, min_value=1, max_value=10**18,
        widget=forms.TextInput(attrs={"type": "search", "inputmode": "numeric"}),
        help_text="Its number, such as 17 of DSB-17.",
    )  # fmt: skip
    state = forms.ChoiceField(label="State", choices=[("", "Any"), *State.choices], required=False)
    type = forms.ChoiceField(label="What it tells", choices=[("", "Any"), *TYPES], required=False)
    endpoint = forms.ChoiceField(label="Endpoint", required=False)

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["endpoint"].choices = [("", "Any"), *choices]  # type: ignore[attr-defined]

    def of(self, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Those asked for; a value that isn't understood filters nothing."""
        self.is_valid()
        names = {"q": "disbursement", "state": "state", "type": "type", "endpoint": "endpoint"}
        asked = {names[name]: value for name, value in self.cleaned_data.items() if value}
        return rows.filter(**asked)

    @property
    def is_narrowed(self) -> bool:
        return any(self.cleaned_data.values())


@permission_required("partners.view_partner", raise_exception=True)
def index(request: HttpRequest, code: str) -> HttpResponse:
    partner = partner_of(request, code, "partners.view_partner")
    told = endpoints.of(partner)
    form = DeliveryFilter(request.GET, choices=[(str(e.pk), e.url) for e in told])
    rows = Delivery.objects.filter(partner=partner).select_related("endpoint", "disbursement")
    page = PAGER.page(form.of(rows), request.GET)
    given = {
        "partner": partner,
        "endpoints": told,
        "form": form,
        "page": page,
        "rows": [(row, TONES[State(row.state)]) for row in page.rows],
        "may_change": may_change(request, partner),
    }
    return render(request, "deliveries/list.html", given)


@permission_required("partners.view_partner", raise_exception=True)
def show(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    partner = partner_of(request, code, "partners.view_partner")
    row = delivery_of(partner, pk)
    given = {
        "partner": partner,
        "row": row,
        "tone": TONES[State(row.state)],
        "may_change": may_change(request, partner),
    }
    return render(request, "deliveries/detail.html", given)


@permission_required("partners.change_partner", raise_exception=True)
def again(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    partner = partner_of(request, code, "partners.change_partner")
    row = delivery_of(partner, pk)
    act = Act(
        title=f"Send {row.type_words.lower()} of {row.disbursement or 'the test'} again?",
        verb="Send it again",
        back=reverse("deliveries:detail", args=[code, pk]),
        consequence=f"{row.endpoint} gets the same content under the same webhook-id, by which its "
        "system knows that it is no second one. No money moves.",
        facts=[
            ("State", row.get_state_display()),
            ("Tries", row.tries),
            ("What came of the last", row.last_words),
        ],
        form=NoteForm,
    )

    def do(form: Any) -> str:
        deliveries.send_again(row, by=user_of(request), reason=form.cleaned_data["reason"])
        waits = "" if row.endpoint.is_on else " It waits until the endpoint is switched on."
        return f"It is being sent again.{waits}"

    return confirmed(request, act, do=do)


def partner_of(request: HttpRequest, code: str, right: str) -> Partner:
    """The partner, or 404 for somebody without that right there."""
    return get_object_or_404(access.partners(user_of(request), right), code=code)


def may_change(request: HttpRequest, partner: Partner) -> bool:
    return request.user.has_perm("partners.change_partner", partner)


def delivery_of(partner: Partner, pk: int) -> Delivery:
    rows = Delivery.objects.select_related("endpoint__partner", "disbursement")
    return get_object_or_404(rows, partner=partner, pk=pk)
