"""A partner's API keys: the list, and making, rotating and revoking one."""

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from partners import access, keys
from partners.models import ApiKey, Partner, Scope
from paymentvault.acts import Act, Refusal, confirmed, user_of
from paymentvault.rights import needs
from paymentvault.templatetags.portal import exactly

SEE, CHANGE = "partners.view_apikey", "partners.change_apikey"
LIVES = [("30", "30 days"), ("90", "90 days"), ("180", "180 days"), ("365", "A year")]
BOTH_FOR = [("0", "Not at all: it ends now"), ("1", "An hour"), ("24", "A day"), ("168", "A week")]


class LifeForm(forms.Form):
    lives = forms.ChoiceField(
        label="Valid for", choices=LIVES, initial="90",
        help_text="Then it ends by itself. Rotate it before.",
    )  # fmt: skip


class KeyForm(LifeForm):
    name = forms.CharField(
        label="Name", max_length=60, help_text="Which program uses it, such as Loan system.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    scopes = forms.MultipleChoiceField(
        label="What it may do", choices=Scope.choices, widget=forms.CheckboxSelectMultiple,
        help_text="No more than the program needs. No key approves, rejects or retries.",
    )  # fmt: skip
    networks = forms.CharField(
        label="Where it may be used from (optional)", required=False, max_length=1000,
        help_text="Addresses or networks, one a line, such as 196.201.214.0/24. Empty: anywhere.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )  # fmt: skip
    field_order = ["name", "scopes", "networks", "lives"]

    def clean_networks(self) -> list[str]:
        return [_network(line) for line in self.cleaned_data["networks"].split()]


class RotationForm(LifeForm):
    both_for = forms.ChoiceField(
        label="The old key stays valid for", choices=BOTH_FOR, initial="24",
        help_text="Time to put the new key into the program.",
    )  # fmt: skip
    field_order = ["both_for", "lives"]


@needs(SEE)
def index(request: HttpRequest, code: str) -> HttpResponse:
    partner = _partner(request, code, SEE)
    rows = partner.api_keys.select_related("created_by", "revoked_by", "replaced_by")
    shown = [
        {
            "key": key,
            "state": _state(key),
            "can_rotate": _can_rotate(key),
            "scopes": _in_words(key),
        }
        for key in rows[:200]
    ]
    may_change = user_of(request).has_perm(CHANGE, partner)
    given = {"partner": partner, "shown": shown, "may_change": may_change}
    return render(request, "keys/list.html", given)


@needs(CHANGE)
@never_cache
def new(request: HttpRequest, code: str) -> HttpResponse:
    partner = _partner(request, code, CHANGE)
    act = Act(
        title=f"Make an API key for {partner}?",
        verb="Make the key",
        back=reverse("keys:list", args=[code]),
        consequence="Whoever has it can do what you tick here, for this partner only. It is shown "
        "once. What is asked for with it you can't approve yourself.",
        form=KeyForm,
    )

    def make(form: KeyForm) -> tuple[ApiKey, str]:
        given = form.cleaned_data
        return keys.make(
            partner, name=given["name"], scopes=given["scopes"], by=user_of(request),
            allowed_networks=given["networks"], expires_at=_end(given["lives"]),
        )  # fmt: skip

    return _shown_once(request, partner, act, make)


@needs(CHANGE)
@never_cache
def rotate(request: HttpRequest, code: str, pk: Any) -> HttpResponse:
    partner = _partner(request, code, CHANGE)
    old = get_object_or_404(partner.api_keys, pk=pk)
    act = Act(
        title=f"Make a new key in place of {old.name} ({old.prefix})?",
        verb="Make the new key",
        back=reverse("keys:list", args=[code]),
        consequence="The new key may do the same, from the same addresses. It is shown once.",
        facts=_facts(old),
        form=RotationForm,
    )

    def replace(form: RotationForm) -> tuple[ApiKey, str]:
        given = form.cleaned_data
        return keys.rotate(
            old, both_for=timedelta(hours=int(given["both_for"])), by=user_of(request),
            expires_at=_end(given["lives"]),
        )  # fmt: skip

    return _shown_once(request, partner, act, replace)


@needs(CHANGE)
def revoke(request: HttpRequest, code: str, pk: Any) -> HttpResponse:
    partner = _partner(request, code, CHANGE)
    key = get_object_or_404(partner.api_keys.select_related("partner"), pk=pk)
    act = Act(
        title=f"Revoke {key.name} ({key.prefix})?",
        verb="Revoke it",
        back=reverse("keys:list", args=[code]),
        consequence="It ends at once, for good. Programs that use it are refused. What was asked "
        "for with it stays.",
        facts=_facts(key),
        is_dangerous=True,
    )

    def end(form: Any) -> str:
        keys.revoke(key, by=user_of(request), reason=form.cleaned_data["reason"])
        return f"Revoked {key.name} ({key.prefix})."

    return confirmed(request, act, do=end, refusals=(ValueError,))


def _shown_once(request: HttpRequest, partner: Partner, act: Act, do: Any) -> HttpResponse:
    """The key stands in the answer to the press itself, and nowhere after."""
    made: list[tuple[ApiKey, str]] = []

    def carry_out(form: Any) -> str:
        made.append(do(form))
        return f"Made {made[0][0].name} ({made[0][0].prefix})."

    answer = confirmed(request, act, do=carry_out, refusals=(ValueError, Refusal))
    if not made:
        return answer
    key, text = made[0]
    given = {"partner": partner, "key": key, "scopes": _in_words(key), "text": text}
    return render(request, "keys/made.html", given)


def _partner(request: HttpRequest, code: str, right: str) -> Partner:
    return get_object_or_404(access.partners(user_of(request), right), code=code)


def _in_words(key: ApiKey) -> list[str]:
    return [str(Scope(scope).label) for scope in key.scopes]


def _end(days: str) -> Any:
    return timezone.now() + timedelta(days=int(days))


def _facts(key: ApiKey) -> list[tuple[str, Any]]:
    return [
        ("May", ", ".join(Scope(scope).label for scope in key.scopes)),
        ("From", ", ".join(key.allowed_networks) or "anywhere"),
        ("Made by", key.created_by),
        ("Ends", exactly(key.expires_at)),
        ("Last used", exactly(key.last_used_at) if key.last_used_at else "never"),
    ]


def _state(key: ApiKey) -> tuple[str, str]:
    if key.revoked_at:
        return "Revoked", "wait"
    if not key.is_valid:
        return "Ended", "wait"
    if hasattr(key, "replaced_by"):
        return "Being replaced", "warn"
    return "Valid", "ok"


def _can_rotate(key: ApiKey) -> bool:
    return key.is_valid and not hasattr(key, "replaced_by")


def _network(text: str) -> str:
    try:
        return str(ip_network(text.strip(",")))
    except ValueError as error:
        raise forms.ValidationError(
            f"{text} is not an address or a network such as 196.201.214.0/24."
        ) from error
