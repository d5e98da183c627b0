"""Filters of the smaller lists: a form in the URL, and what of it is in force."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from disbursements.models import Attempt, Inquiry
from disbursements.pages.filters import REFERENCE, Chip
from partners import access
from partners.models import Partner
from paymentvault.forms import OF_THIS_CENTURY
from paymentvault.models import User


class FilterForm(forms.Form):
    """A value that isn't understood is told beside its field, and filters nothing.

    Its rows and its choice of partners are those at which somebody has the right.
    """

    right = ""

    def __init__(self, query: QueryDict, *, user: User) -> None:
        super().__init__(query)
        self.query, self.user = query, user
        field: Any = self.fields["partner"]
        field.queryset = access.partners(user, self.right).only("code", "name")

    @property
    def asked(self) -> dict[str, Any]:
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    @property
    def chips(self) -> list[Chip]:
        return [Chip(str(self.fields[name].label), self._words(name, value), self._without(name))
                for name, value in self.asked.items()]  # fmt: skip

    def _words(self, name: str, value: Any) -> str:
        field = self.fields[name]
        if isinstance(field, forms.ChoiceField) and not isinstance(field, forms.ModelChoiceField):
            return str(dict(field.choices).get(value, value))  # type: ignore[arg-type]
        return f"{value:%-d %B %Y}" if isinstance(value, date) else str(value)

    def _without(self, name: str) -> str:
        query = self.query.copy()
        for gone in (name, "after", "before"):
            query.pop(gone, None)
        return query.urlencode()


class PartnerField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def __init__(self) -> None:
        super().__init__(
            Partner.objects.none(), to_field_name="code", required=False,
            label="Partner", empty_label="All partners",
            error_messages={"invalid_choice": "There is no such partner."},
        )  # fmt: skip


def day_field(label: str) -> forms.DateField:
    return forms.DateField(
        label=label, required=False, input_formats=["%Y-%m-%d", "%d/%m/%Y"],
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Enter a day such as 2026-11-23."},
        validators=OF_THIS_CENTURY,
    )  # fmt: skip


def search_field() -> forms.CharField:
    widget = forms.TextInput(attrs={"type": "search", "autocomplete": "off"})
    return forms.CharField(label="Search", required=False, max_length=100, widget=widget)


def begin_of(day: date) -> datetime:
    return datetime.combine(day, time.min, timezone.get_default_timezone())


def end_of(day: date) -> datetime:
    return begin_of(day + timedelta(days=1))


def requests_named(text: str) -> tuple[list[int], list[int]]:
    """Attempts and inquiries by a reference, a receipt, or an originator conversation ID."""
    text = text.strip()
    if reference := REFERENCE.fullmatch(text):
        attempts = Attempt.objects.filter(disbursement=int(reference[1]))
    elif by_receipt := list(_ids(Attempt.objects.filter(disbursement__mpesa_receipt=text.upper()))):
        return by_receipt, _ids(Inquiry.objects.filter(attempt__in=by_receipt))
    else:
        attempts = Attempt.objects.filter(originator_conversation_id=text.lower())
    found = _ids(attempts)
    asked = _ids(Inquiry.objects.filter(originator_conversation_id=text.lower()))
    return found, asked + _ids(Inquiry.objects.filter(attempt__in=found))


def _ids(rows: Any) -> list[int]:
    return list(rows.order_by("-pk").values_list("pk", flat=True)[:200])
