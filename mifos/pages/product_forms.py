"""The forms of a connection's loan products, one for each."""

from typing import Any

from django import forms
from django.http import QueryDict

from partners.forms import LoanProductForm
from partners.models import LoanProduct, MifosConnection

# No lender has so many; a form of them all stays one page.
AT_MOST = 500


class ProductForms(forms.BaseModelFormSet):  # type: ignore[type-arg]
    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        row = form.instance
        form.fields["seen"] = forms.CharField(
            widget=forms.HiddenInput, required=False, initial=_stamp(row)
        )


def _stamp(row: LoanProduct) -> str:
    return f"{row.is_automatic}/{row.min_amount}/{row.max_amount}"


def forms_of(connection: MifosConnection, typed: Any) -> Any:
    made = forms.modelformset_factory(
        LoanProduct, form=LoanProductForm, formset=ProductForms, extra=0, max_num=AT_MOST
    )
    rows = LoanProduct.objects.filter(connection=connection).order_by("-is_listed", "name", "pk")
    return made(typed, queryset=rows)


def clash(found: Any, typed: Any) -> bool:
    """Whether somebody else changed one of them since this page was opened.

    One that isn't this connection's has no row here, and so is refused as well.
    """
    return any(
        form.instance.pk is None
        or typed.get(form.add_prefix("seen")) != form.fields["seen"].initial
        for form in found
    )


def seen_now(found: Any, typed: QueryDict) -> QueryDict:
    now = typed.copy()
    for form in found:
        now[form.add_prefix("seen")] = form.fields["seen"].initial
    return now
