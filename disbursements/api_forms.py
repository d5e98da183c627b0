"""What the API tells of disbursements and callbacks, and what it takes."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from disbursements.models import Attempt, Callback, Disbursement, Transition
from disbursements.msisdn import normalise
from disbursements.states import Status
from partners.models import Partner
from paymentvault.api.paging import PageOf
from paymentvault.logging import mask

LARGEST_ID = 2**63 - 1


class DisbursementShown(serializers.ModelSerializer[Disbursement]):
    reference = serializers.CharField(help_text="What the portal calls it.")
    partner = serializers.CharField(source="partner.code")
    status_words = serializers.CharField(source="get_status_display")
    requested_by = serializers.SerializerMethodField(help_text="Who asked for it, if anybody did.")
    approved_by = serializers.SerializerMethodField()
    own_reference = serializers.SerializerMethodField(
        help_text="What whoever asked for it through the API calls it."
    )

    class Meta:
        model = Disbursement
        fields = [
            "id", "reference", "partner", "origin", "status", "status_words", "loan_id",
            "loan_account", "client_name", "msisdn", "gross_amount", "fees", "amount", "holds",
            "hold_words", "waits_for", "failure_code", "failure_words", "mpesa_receipt", "paid_at",
            "recorded_at", "requested_by", "approved_by", "own_reference", "created_at",
            "status_at",
        ]  # fmt: skip
        extra_kwargs = {"holds": {"read_only": True}}

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_requested_by(self, row: Disbursement) -> str | None:
        if row.requested_by:
            return row.requested_by.get_username()
        asked = getattr(row, "api_request", None)
        return str(asked.api_key) if asked else None

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_approved_by(self, row: Disbursement) -> str | None:
        return row.approved_by.get_username() if row.approved_by else None

    @extend_schema_field(serializers.CharField())
    def get_own_reference(self, row: Disbursement) -> str:
        asked = getattr(row, "api_request", None)
        return asked.own_reference if asked else ""


class Move(serializers.ModelSerializer[Transition]):
    class Meta:
        model = Transition
        fields = ["old", "new", "by", "note", "at"]


class Try(serializers.ModelSerializer[Attempt]):
    shortcode = serializers.CharField(source="shortcode.shortcode")

    class Meta:
        model = Attempt
        fields = [
            "originator_conversation_id", "conversation_id", "status", "amount_kes", "msisdn",
            "shortcode", "created_at", "sent_at", "answered_at", "answer_code", "answer_words",
            "result_code", "result_words", "receipt",
        ]  # fmt: skip


class DisbursementWhole(DisbursementShown):
    history = Move(source="transitions", many=True)
    attempts = Try(many=True)

    class Meta(DisbursementShown.Meta):
        fields = [*DisbursementShown.Meta.fields, "history", "attempts"]


class DisbursementFilter(PageOf):
    status = serializers.MultipleChoiceField(choices=Status.choices, required=False)
    origin = serializers.ChoiceField(choices=Disbursement.Origin.choices, required=False)
    partner = serializers.SlugField(required=False, max_length=20, help_text="A partner's code.")
    msisdn = serializers.CharField(required=False, max_length=30)
    loan_id = serializers.IntegerField(required=False, min_value=0, max_value=LARGEST_ID)
    created_from = serializers.DateTimeField(required=False)
    created_to = serializers.DateTimeField(required=False, help_text="Before this moment.")

    def validate_msisdn(self, text: str) -> str:
        return whole_number(text)


class LookupFilter(serializers.Serializer[Any]):
    """One of these."""

    loan_id = serializers.IntegerField(
        required=False, min_value=0, max_value=LARGEST_ID, help_text="The loan's id in Mifos X."
    )
    loan_account = serializers.CharField(required=False, max_length=50)
    receipt = serializers.CharField(required=False, max_length=20, help_text="M-Pesa's.")
    reference = serializers.RegexField(
        r"^DSB-[0-9]{1,18}\Z", required=False, help_text="Ours, such as DSB-12."
    )
    own_reference = serializers.CharField(
        required=False, max_length=60, help_text="As you gave it when you asked."
    )

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if len(given) != 1 or set(self.initial_data) - set(self.fields):
            raise serializers.ValidationError(
                {"query": [f"Give one of: {', '.join(self.fields)}."]}
            )
        return given


class DisbursementAsked(serializers.Serializer[Any]):
    """A disbursement to ask for. A person approves it before it is paid."""

    partner = serializers.CharField(
        required=False, max_length=36, help_text="Its code or id. An API key's own by default."
    )
    name = serializers.CharField(max_length=200, help_text="The recipient's, as in the loan file.")
    msisdn = serializers.CharField(max_length=30, help_text="The recipient's M-Pesa number.")
    amount = serializers.DecimalField(
        max_digits=14, decimal_places=2, min_value=Decimal(1), help_text="Whole KES."
    )
    purpose = serializers.CharField(max_length=300, help_text="Whoever approves it reads this.")
    loan = serializers.CharField(
        required=False, allow_blank=True, max_length=50, help_text="The loan's account number."
    )
    reference = serializers.CharField(
        required=False, allow_blank=True, max_length=60,
        help_text="Your own name for it, to look it up by.",
    )  # fmt: skip

    def validate_msisdn(self, text: str) -> str:
        return whole_number(text)

    def validate_amount(self, amount: Decimal) -> Decimal:
        if amount != int(amount):
            raise serializers.ValidationError("M-Pesa pays whole shillings.")
        smallest, largest = settings.MPESA_MIN_AMOUNT, settings.MPESA_MAX_AMOUNT
        if not smallest <= amount <= largest:
            raise serializers.ValidationError(
                f"M-Pesa pays between KES {smallest:,} and KES {largest:,} at once."
            )
        return amount


def whole_number(text: str) -> str:
    number = normalise(text)
    if not number:
        raise serializers.ValidationError(
            "This is not one Kenyan mobile number, such as 254712345678 or 0712345678."
        )
    return number


class Decision(serializers.Serializer[Any]):
    reason = serializers.CharField(
        max_length=300, help_text="Kept in the history and in the audit."
    )


class Note(serializers.Serializer[Any]):
    reason = serializers.CharField(
        required=False, allow_blank=True, max_length=300,
        help_text="Kept in the history and in the audit.",
    )  # fmt: skip


class CallbackShown(serializers.ModelSerializer[Callback]):
    kind_words = serializers.CharField(source="get_kind_display")
    partner = serializers.SerializerMethodField()
    disbursement = serializers.SerializerMethodField()
    originator_conversation_id = serializers.SerializerMethodField()

    class Meta:
        model = Callback
        fields = [
            "id", "kind", "kind_words", "partner", "disbursement", "originator_conversation_id",
            "received_at", "source_address", "state", "outcome", "processed_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_partner(self, row: Callback) -> str | None:
        return _partner_of(row).code if row.attempt or row.inquiry else None

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_disbursement(self, row: Callback) -> int | None:
        return row.attempt.disbursement_id if row.attempt else None

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_originator_conversation_id(self, row: Callback) -> str | None:
        asked = row.attempt or row.inquiry
        return asked.originator_conversation_id if asked else None


def _partner_of(row: Callback) -> Partner:
    if row.attempt:
        return row.attempt.disbursement.partner
    return row.inquiry.shortcode.partner  # type: ignore[union-attr]


class CallbackWhole(CallbackShown):
    body = serializers.SerializerMethodField(help_text="As it came, with secrets masked.")

    class Meta(CallbackShown.Meta):
        fields = [*CallbackShown.Meta.fields, "body"]

    def get_body(self, row: Callback) -> str:
        return mask(row.body)


class CallbackFilter(PageOf):
    state = serializers.ChoiceField(choices=Callback.State.choices, required=False)
    kind = serializers.ChoiceField(choices=Callback.Kind.choices, required=False)
    disbursement = serializers.IntegerField(required=False, min_value=1, max_value=LARGEST_ID)
