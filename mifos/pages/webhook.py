"""The address that a partner's Mifos X calls: made, rotated, registered there, and tried."""

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from mifos.connections import DISPLAY_NAME, EVENTS
from mifos.pages.connection import RIGHT, connection_of, locked, partner_of, start, when
from partners import webhook_tokens, work
from partners.models import MifosConnection
from partners.pages import saving, states
from partners.pages.partners import known_of
from paymentvault import audit
from paymentvault.acts import Act, Refusal, confirmed, user_of
from paymentvault.rights import needs

SEE = "partners.view_mifosconnection"


@needs(SEE)
@never_cache
def webhook(request: HttpRequest, code: str) -> HttpResponse:
    connection = connection_of(request, code, SEE)
    known = known_of(partner_of(request, code, SEE))
    given: dict[str, Any] = {
        "partner": connection.partner,
        "connection": connection,
        "address": connection.webhook_url,
        "hook": states.hook(known),
        "last": connection.events.order_by("-received_at").first(),
        "jobs": [known.jobs[kind] for kind in (work.REGISTER, work.TRIAL) if kind in known.jobs],
        "rotated_at": states.rotated_at_of(connection),
        "longest": webhook_tokens.LONGEST_URL,
        "portal": settings.PUBLIC_URL,
        "display_name": DISPLAY_NAME,
        "actions": [action for _, action in EVENTS],
    }
    if request.user.has_perm(RIGHT, connection.partner):
        if connection.webhook_token:
            by = user_of(request).get_username()
            audit.shown("webhook address shown", by=by, subject=connection)
        given |= {
            "may_change": True,
            "sample": _sample(connection),
            "json_address": settings.PUBLIC_URL + reverse("loan-approval"),
        }
    return render(request, "connection/webhook.html", given)


def _sample(connection: MifosConnection) -> str:
    """A body of the JSON form, with this partner's own values."""
    body = {
        "eventType": "loan_approved", "partnerId": str(connection.partner_id), "loanId": "3198",
        "clientId": "1204", "clientPhone": "0712345678", "clientName": "Amina Otieno",
        "loanAmount": "10000.00", "productId": "2", "productName": "Biashara Loan",
        "approvedAt": timezone.now().replace(microsecond=0).isoformat(),
        "webhookToken": connection.webhook_token,
    }  # fmt: skip
    return json.dumps(body, indent=2)


@needs(RIGHT)
@require_POST
@transaction.atomic
def make(request: HttpRequest, code: str) -> HttpResponse:
    """The first address; a second press makes no other."""
    connection = locked(request, code)
    if connection.webhook_token:
        messages.info(request, "There is an address already. To replace it, rotate it.")
        return redirect("connection:webhook", code)
    try:
        webhook_tokens.generate(connection)
    except ValueError as error:
        messages.error(request, f"No address was made. {error} Shorten PUBLIC_URL on this server.")
        return redirect("connection:webhook", code)
    saving.record(request, "webhook address made", subject=connection, partner=connection.partner)
    messages.success(request, "The address and its secret are made. Register it in Mifos X now.")
    return redirect("connection:webhook", code)


@needs(RIGHT)
def rotate(request: HttpRequest, code: str) -> HttpResponse:
    connection = connection_of(request, code)

    def do(form: Any) -> str:
        row = locked(request, code)
        if not row.webhook_token:
            raise Refusal(states.MAKE_ADDRESS_FIRST)
        try:
            webhook_tokens.generate(row)
        except ValueError as error:
            raise Refusal(str(error)) from error
        saving.record(request, "webhook address rotated", subject=row, partner=row.partner,
                      reason=form.cleaned_data["reason"])  # fmt: skip
        return (
            f"A new address is made. The old one is valid until {when(row.previous_token_until)}: "
            "register the new one in Mifos X before."
        )

    act = Act(
        title=f"Rotate the webhook’s address of {connection.partner.name}?",
        verb="Make a new address",
        back=reverse("connection:webhook", args=[code]),
        consequence=(
            "A new address and secret are made. Both the new and the present one are valid for "
            f"{connection.ROTATION.days} days. Until the new one is registered in Mifos X, its "
            f"hook calls the old one.{_one_before(connection)}"
        ),
    )
    return confirmed(request, act, do=do)


def _one_before(connection: MifosConnection) -> str:
    if not connection.accepts_previous_token():
        return ""
    until = when(connection.previous_token_until)
    return f" The address before the present one, else valid until {until}, ends at once."


@needs(RIGHT)
def end_old(request: HttpRequest, code: str) -> HttpResponse:
    connection = connection_of(request, code)
    is_registered, words = states.hook(known_of(partner_of(request, code)))

    def do(form: Any) -> str:
        row = locked(request, code)
        if not webhook_tokens.end_previous(row):
            raise Refusal("The old address has ended already.")
        saving.record(request, "old webhook address ended", subject=row, partner=row.partner,
                      reason=form.cleaned_data["reason"])  # fmt: skip
        return "The old address has ended. Only the present one is answered."

    act = Act(
        title=f"End the old webhook address of {connection.partner.name} now?",
        verb="End the old address",
        back=reverse("connection:webhook", args=[code]),
        consequence=(
            "Whoever still calls it is turned away from now on; their loans are found by polling, "
            "minutes later."
            + ("" if is_registered else f" Mifos X's hook may still be one of them. {words}")
        ),
        facts=[("Valid until", when(connection.previous_token_until))],
        is_dangerous=True,
    )
    return confirmed(request, act, do=do)


@needs(RIGHT)
@require_POST
def register(request: HttpRequest, code: str) -> HttpResponse:
    partner = connection_of(request, code).partner
    title = f"Registering {partner.name}’s hook in Mifos X"
    job, _ = start(request, work.REGISTER, partner, title=title, back="connection:webhook")
    return redirect("job", job.pk)


@needs(RIGHT)
@require_POST
def send_test(request: HttpRequest, code: str) -> HttpResponse:
    partner = connection_of(request, code).partner
    title = f"Test event to {partner.name}’s webhook"
    job, _ = start(request, work.TRIAL, partner, title=title, back="connection:webhook")
    return redirect("job", job.pk)
