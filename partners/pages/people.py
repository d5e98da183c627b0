"""Who has which role at a partner: given and taken away with a reason, and by somebody else."""

from itertools import groupby
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from partners import access
from partners.models import PLATFORM_ROLES, Membership, Partner, Role
from partners.pages import saving
from partners.roles import ABOUT
from paymentvault.acts import Act, ReasonForm, Refusal, confirmed, user_of
from paymentvault.models import User
from paymentvault.rights import needs

SEE, CHANGE = "partners.view_membership", "partners.change_membership"
GIVEN_HERE = [role for role in Role if role not in PLATFORM_ROLES]


class GiveForm(ReasonForm):
    person = forms.CharField(
        label="User name", max_length=150,
        # Not by e-mail: everybody writes their own.
        help_text="Of somebody who has an account here already.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )  # fmt: skip
    role = forms.ChoiceField(
        choices=[(role, f"{role.label}: {ABOUT[role]}") for role in GIVEN_HERE],
        widget=forms.RadioSelect,
    )
    field_order = ["person", "role", "reason"]

    def __init__(self, *args: Any, giver: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.giver = giver

    def clean_person(self) -> User:
        typed = self.cleaned_data["person"].strip()
        found = User.objects.filter(is_active=True, username=typed).first()
        if found is None:
            raise ValidationError(
                "Nobody has this user name. Accounts are made by whoever runs Payment Vault."
            )
        if found == self.giver and not self.giver.is_superuser:
            raise ValidationError("Somebody else must give you a role.")
        return found


@needs(SEE)
def people(request: HttpRequest, code: str) -> HttpResponse:
    partner = _partner(request, code, SEE)
    rows = partner.memberships.select_related("user").order_by("user__username", "pk")
    given = {
        "partner": partner,
        "people": [(user, list(roles)) for user, roles in groupby(rows, key=lambda row: row.user)],
        "about": {role.label: ABOUT[role] for role in GIVEN_HERE},
        "may_change": user_of(request).has_perm(CHANGE, partner),
    }
    return render(request, "partners/people.html", given)


@needs(CHANGE)
def give(request: HttpRequest, code: str) -> HttpResponse:
    partner = _partner(request, code, CHANGE)

    def do(form: Any) -> str:
        person, role = form.cleaned_data["person"], Role(form.cleaned_data["role"])
        _, is_new = Membership.objects.get_or_create(user=person, partner=partner, role=role)
        if not is_new:
            raise Refusal(f"{person} has this role already.")
        saving.record(request, "role given", subject=person, partner=partner, role=role,
                      reason=form.cleaned_data["reason"])  # fmt: skip
        return f"{person} is {role.label.lower()} at {partner} from now on."

    act = Act(
        title=f"Give somebody a role at {partner}",
        verb="Give the role",
        back=reverse("partners:people", args=[code]),
        consequence="It counts from their next press on. Nobody approves what they entered "
        "themselves, whatever roles they have.",
        form=GiveForm,
    )
    return confirmed(request, act, do=do, form_kwargs={"giver": user_of(request)})


@needs(CHANGE)
def take(request: HttpRequest, code: str, pk: int) -> HttpResponse:
    partner = _partner(request, code, CHANGE)
    back = reverse("partners:people", args=[code])
    membership = partner.memberships.select_related("user").filter(pk=pk).first()
    if membership is None:
        messages.info(request, "They don't have this role any more. Nothing was changed.")
        return redirect(back)
    person, role = membership.user, Role(membership.role)

    def do(form: Any) -> str:
        gone, _ = Membership.objects.filter(pk=pk).delete()
        if not gone:
            raise Refusal(f"{person} doesn't have this role any more.")
        saving.record(request, "role taken away", subject=person, partner=partner, role=role,
                      reason=form.cleaned_data["reason"])  # fmt: skip
        return f"{person} is no longer {role.label.lower()} at {partner}."

    act = Act(
        title=f"Take the role “{role.label}” at {partner} from {person}?",
        verb="Take it away",
        back=back,
        consequence="It counts from their next press on. What they did stays as it is.",
        is_dangerous=True,
    )
    return confirmed(request, act, do=do)


def _partner(request: HttpRequest, code: str, right: str) -> Partner:
    return access.one(Partner.objects.all(), request.user, right, code=code)
