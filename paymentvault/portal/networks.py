"""Networks that requests may go to on purpose: the list, and what two people do about one."""

from typing import Any

from django import forms
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from paymentvault import networks
from paymentvault.acts import Act, ReasonForm, confirmed, user_of
from paymentvault.destinations import USUAL_PORTS
from paymentvault.models import AllowedNetwork
from paymentvault.paging import Pager

PAGER = Pager()


class NetworkForm(forms.Form):
    network = forms.CharField(
        label="Network",
        help_text="As small as it can be: one address, or such as 10.20.0.0/28.",
        max_length=43,
    )
    ports = forms.CharField(
        label="Ports",
        help_text="Those that the lender's server listens at, such as 443 or 443, 9443.",
        max_length=40,
        initial=", ".join(map(str, sorted(USUAL_PORTS))),
    )
    reason = forms.CharField(
        label="Reason",
        help_text="Whose network it is and how it is reached. Kept in the audit.",
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def clean_network(self) -> Any:
        return networks.readable(self.cleaned_data["network"])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if {"network", "ports"} <= cleaned.keys():
            try:
                cleaned["ports"] = networks.readable_ports(cleaned["ports"], cleaned["network"])
            except ValidationError as error:
                self.add_error("ports", error)
        return cleaned


@permission_required("paymentvault.view_allowednetwork", raise_exception=True)
def index(request: HttpRequest) -> HttpResponse:
    rows = AllowedNetwork.objects.select_related("proposed_by", "confirmed_by", "withdrawn_by")
    page = PAGER.page(rows, request.GET)
    shown = [(row, *_state(row)) for row in page.rows]
    return render(request, "networks/list.html", {"page": page, "shown": shown})


@permission_required("paymentvault.add_allowednetwork", raise_exception=True)
def propose(request: HttpRequest) -> HttpResponse:
    act = Act(
        title="Propose a network that requests may go to?",
        verb="Propose it",
        back=reverse("networks:list"),
        consequence="Payment Vault calls Mifos X, and partners' own systems, only at public "
        "addresses, at ports 443 and 8443. A network in this list may be called too. Nothing "
        "changes before somebody else confirms it. No money moves.",
        form=NetworkForm,
    )

    def do(form: Any) -> str:
        given = form.cleaned_data
        row = networks.propose(
            given["network"], ports=given["ports"], reason=given["reason"], by=user_of(request)
        )
        return f"{row}: proposed. Somebody else must confirm it."

    return confirmed(request, act, do=do, refusals=(networks.NetworkRefused,))


@permission_required("paymentvault.confirm_allowednetwork", raise_exception=True)
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    row = _row(pk)
    act = Act(
        title=f"Let requests go to {row.network}?",
        verb=f"Allow {row.network}",
        back=reverse("networks:list"),
        consequence="From now on whoever sets up a Mifos X or a webhook can make Payment Vault "
        "call these addresses, at these ports. Make sure that only the lender's servers are there. "
        "No money moves.",
        facts=_facts(row),
        is_dangerous=True,
    )

    def do(form: Any) -> str:
        networks.confirm(row, by=user_of(request), note=form.cleaned_data["reason"])
        return f"{row}: allowed from now on."

    return confirmed(request, act, do=do, refusals=(networks.NetworkRefused,))


@permission_required("paymentvault.add_allowednetwork", raise_exception=True)
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    row = _row(pk)
    act = Act(
        title=f"Take {row.network} out of the list?",
        verb=f"Withdraw {row.network}",
        back=reverse("networks:list"),
        consequence="Nothing is sent there any more. A Mifos X that stands in it can't be reached "
        "then: its loans wait, and nothing is paid or recorded for them. To allow it again takes "
        "two people.",
        facts=_facts(row),
        is_dangerous=True,
        form=ReasonForm,
    )

    def do(form: Any) -> str:
        networks.withdraw(row, by=user_of(request), reason=form.cleaned_data["reason"])
        return f"{row}: withdrawn. Nothing is sent there any more."

    return confirmed(request, act, do=do, refusals=(networks.NetworkRefused,))


def _row(pk: int) -> AllowedNetwork:
    rows = AllowedNetwork.objects.select_related("proposed_by", "confirmed_by")
    return get_object_or_404(rows, pk=pk)


def _facts(row: AllowedNetwork) -> list[tuple[str, Any]]:
    return [
        ("Network", row.network),
        ("Ports", row.ports_words),
        ("Reason", row.reason),
        ("Proposed by", row.proposed_by),
        ("Confirmed by", row.confirmed_by or ""),
    ]


def _state(row: AllowedNetwork) -> tuple[str, str]:
    """In words, and the tone."""
    if row.withdrawn_at:
        return "Withdrawn", "wait"
    return ("Allowed", "ok") if row.confirmed_at else ("Waits for a second person", "warn")
