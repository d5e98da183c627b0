"""What the API is told of changes of settings, and tells of them."""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from partners.models import SettingsChange
from paymentvault.api.paging import PageOf


def _sum(words: str) -> serializers.DecimalField:
    return serializers.DecimalField(
        max_digits=12, decimal_places=2, min_value=Decimal(0), allow_null=True, required=False,
        help_text=words,
    )  # fmt: skip


class PartnerChange(serializers.Serializer[Any]):
    """What is left out stays as it is."""

    name = serializers.CharField(max_length=100, required=False)
    contact = serializers.CharField(max_length=200, required=False, allow_blank=True)
    min_amount = _sum("Null: no limit of the partner's own.")
    max_amount = _sum("Null: no limit of the partner's own. 0: nothing is paid.")
    reason = serializers.CharField(
        max_length=300, required=False, allow_blank=True,
        help_text="For the second person. A change that waits for one needs it.",
    )  # fmt: skip

    def to_internal_value(self, data: Any) -> Any:
        if unknown := sorted(set(data) - set(self.fields)):
            # What was misspelt must not seem to have been saved.
            told = "This can't be changed here."
            raise serializers.ValidationError({name: [told] for name in unknown})
        return super().to_internal_value(data)


class Line(serializers.Serializer[Any]):
    """One setting; a secret only as "changed"."""

    setting = serializers.CharField(source="label")

    def get_fields(self) -> dict[str, Any]:
        # "from" is a word of Python's own.
        return super().get_fields() | {
            "from": serializers.CharField(), "to": serializers.CharField()
        }  # fmt: skip


class ChangeShown(serializers.ModelSerializer[SettingsChange]):
    partner = serializers.CharField(source="partner.code")
    difference = Line(many=True)
    proposed_by = serializers.CharField(source="proposed_by.username")
    decided_by = serializers.CharField(source="decided_by.username", allow_null=True, default=None)

    class Meta:
        model = SettingsChange
        fields = [
            "id", "partner", "kind", "state", "difference", "reason", "proposed_by", "proposed_at",
            "decided_by", "decided_at", "decision_note",
        ]  # fmt: skip


class ChangeFilter(PageOf):
    partner = serializers.SlugField(required=False, max_length=20, help_text="A partner's code.")
    state = serializers.ChoiceField(SettingsChange.State.choices, required=False)
