"""A partner's webhook endpoints: made, changed, tested, switched, their secrets shown once."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from disbursements import deliveries
from disbursements.pages.deliveries import may_change, partner_of
from partners import endpoints
from partners.endpoints import EndpointForm, EndpointRefused
from partners.models import Partner, WebhookEndpoint
from paymentvault.acts import Act, NoteForm, ReasonForm, confirmed, user_of

CHANGE = "partners.change_partner"


class RotateForm(NoteForm):
    keep_old = forms.BooleanField(
        label="The old secret signs too, for seven days",
        help_text="Time to put the new one in. Untick it if somebody else may know the old one.",
        required=False,
        initial=True,
    )
    field_order = ["keep_old", "reason"]


@permission_required(CHANGE, raise_exception=True)
def new(request: HttpRequest, code: str) -> HttpResponse:
    return _form(request, WebhookEndpoint(partner=partner_of(request, code, CHANGE)))


@permission_required(CHANGE, raise_exception=True)
def edit(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    return _form(request, _endpoint(partner_of(request, code, CHANGE), pk))


def _form(request: HttpRequest, endpoint: WebhookEndpoint) -> HttpResponse:
    is_new, url = endpoint._state.adding, endpoint.url
    form = EndpointForm(request.POST or None, instance=endpoint)
    if form.is_valid():
        try:
            saved = endpoints.save(form, by=user_of(request))
        except EndpointRefused as refused:
            form.add_error("url", str(refused))
        else:
            words = "Added. Its secret comes next." if is_new else "Saved."
            messages.success(request, words)
            return redirect(page_of(saved))
    given = {"form": form, "partner": endpoint.partner, "pk": endpoint.pk, "url": url}
    return render(request, "endpoints/form.html", given, status=422 if form.is_bound else 200)


@permission_required("partners.view_partner", raise_exception=True)
def show(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    partner = partner_of(request, code, "partners.view_partner")
    return _page(request, _endpoint(partner, pk))


@permission_required(CHANGE, raise_exception=True)
@require_POST
@never_cache
def secret(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    """The only page that ever shows it, once; it is nobody's bookmark, so it isn't a GET."""
    endpoint = _endpoint(partner_of(request, code, CHANGE), pk)
    try:
        return _page(request, endpoint, secret=endpoints.reveal(endpoint, by=user_of(request)))
    except EndpointRefused as refused:
        messages.warning(request, str(refused))
        return redirect(page_of(endpoint))


def _page(request: HttpRequest, endpoint: WebhookEndpoint, *, secret: str = "") -> HttpResponse:
    given = {
        "endpoint": endpoint,
        "partner": endpoint.partner,
        "is_rotating": len(endpoint.signing_secrets) > 1,
        "secret": secret,
        "may_change": may_change(request, endpoint.partner),
    }
    return render(request, "endpoints/detail.html", given)


@permission_required(CHANGE, raise_exception=True)
def rotate(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    endpoint = _endpoint(partner_of(request, code, CHANGE), pk)
    act = Act(
        title=f"Give {endpoint} a new secret?",
        verb="Rotate the secret",
        back=page_of(endpoint),
        consequence="The new one is shown once, on the next page. Until the partner has put it in, "
        "what is signed only with it is refused there and tried again. No money moves.",
        is_dangerous=True,
        form=RotateForm,
    )

    def do(form: Any) -> str:
        given = form.cleaned_data
        endpoints.rotate(
            endpoint, by=user_of(request), keep_old=given["keep_old"], reason=given["reason"]
        )
        return "There is a new secret. Show it below, and put it into the partner's system."

    return confirmed(request, act, do=do)


@permission_required(CHANGE, raise_exception=True)
def switch(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    endpoint = _endpoint(partner_of(request, code, CHANGE), pk)
    on = not endpoint.is_on
    consequence = (
        "It is told again of what happens from now on, and of what waited."
        if on
        else "What happens meanwhile is not told to it, now or later; what waits goes on waiting."
    )
    act = Act(
        title=f"Switch {endpoint} {'on' if on else 'off'}?",
        verb=f"Switch it {'on' if on else 'off'}",
        back=page_of(endpoint),
        consequence=f"{consequence} Payouts go on as before.",
        is_dangerous=not on,
        form=NoteForm if on else ReasonForm,
    )

    def do(form: Any) -> str:
        endpoints.switch(endpoint, on=on, by=user_of(request), reason=form.cleaned_data["reason"])
        return f"It is switched {'on' if on else 'off'}."

    return confirmed(request, act, do=do, refusals=(EndpointRefused,))


@permission_required(CHANGE, raise_exception=True)
def test(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    endpoint = _endpoint(partner_of(request, code, CHANGE), pk)
    act = Act(
        title=f"Send a test to {endpoint}?",
        verb="Send a test",
        back=page_of(endpoint),
        consequence="It gets a signed message of type webhook.test, which is about no "
        "disbursement. No money moves.",
        form=NoteForm,
    )
    made: list[int] = []

    def do(form: Any) -> str:
        if not endpoint.is_on:
            raise EndpointRefused("It is switched off: switch it on first.")
        made.append(deliveries.send_test(endpoint, by=user_of(request)).pk)
        return "The test is being sent. What came of it shows here."

    return confirmed(
        request, act, do=do, refusals=(EndpointRefused,),
        then=lambda: reverse("deliveries:detail", args=[code, made[0]]),
    )  # fmt: skip


def page_of(endpoint: WebhookEndpoint) -> str:
    return reverse("deliveries:endpoint", args=[endpoint.partner.code, endpoint.pk])


def _endpoint(partner: Partner, pk: int) -> WebhookEndpoint:
    rows = partner.webhook_endpoints.select_related("partner", "made_by")
    return get_object_or_404(rows, pk=pk)
