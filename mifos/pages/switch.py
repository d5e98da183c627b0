"""Deliberate acts: a connection on or off, polled now, and automatic disbursement on or off."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from disbursements.models import Disbursement
from disbursements.states import Status
from mifos import connections
from mifos.drafts import AutomaticOn, ConnectionOn
from mifos.pages.connection import (
    RIGHT,
    connection_of,
    locked,
    locked_partner,
    partner_of,
    start,
    when,
)
from partners import automatic, changes, work
from partners.changes import Draft, NotProposed
from partners.models import MifosConnection, Partner
from partners.pages import saving, states
from partners.pages.partners import known_of
from paymentvault.acts import Act, Refusal, confirmed, user_of
from paymentvault.addresses import source_address
from paymentvault.models import Job
from paymentvault.rights import needs

CHANGE = "partners.change_partner"
# What was looked at longer ago says too little of what would happen now.
LOOK_COUNTS = timedelta(minutes=10)
SHOWN = 10
WAITS = (
    "This waits for a second person, who sees the whole set-up. Nothing changes before they "
    "confirm it. Once they have: "
)


# -- the connection


@needs(RIGHT)
def on(request: HttpRequest, code: str) -> HttpResponse:
    connection = connection_of(request, code)
    if why_not := _why_not_on(connection):
        given = {
            "partner": connection.partner, "title": "Switch the connection on",
            "reasons": [why_not],
        }  # fmt: skip
        return _refused(request, given)

    def do(form: Any) -> str:
        partner = locked_partner(request, code, RIGHT)
        row = locked(request, code)
        if row.is_on:
            raise Refusal("It is switched on already.")
        if problem := ConnectionOn(row, partner).problem():
            raise Refusal(problem)
        return _submitted(request, ConnectionOn(row, partner), form)

    is_automatic = connection.partner.is_automatic
    is_first = connection.switched_on_at is None
    act = Act(
        title=f"Switch {connection.partner.name}’s Mifos X connection on?",
        verb="Propose to switch it on" if is_first else "Switch on",
        back=reverse("partners:detail", args=[code]),
        consequence=(
            (WAITS if is_first else "")
            + "From now on approved loans are taken in, by hook and by polling. Those approved "
            "before are listed as held, for a person to release or cancel one by one: they may "
            "have been paid another way. "
            + ("Automatic disbursement is on: new loans of the chosen products that pass every "
               "rule are paid without a person." if is_automatic
               else "Automatic disbursement is off: each new loan waits for a person's approval.")
        ),
        facts=[
            ("Mifos X", connection.base_url),
            ("Tenant", connection.tenant_id),
            ("Tested", when(connection.last_tested_at)),
            ("By", connection.last_tested_by),
        ],
        is_dangerous=is_automatic,
    )  # fmt: skip
    return confirmed(request, act, do=do)


def _refused(request: HttpRequest, given: dict[str, Any]) -> HttpResponse:
    """What must be put right first, and where."""
    status = 409 if request.method == "POST" else 200
    return render(request, "connection/refused.html", given, status=status)


def _why_not_on(connection: MifosConnection) -> tuple[str, str, str] | None:
    code = connection.partner.code
    if connection.is_on:
        return "It is switched on already.", reverse("partners:detail", args=[code]), "Go back"
    if not connection.configured_at:
        words = "It must pass its test first, as it is saved now."
        return words, reverse("connection:edit", args=[code]), "Test it"
    if not connection.partner.is_active:
        words = "The partner is not active: nothing would be polled."
        return words, reverse("partners:edit", args=[code]), "Activate it"
    return None


@needs(RIGHT)
def off(request: HttpRequest, code: str) -> HttpResponse:
    connection = connection_of(request, code)

    def do(form: Any) -> str:
        row = locked(request, code)
        if not row.is_on:
            raise Refusal("It is switched off already.")
        connections.switch_off(row, **_who(request, form))
        return "Switched off. No loan is taken in until it is switched on again."

    act = Act(
        title=f"Switch {connection.partner.name}’s Mifos X connection off?",
        verb="Switch off",
        back=reverse("partners:detail", args=[code]),
        consequence=(
            "No loan is taken in any more: hooks are kept and ignored, polling stops. What was "
            "taken in already goes on, and what was paid is still recorded. Loans approved "
            "meanwhile are held once it is switched on again."
        ),
        is_dangerous=True,
    )
    return confirmed(request, act, do=do)


@needs(RIGHT)
@require_POST
def poll(request: HttpRequest, code: str) -> HttpResponse:
    partner = connection_of(request, code).partner
    job, _ = start(request, work.POLL, partner, title=f"Polling {partner.name}’s Mifos X now")
    return redirect("job", job.pk)


# -- automatic disbursement


@needs(CHANGE)
def automatic_on(request: HttpRequest, code: str) -> HttpResponse:
    """What would happen now; then, deliberately, on."""
    partner = partner_of(request, code, CHANGE)
    if partner.is_automatic:
        return redirect("automatic:off", code)
    known = known_of(partner)
    if reasons := states.why_not_automatic(known):
        given = {"partner": partner, "reasons": reasons,
                 "title": "Switch automatic disbursement on"}  # fmt: skip
        return _refused(request, given)
    look = _fresh(known.jobs.get(work.OUTLOOK))
    if look is None or look.state != Job.State.DONE:
        given = {"partner": partner, "job": look or known.jobs.get(work.OUTLOOK)}
        return render(request, "connection/look.html", given)
    return confirmed(request, _act(partner, look), do=lambda form: _switched(request, code, form))


def _fresh(job: Job | None) -> Job | None:
    """A look that is under way, or whose result is of now."""
    if job and job.ended_at and job.ended_at < timezone.now() - LOOK_COUNTS:
        return None
    return job


def _switched(request: HttpRequest, code: str, form: Any) -> str:
    draft = AutomaticOn(locked_partner(request, code, CHANGE))
    if draft.problem():
        raise Refusal("Something has changed meanwhile: open this page again.")
    return _submitted(request, draft, form)


def _submitted(request: HttpRequest, draft: Draft, form: Any) -> str:
    """What waits for a second person is kept for one, anything else done at once."""
    reason = form.cleaned_data["reason"]
    try:
        outcome = changes.submit(draft, by=user_of(request), reason=reason)
    except NotProposed as why:
        raise Refusal(str(why)) from why
    return outcome if isinstance(outcome, str) else saving.proposed(outcome)


def _act(partner: Partner, look: Job) -> Act:
    of_people = Disbursement.objects.filter(
        partner=partner, status__in=[Status.AWAITING_APPROVAL, Status.HELD]
    )
    awaits = Q(status=Status.AWAITING_APPROVAL)
    told = of_people.aggregate(
        count=Count("pk", filter=awaits), sum=Sum("amount", filter=awaits),
        held=Count("pk", filter=~awaits),
    )  # fmt: skip
    return Act(
        title=f"Switch automatic disbursement of {partner.name} on?",
        verb="Propose to pay without a person",
        back=reverse("partners:detail", args=[partner.code]),
        consequence=(
            WAITS + "From now on each approved loan of the chosen products that passes every rule "
            "is paid at once, without a person. A payment can't be taken back."
        ),
        is_dangerous=True,
        template="connection/automatic.html",
        more={
            "partner": partner,
            "job": look,
            "waiting": told,
            "shown": of_people.filter(awaits).order_by("-pk")[:SHOWN],
        },
    )


@needs(CHANGE)
@require_POST
def look(request: HttpRequest, code: str) -> HttpResponse:
    """Read Mifos X's approved loans, and tell what would become of each."""
    partner = connection_of(request, code, CHANGE).partner
    title = f"What automatic disbursement of {partner.name} would do now"
    start(request, work.OUTLOOK, partner, title=title, back="automatic:switch")
    return redirect("automatic:switch", code)


