"""How every form of the portal looks and behaves."""

from datetime import date, datetime
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection
from django.db.models import Model
from django.forms.renderers import TemplatesSetting

# Days far from ours can't be reckoned with: the day after the last one is none.
OF_THIS_CENTURY = [
    MinValueValidator(date(2000, 1, 1), "Enter a day of this century."),
    MaxValueValidator(date(2099, 12, 31), "Enter a day of this century."),
]


class Renderer(TemplatesSetting):
    """A summary of errors on top, then each field with its label, hint and error."""

    form_template_name = "forms/form.html"
    field_template_name = "forms/field.html"


class ToldOfClashes(forms.ModelForm):
    """Tells whoever saves that somebody else saved meanwhile, instead of overwriting it.

    The model needs `updated_at`, which changes whenever a person saves its settings.
    """

    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["seen"] = _stamp(self.instance)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        now = _now(self.instance)
        if now and cleaned.get("seen") != now.isoformat():
            # What is saved now is what the next press is about.
            data: Any = self.data
            data = data.copy()
            data[self.add_prefix("seen")] = now.isoformat()
            self.data = data
            self.add_error(
                None,
                "Somebody else saved this while you had it open. Nothing of yours was saved. "
                "What you typed is still here: compare it with what is saved now, then save "
                "again to overwrite it.",
            )
        return cleaned


def _stamp(row: Model) -> str:
    at = getattr(row, "updated_at", None)
    return at.isoformat() if at else ""


def _now(row: Model) -> datetime | None:
    if row._state.adding:
        return None
    rows = type(row)._default_manager.filter(pk=row.pk)
    if connection.in_atomic_block:
        # Of two who save at the same moment the second waits, and is told.
        rows = rows.select_for_update(no_key=True)
    at: datetime = rows.values_list("updated_at", flat=True).get()
    return at
