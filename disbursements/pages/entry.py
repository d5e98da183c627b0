"""A new disbursement by hand: enter it, check the answers, make it once."""

import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from disbursements import entry
from disbursements.models import Disbursement
from disbursements.pages.fields import MsisdnField, SumField
from disbursements.states import Status
from partners import access
from partners.models import Partner
from paymentvault import acts
from paymentvault.acts import Act, user_of
from paymentvault.addresses import source_address
from paymentvault.models import User
from paymentvault.rights import needs
from paymentvault.templatetags.portal import msisdn

MAKE = "disbursements.add_disbursement"


class EntryForm(forms.Form):
    partner = forms.ModelChoiceField(
        Partner.objects.none(), to_field_name="code",
        help_text="Whose M-Pesa float pays it.",
        error_messages={
            "invalid_choice": "Choose one of the partners in the list; only active ones pay out.",
        },
    )  # fmt: skip
    name = forms.CharField(
        label="Recipient's name", max_length=200, help_text="As in the loan file.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    msisdn = MsisdnField(
        label="Recipient's M-Pesa number", max_length=30,
        help_text="In any spelling, such as 0712 345 678.",
    )  # fmt: skip
    amount = SumField(label="Amount, KES", help_text="Whole shillings: M-Pesa pays no cents.")
    purpose = forms.CharField(
        label="What it is for", max_length=300,
        help_text="Whoever approves it reads this. It is kept in the history and in the audit.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )  # fmt: skip
    loan = forms.CharField(
        label="Loan (optional)", max_length=50, required=False,
        help_text="Its account number, so that it can be searched for. Nothing is recorded in "
        "Mifos X for a disbursement by hand.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["partner"]
        field.queryset = access.partners(user, MAKE).filter(is_active=True)

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        if amount != int(amount):
            raise ValidationError(
                f"M-Pesa pays whole shillings. Enter {int(amount)} or {int(amount) + 1}."
            )
        smallest, largest = settings.MPESA_MIN_AMOUNT, settings.MPESA_MAX_AMOUNT
        if not smallest <= amount <= largest:
            raise ValidationError(
                f"M-Pesa pays between KES {smallest:,} and KES {largest:,} at once."
            )
        return amount.quantize(Decimal("0.01"))

    @property
    def entry(self) -> entry.Entry:
        return entry.Entry(**self.cleaned_data)


class CheckedForm(EntryForm):
    """The same answers, carried by the page that shows them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget = forms.HiddenInput()


@needs(MAKE)
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form; with good answers the page to check them; from there the disbursement."""
    is_answered = request.method == "POST" and "change" not in request.POST
    user = user_of(request)
    typed = {"data": request.POST} if is_answered else {"initial": request.POST.dict()}
    form = EntryForm(**typed, user=user)
    if not is_answered or not form.is_valid():
        given = {"form": form, "back": reverse("disbursements:list")}
        return render(request, "disbursements/new.html", given, status=422 if is_answered else 200)
    act = _act(form, request)
    if "once" not in request.POST:
        checked = CheckedForm(request.POST, user=user)
        given = {"act": act, "form": checked, "once": uuid.uuid4(), **act.more}
        return render(request, act.template, given)
    made: list[Disbursement] = []

    def make(checked: CheckedForm) -> str:
        made.append(entry.enter(checked.entry, by=user, source_address=source_address(request)))
        return _told(made[0])

    return acts.confirmed(
        request, act, do=make, form_kwargs={"user": user},
        then=lambda: reverse("disbursements:detail", args=[made[0].pk]),
    )  # fmt: skip


def _act(form: EntryForm, request: HttpRequest) -> Act:
    asked = form.entry
    return Act(
        title=f"Enter KES {asked.amount:,.2f} to {asked.name}?",
        verb="Enter it for approval",
        back=reverse("disbursements:list"),
        consequence="No money moves yet: somebody else must approve it first.",
        facts=[
            ("Partner", asked.partner),
            ("Recipient", asked.name),
            ("M-Pesa number", msisdn(asked.msisdn)),
            ("Amount", f"KES {asked.amount:,.2f}"),
            ("What it is for", asked.purpose),
            ("Loan", asked.loan),
        ],
        form=CheckedForm,
        template="disbursements/new_check.html",
        more={"holds": entry.outlook(asked, by=user_of(request))},
    )


def _told(made: Disbursement) -> str:
    if made.status == Status.HELD:
        return f"{made.reference} was entered and is held: {made.hold_words} No money moved."
    return f"{made.reference} was entered. It waits for someone else to approve it."
