"""Partners, their settings and their float through the API. No secret is ever told."""

import re
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from partners import changes, keys
from partners.api_forms import ChangeFilter, ChangeShown, PartnerChange
from partners.changes import NotProposed
from partners.drafts import PartnerDraft
from partners.models import MifosConnection, MpesaShortcode, Partner, SettingsChange
from paymentvault.api.errors import Problem
from paymentvault.api.paging import PageOf, page, pages_of
from paymentvault.api.resources import Resource, body, given
from paymentvault.api.signing_in import demand
from paymentvault.models import User
from paymentvault.paging import Sort

SEE, CHANGE = "partners.view_partner", "partners.change_partner"
CODE_OR_ID = re.compile(r"[A-Za-z0-9-]{2,36}")
BY_CODE = Sort(("code",), "By code")


class PartnerShown(serializers.ModelSerializer[Partner]):
    class Meta:
        model = Partner
        fields = ["id", "code", "name", "is_active", "is_automatic", "created_at"]


class ConnectionShown(serializers.ModelSerializer[MifosConnection]):
    """How a partner's Mifos X is reached."""

    has_password = serializers.SerializerMethodField()
    has_oauth_client_secret = serializers.SerializerMethodField()
    last_test = serializers.ListField(child=serializers.DictField())

    class Meta:
        model = MifosConnection
        fields = [
            "host_url", "api_path", "tenant_id", "username", "has_password", "oauth_token_url",
            "oauth_client_id", "has_oauth_client_secret", "payment_type_id", "time_zone",
            "configured_at", "is_on", "failing_since", "last_error", "last_test", "last_tested_at",
            "last_tested_by",
        ]  # fmt: skip

    def get_has_password(self, row: MifosConnection) -> bool:
        return bool(row.password)

    def get_has_oauth_client_secret(self, row: MifosConnection) -> bool:
        return bool(row.oauth_client_secret)


class ShortcodeShown(serializers.ModelSerializer[MpesaShortcode]):
    """A partner's M-Pesa B2C number."""

    password_ends_on = serializers.DateField()

    class Meta:
        model = MpesaShortcode
        fields = [
            "id", "shortcode", "environment", "initiator_name", "is_active", "is_default", "pause",
            "pause_reason", "credential_proved_at", "password_ends_on",
        ]  # fmt: skip


class PartnerWhole(PartnerShown):
    mifos = serializers.SerializerMethodField()
    shortcodes = ShortcodeShown(many=True)

    class Meta(PartnerShown.Meta):
        fields = [*PartnerShown.Meta.fields, "contact", "min_amount", "max_amount", "updated_at",
                  "mifos", "shortcodes"]  # fmt: skip

    @extend_schema_field(ConnectionShown(allow_null=True))
    def get_mifos(self, partner: Partner) -> Any:
        connection = getattr(partner, "mifos", None)
        return ConnectionShown(connection).data if connection else None


class PartnerFilter(PageOf):
    is_active = serializers.BooleanField(required=False)


class PartnerList(Resource):
    rights = {"GET": SEE}

    @extend_schema(operation_id="listPartners", tags=["Partners"], parameters=[PartnerFilter],
                   responses=pages_of(PartnerShown), summary="List partners")  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = given(PartnerFilter, request.query_params)
        rows = keys.only(Partner.objects.all(), request.user, SEE)
        if "is_active" in asked and "is_active" in request.query_params:
            rows = rows.filter(is_active=asked["is_active"])
        return page(request, rows, PartnerShown, limit=asked["limit"], sort=BY_CODE)


