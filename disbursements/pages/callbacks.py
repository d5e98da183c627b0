"""The inbox of M-Pesa's callbacks: each as it arrived, what came of it, and why."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from disbursements import again as set_going
from disbursements import callback_bodies, doubt
from disbursements.approval import NotAllowed
from disbursements.models import Callback, Disbursement
from disbursements.pages.bodies import readable
from disbursements.pages.inbox import (
    FilterForm,
    PartnerField,
    begin_of,
    day_field,
    end_of,
    requests_named,
    search_field,
)
from partners import access
from partners.models import MpesaShortcode
from paymentvault.acts import Act, ReasonForm, confirmed, user_of
from paymentvault.addresses import source_address
from paymentvault.paging import Pager, Sort
from paymentvault.rights import needs

Rows = QuerySet[Callback]
SEE, TEND = "disbursements.view_callback", "disbursements.change_callback"
TONES = {
    Callback.State.WAITING: "busy",
    Callback.State.DONE: "ok",
    Callback.State.UNMATCHED: "warn",
    Callback.State.UNREADABLE: "bad",
}


class CallbackFilter(FilterForm):
    q = search_field()
    state = forms.ChoiceField(
        label="State", choices=[("", "Any"), *Callback.State.choices], required=False
    )
    kind = forms.ChoiceField(
        label="Kind", choices=[("", "Any"), *Callback.Kind.choices], required=False
    )
    partner = PartnerField()
    right = SEE
    since = day_field("From")
    until = day_field("To")

    @property
    def rows(self) -> Rows:
        asked = self.asked
        rows = access.only(Callback.objects.all(), self.user, self.right)
        rows = rows.filter(**{k: asked[k] for k in ("state", "kind") if k in asked})
        if partner := asked.get("partner"):
            rows = rows.filter(
                Q(attempt__shortcode__partner=partner) | Q(inquiry__shortcode__partner=partner)
            )
        if text := asked.get("q"):
            attempts, inquiries = requests_named(text)
            rows = rows.filter(Q(attempt__in=attempts) | Q(inquiry__in=inquiries))
        if day := asked.get("since"):
            rows = rows.filter(received_at__gte=begin_of(day))
        if day := asked.get("until"):
            rows = rows.filter(received_at__lt=end_of(day))
        return rows

    @property
    def pager(self) -> Pager:
        """By the time that is filtered on, where one is."""
        in_time = {"since", "until"} & self.asked.keys()
        return Pager({"": Sort(("-received_at", "-pk") if in_time else ("-pk",))})


def _with_what_it_is_about(rows: Rows) -> Rows:
    return rows.select_related(
        "attempt__disbursement", "attempt__shortcode__partner",
        "inquiry__attempt__disbursement", "inquiry__shortcode__partner",
    )  # fmt: skip


@needs(SEE)
def index(request: HttpRequest) -> HttpResponse:
    form = CallbackFilter(request.GET, user=user_of(request))
    page = form.pager.page(_with_what_it_is_about(form.rows), request.GET)
    shown = {"form": form, "page": page, "rows": [_row(callback) for callback in page]}
    return render(request, "callbacks/list.html", shown)


@needs(SEE)
def show(request: HttpRequest, pk: int) -> HttpResponse:
    rows = _with_what_it_is_about(Callback.objects.all())
    callback = access.one(rows, request.user, SEE, pk=pk)
    one = disbursement_of(callback)
    shown = _row(callback) | {
        "body": readable(callback.body),
        "outcome_in_it": callback_bodies.read(callback.body),
        "why_not": set_going.why_not_process(callback),
        "can_be_asked": one is not None and one.status in doubt.ASKABLE,
    }
    return render(request, "callbacks/detail.html", shown)


@needs(TEND)
def again(request: HttpRequest, pk: int) -> HttpResponse:
    rows = _with_what_it_is_about(Callback.objects.all())
    callback = access.one(rows, request.user, TEND, pk=pk)
    back = reverse("callbacks:detail", args=[pk])
    if request.method != "POST" and (words := set_going.why_not_process(callback)):
        messages.warning(request, f"{words} Nothing was changed.")
        return redirect(back)
    one = disbursement_of(callback)
    act = Act(
        title=f"Process callback {pk} again?",
        verb="Process it again",
        back=back,
        consequence="It is read anew, as if it had just come. What it proves counts: a payout that "
        "is not settled yet may become paid or failed by it, and one that is settled stays as it "
        "is. Nothing is sent to M-Pesa.",
        facts=[
            ("Kind", callback.get_kind_display()),
            ("Received", f"{timezone.localtime(callback.received_at):%-d %B %Y %H:%M:%S}"),
            ("Disbursement", one.reference if one else ""),
            ("What came of it", callback.outcome),
        ],
        form=ReasonForm,
    )

    def carry_out(form: forms.Form) -> str:
        set_going.process(
            callback, by=user_of(request), note=form.cleaned_data["reason"],
            source_address=source_address(request),
        )  # fmt: skip
        return f"Callback {pk} is being processed. What comes of it will show here."

    return confirmed(request, act, do=carry_out, refusals=(NotAllowed,))


def disbursement_of(callback: Callback) -> Disbursement | None:
    """The disbursement that a callback is about; a balance is about none."""
    attempt = callback.attempt or (callback.inquiry.attempt if callback.inquiry else None)
    return attempt.disbursement if attempt else None


def _row(callback: Callback) -> dict[str, Any]:
    about = callback.attempt or callback.inquiry
    shortcode: MpesaShortcode | None = about.shortcode if about else None
    return {
        "callback": callback,
        "tone": TONES[Callback.State(callback.state)],
        "disbursement": disbursement_of(callback),
        "shortcode": shortcode,
        "partner": shortcode.partner if shortcode else None,
    }
