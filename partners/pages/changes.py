"""Changes of settings that wait, or waited, for a second person: the list, one, and its end."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from partners import access, changes
from partners.models import Partner, SettingsChange
from paymentvault import rights
from paymentvault.acts import Act, NoteForm, Refusal, confirmed, user_of
from paymentvault.models import User
from paymentvault.paging import Pager, Sort
from paymentvault.rights import needs

SEE, CHANGE = "partners.view_partner", "partners.change_partner"
State = SettingsChange.State
PAGER = Pager({"": Sort(("-is_waiting", "-pk"), "Waiting first, then newest first")})
TONES = {
    State.WAITING: "warn",
    State.APPLIED: "ok",
    State.REFUSED: "bad",
    State.WITHDRAWN: "wait",
    State.OUTDATED: "wait",
}
Rows = QuerySet[SettingsChange]


class Filter(forms.Form):
    state = forms.ChoiceField(label="State", required=False, choices=[("", "Any"), *State.choices])
    partner = forms.ModelChoiceField(
        Partner.objects.none(), label="Partner", required=False, to_field_name="code",
        empty_label="Any",
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["partner"].queryset = access.partners(user, SEE)  # type: ignore[attr-defined]

    def filtered(self, rows: Rows) -> Rows:
        asked = self.cleaned_data if self.is_valid() else {}
        return rows.filter(**{name: value for name, value in asked.items() if value})

    def chips(self) -> list[dict[str, str]]:
        asked = {name: self.data.get(name, "") for name in self.fields if name in self.cleaned_data}
        found = []
        for name, value in asked.items():
            if value:
                words = self.cleaned_data[name]
                label = State(words).label if name == "state" else str(words)
                rest = {other: kept for other, kept in asked.items() if kept and other != name}
                found.append({"label": str(self[name].label), "words": label,
                              "without": urlencode(rest)})  # fmt: skip
        return found


@needs(SEE)
def index(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = Filter(request.GET, user=user)
    page = PAGER.page(form.filtered(_rows(access.only(_all(), user, SEE))), request.GET)
    shown = [(row, TONES[State(row.state)]) for row in page]
    given = {"form": form, "page": page, "shown": shown, "chips": form.chips()}
    return render(request, "changes/list.html", given)


@needs(SEE)
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    change = _change(request, pk)
    user = user_of(request)
    is_theirs = change.proposed_by_id == user.pk
    may = change.state == State.WAITING and user.has_perm(changes.right_of(change), change.partner)
    given = {
        "change": change,
        "partner": change.partner,
        "tone": TONES[State(change.state)],
        "may_decide": may and not is_theirs,
        "may_withdraw": may and is_theirs,
        "others": changes.who_may_decide(change) if change.state == State.WAITING else [],
    }
    return render(request, "changes/detail.html", given)


@needs(CHANGE)
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    change = _to_decide(request, pk)
    act = Act(
        title=f"Confirm this change? {change}",
        verb="Confirm and apply it",
        back=_page(change),
        consequence="It is applied at once, exactly as it stands here. Make sure with the lender, "
        "by a way you know, that they want it: what is changed here decides where money goes.",
        is_dangerous=True,
        form=NoteForm,
        template="changes/confirm.html",
        more={"change": change},
    )
    outdated: list[str] = []

    def do(form: Any) -> str:
        try:
            words = changes.confirm(change, by=user_of(request), note=form.cleaned_data["reason"])
        except changes.Outdated as why:
            outdated.append(str(why))
            raise
        return f"Applied. {words}"

    answer = confirmed(request, act, do=do)
    return _outdated(request, change, outdated[0]) if outdated else answer


def _outdated(request: HttpRequest, change: SettingsChange, words: str) -> HttpResponse:
    """In a transaction of its own: the one that found out was undone whole."""
    try:
        changes.outdate(change, by=user_of(request), words=words)
    except Refusal as refusal:
        words = str(refusal)
    messages.error(request, f"Nothing was changed, and it waits no longer. {words} Where it is "
                            "still wanted, somebody proposes it anew.")  # fmt: skip
    return redirect(_page(change))


@needs(CHANGE)
def refuse(request: HttpRequest, pk: int) -> HttpResponse:
    change = _to_decide(request, pk)
    act = Act(
        title=f"Refuse this change? {change}",
        verb="Refuse it",
        back=_page(change),
        consequence="Nothing is changed. What was typed is deleted, secrets included.",
        template="changes/confirm.html",
        more={"change": change},
    )
    return _ended(request, change, act, changes.refuse, "Refused. Nothing was changed.")


@needs(CHANGE)
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    change = _to_decide(request, pk)
    act = Act(
        title=f"Withdraw your change? {change}",
        verb="Withdraw it",
        back=_page(change),
        consequence="Nothing is changed. What was typed is deleted, secrets included.",
        form=NoteForm,
        template="changes/confirm.html",
        more={"change": change},
    )
    return _ended(request, change, act, changes.withdraw, "Withdrawn. Nothing was changed.")


def _ended(
    request: HttpRequest, change: SettingsChange, act: Act, end: Callable[..., None], words: str
) -> HttpResponse:
    def do(form: Any) -> str:
        end(change, by=user_of(request), note=form.cleaned_data["reason"])
        return words

    return confirmed(request, act, do=do)


def _all() -> Rows:
    # What was typed stands in no page.
    return SettingsChange.objects.defer("proposal")


def _rows(rows: Rows) -> Rows:
    return rows.select_related("partner", "proposed_by", "decided_by")


def _change(request: HttpRequest, pk: int) -> SettingsChange:
    return access.one(_rows(_all()), request.user, SEE, pk=pk)


def _to_decide(request: HttpRequest, pk: int) -> SettingsChange:
    """For somebody with the right to change the same; 404 at another partner."""
    change = access.one(_rows(_all()), request.user, CHANGE, pk=pk)
    right = changes.right_of(change)
    if not user_of(request).has_perm(right, change.partner):
        raise rights.Missing(right)
    return change


def _page(change: SettingsChange) -> str:
    return reverse("changes:detail", args=[change.pk])