class PartnerDetail(Resource):
    rights = {"GET": SEE, "PATCH": CHANGE}

    @extend_schema(operation_id="getPartner", tags=["Partners"], responses=PartnerWhole,
                   summary="One partner, with its settings")  # fmt: skip
    def get(self, request: Request, code: str) -> Response:
        rows = Partner.objects.select_related("mifos").prefetch_related("shortcodes")
        return Response(PartnerWhole(get_object_or_404(keys.only(rows, request.user, SEE),
                                                       code=code)).data)  # fmt: skip

    @extend_schema(
        operation_id="changePartner", tags=["Partners"], request=PartnerChange,
        responses={200: PartnerWhole, 202: ChangeShown},
        summary="Change a partner's name, contact or limits",
        description="Name and contact change at once. So do the limits, as long as the partner "
        "isn't in use; then they wait for a second person, who confirms them in the portal, and "
        "the answer is 202 with the change that waits.",
    )  # fmt: skip
    def patch(self, request: Request, code: str) -> Response:
        typed = given(PartnerChange, body(request))
        with transaction.atomic():
            rows = Partner.objects.select_for_update(no_key=True)
            partner = get_object_or_404(keys.only(rows, request.user, CHANGE), code=code)
            demand(request, at=reverse("partners:edit", args=[partner.code]))
            change = _submitted(request, partner, typed)
        if change:
            return Response(ChangeShown(change).data, 202)
        return self.get(request, code)


def _submitted(request: Request, partner: Partner, typed: dict[str, Any]) -> SettingsChange | None:
    """As the portal's form does it: saved, or kept for a second person."""
    reason, caller = typed.pop("reason", ""), request.user
    if not isinstance(caller, User):
        raise Problem("forbidden")
    draft = PartnerDraft.built(partner, Partner.objects.get(pk=partner.pk), _as_posted(typed))
    if draft.problem():
        raise serializers.ValidationError(draft.form.errors)
    try:
        outcome = changes.submit(draft, by=caller, reason=reason)
    except NotProposed as why:
        if why.field:
            raise serializers.ValidationError({why.field: [str(why)]}) from why
        raise Problem("refused", str(why)) from why
    return outcome if isinstance(outcome, SettingsChange) else None


def _as_posted(typed: dict[str, Any]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in typed.items()}


class SettingsChanges(Resource):
    rights = {"GET": SEE}

    @extend_schema(operation_id="listSettingsChanges", tags=["Partners"],
                   parameters=[ChangeFilter], responses=pages_of(ChangeShown),
                   summary="List changes of settings, newest first",
                   description="Those that wait are confirmed, refused or withdrawn in the "
                   "portal.")  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = given(ChangeFilter, request.query_params)
        rows = SettingsChange.objects.select_related("partner", "proposed_by", "decided_by")
        rows = keys.only(rows.defer("proposal"), request.user, SEE)
        if code := asked.get("partner"):
            rows = rows.filter(partner__code=code)
        if state := asked.get("state"):
            rows = rows.filter(state=state)
        return page(request, rows, ChangeShown, limit=asked["limit"])


class Balance(serializers.ModelSerializer[MpesaShortcode]):
    partner = serializers.CharField(source="partner.code")

    class Meta:
        model = MpesaShortcode
        fields = ["id", "partner", "shortcode", "environment", "utility_balance", "balance_at",
                  "is_active", "is_default", "pause", "pause_reason"]  # fmt: skip


class BalanceFilter(PageOf):
    partner = serializers.SlugField(required=False, max_length=20, help_text="A partner's code.")


class Balances(Resource):
    rights = {"GET": "partners.view_mpesashortcode"}

    @extend_schema(operation_id="listBalances", tags=["Partners"], parameters=[BalanceFilter],
                   responses=pages_of(Balance), summary="The float of shortcodes",
                   description="As M-Pesa told it last, at `balance_at`.")  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = given(BalanceFilter, request.query_params)
        rows: QuerySet[MpesaShortcode] = keys.only(
            MpesaShortcode.objects.select_related("partner"), request.user, self.rights["GET"]
        )
        if code := asked.get("partner"):
            rows = rows.filter(partner__code=code)
        return page(request, rows, Balance, limit=asked["limit"])


def partner_named(caller: Any, named: Any, right: str) -> Partner:
    """By code or id, at which somebody has a right. Raises Http404, or ValidationError."""
    if not isinstance(named, str) or not CODE_OR_ID.fullmatch(named):
        raise serializers.ValidationError({"partner": ["It is a partner's code or id."]})
    rows = keys.only(Partner.objects.all(), caller, right)
    try:
        found = Q(pk=UUID(named)) | Q(code=named)
    except ValueError:
        found = Q(code=named)
    return get_object_or_404(rows.filter(found))