@needs(CHANGE)
def look_panel(request: HttpRequest, code: str) -> HttpResponse:
    """The part that shows how far the look is; at its end the page shows itself anew."""
    partner = partner_of(request, code, CHANGE)
    job = work.latest(partner).get(work.OUTLOOK)
    answer = render(request, "connection/_look.html", {"partner": partner, "job": job})
    if job is None or job.is_over:
        answer["HX-Refresh"] = "true"
    return answer


@needs(CHANGE)
def automatic_off(request: HttpRequest, code: str) -> HttpResponse:
    partner = partner_of(request, code, CHANGE)

    def do(form: Any) -> str:
        row = locked_partner(request, code, CHANGE)
        if not automatic.switch(row, to=False, **_who(request, form)):
            raise Refusal("It is switched off already.")
        return "Automatic disbursement is off. From now on each loan waits for a person."

    act = Act(
        title=f"Switch automatic disbursement of {partner.name} off?",
        verb="Switch off",
        back=reverse("partners:detail", args=[code]),
        consequence=(
            "From now on each loan waits for a person's approval. What was approved already is "
            "still paid; to stop that too, pause the shortcode."
        ),
    )
    return confirmed(request, act, do=do)


def _who(request: HttpRequest, form: Any) -> dict[str, Any]:
    return {
        "by": user_of(request).get_username(),
        "source_address": source_address(request),
        "reason": form.cleaned_data["reason"],
    }
