"""What only a person can settle: the cases, and closing one."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from disbursements import cases, makers
from disbursements.models import Case
from disbursements.pages.filters import REFERENCE
from disbursements.pages.inbox import FilterForm, PartnerField, search_field
from partners import access
from partners.models import Partner
from paymentvault.acts import Act, ReasonForm, confirmed, user_of
from paymentvault.addresses import source_address
from paymentvault.models import User
from paymentvault.paging import Pager, totals
from paymentvault.rights import needs

Rows = QuerySet[Case]
SEE, TEND = "disbursements.view_case", "disbursements.change_case"
KINDS = sorted(((kind, about.label) for kind, about in cases.KINDS.items()), key=lambda k: k[1])


class CaseFilter(FilterForm):
    q = search_field()
    state = forms.ChoiceField(
        label="State", required=False,
        choices=[("", "Open"), ("closed", "Closed"), ("all", "Open and closed")],
    )  # fmt: skip
    kind = forms.ChoiceField(label="Kind", choices=[("", "Any"), *KINDS], required=False)
    partner = PartnerField()
    right = SEE

    @property
    def rows(self) -> Rows:
        asked = self.asked
        rows = access.only(Case.objects.all(), self.user, self.right)
        if asked.get("state") != "all":
            rows = rows.filter(closed_at__isnull=asked.get("state") != "closed")
        if kind := asked.get("kind"):
            rows = rows.filter(kind=kind)
        if partner := asked.get("partner"):
            rows = rows.filter(_of(partner))
        if text := asked.get("q"):
            rows = rows.filter(_named(text))
        return rows


def _of(partner: Partner) -> Q:
    return (
        Q(disbursement__partner=partner) | Q(shortcode__partner=partner)
        | Q(connection__partner=partner)
    )  # fmt: skip


def _named(text: str) -> Q:
    if reference := REFERENCE.fullmatch(text.strip()):
        return Q(disbursement=int(reference[1]))
    return Q(words__icontains=text.strip())


@needs(SEE)
def index(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = CaseFilter(request.GET, user=user)
    page = Pager(per_page=25).page(_with_what_they_are_about(form.rows), request.GET)
    shown = {"form": form, "page": page, "totals": totals(form.rows),
             "rows": [_row(case, user) for case in page]}  # fmt: skip
    return render(request, "cases/list.html", shown)


@needs(TEND)
def close(request: HttpRequest, pk: int) -> HttpResponse:
    rows = _with_what_they_are_about(Case.objects.all())
    case = access.one(rows, request.user, TEND, pk=pk)
    kind, row = cases.kind_of(case), _row(case, user_of(request))
    back = row["link"] if case.disbursement else reverse("cases:list")
    if request.method != "POST" and case.closed_at:
        messages.warning(request, f"The case was closed already by {case.closed_by}.")
        return redirect(back)
    if request.method != "POST" and (words := cases.why_not_close(case, user_of(request))):
        messages.warning(request, f"{words} Nothing was changed.")
        return redirect(back)
    act = Act(
        title=f"Close the case “{kind.label}” of {row['about']}?",
        verb="Close the case",
        back=back,
        consequence=f"{kind.closing} A closed case isn't opened again by hand.",
        facts=[("What happened", case.words), ("Partner", row["partner"])],
        is_dangerous=case.kind in cases.MONEY_IN_QUESTION,
        form=ReasonForm,
    )

    def carry_out(form: forms.Form) -> str:
        cases.close(
            case, by=user_of(request), note=form.cleaned_data["reason"],
            source_address=source_address(request),
        )  # fmt: skip
        return f"Closed the case “{kind.label}” of {row['about']}."

    return confirmed(request, act, do=carry_out, refusals=(cases.ClosedAlready, cases.MayNotClose))


def _with_what_they_are_about(rows: Rows) -> Rows:
    return rows.select_related(
        "disbursement__partner", f"disbursement__{makers.ITS_KEY}", "shortcode__partner",
        "connection__partner",
    )  # fmt: skip


def _row(case: Case, user: User) -> dict[str, Any]:
    """A case with what it is about and where that is looked at."""
    about = case.disbursement or case.shortcode or case.connection
    link = ""
    if case.disbursement_id:
        link = reverse("disbursements:detail", args=[case.disbursement_id])
    elif about:
        link = reverse("partners:detail", args=[about.partner.code])
    return {
        "case": case,
        "kind": cases.kind_of(case),
        "about": about or "Payment Vault",
        "partner": about.partner if about else None,
        "link": link,
        # One about no partner is the platform's.
        "may_close": user.has_perm(TEND, about.partner if about else case)
        and not case.closed_at
        and not cases.why_not_close(case, user),
        "tone": "bad" if case.kind in cases.MONEY_IN_QUESTION else "warn",
    }
