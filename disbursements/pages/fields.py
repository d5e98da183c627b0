"""Sums and phone numbers as people type them."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from disbursements.msisdn import normalise

# "KES 12,000", "12 000/="
DECORATION = re.compile(r"(?i)^kes\b|/[=-]$|[,\s\u00a0]")


class SumField(forms.DecimalField):
    """Shillings, with or without separators of thousands."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    default_error_messages = {"invalid": "Enter a sum in shillings, such as 12000."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_digits": 14, "decimal_places": 2, "min_value": 0} | kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            value = DECORATION.sub("", value.strip())
        return super().to_python(value)


class MsisdnField(forms.CharField):
    """One Kenyan mobile number in any spelling; cleaned to 12 digits."""

    widget = forms.TextInput(attrs={"inputmode": "tel", "autocomplete": "off"})

    def clean(self, value: Any) -> str:
        typed = super().clean(value)
        number = normalise(typed)
        if typed and not number:
            raise ValidationError(
                "This is not one Kenyan mobile number. Write it like 0712 345 678 or "
                "254712345678: it begins with 07, 01, 2547 or 2541 and has nine digits after "
                "the 0 or the 254."
            )
        return number
