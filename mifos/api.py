"""Mifos X's deliveries, and the test of a connection, through the API."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from mifos import connections
from mifos.models import Event
from partners import keys
from partners.api import partner_named
from partners.forms import WHERE, MifosConnectionForm
from partners.models import MifosConnection, Partner
from paymentvault import audit
from paymentvault.api import limits
from paymentvault.api.errors import Problem
from paymentvault.api.paging import PageOf, page, pages_of
from paymentvault.api.resources import Resource, body, given
from paymentvault.logging import mask
from paymentvault.paging import Sort

SEE, SET_UP = "mifos.view_event", "partners.change_mifosconnection"
TAG = ["Events of Mifos X"]
NEWEST_FIRST = Sort(("-received_at", "-id"))


class EventShown(serializers.ModelSerializer[Event]):
    partner = serializers.CharField(source="connection.partner.code")
    form_words = serializers.CharField(source="get_form_display")
    disbursement = serializers.IntegerField(source="disbursement_id", allow_null=True)

    class Meta:
        model = Event
        fields = ["id", "partner", "form", "form_words", "received_at", "source_address", "state",
                  "outcome", "entity", "action", "loan_id", "disbursement",
                  "processed_at"]  # fmt: skip


class EventWhole(EventShown):
    body = serializers.SerializerMethodField(help_text="As it came, with secrets masked.")

    class Meta(EventShown.Meta):
        fields = [*EventShown.Meta.fields, "body"]

    def get_body(self, row: Event) -> str:
        return mask(row.body)


class EventFilter(PageOf):
    state = serializers.ChoiceField(choices=Event.State.choices, required=False)
    partner = serializers.SlugField(required=False, max_length=20, help_text="A partner's code.")
    loan_id = serializers.IntegerField(required=False, min_value=0, max_value=2**63 - 1)


class EventList(Resource):
    rights = {"GET": SEE}

    @extend_schema(operation_id="listEvents", tags=TAG, parameters=[EventFilter],
                   responses=pages_of(EventShown),
                   summary="List what Mifos X sent, newest first")  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = given(EventFilter, request.query_params)
        rows = keys.only(_events(), request.user, SEE)
        plain = {"state": "state", "partner": "connection__partner__code", "loan_id": "loan_id"}
        rows = rows.filter(**{plain[name]: asked[name] for name in plain if name in asked})
        return page(request, rows, EventShown, limit=asked["limit"], sort=NEWEST_FIRST)


class EventDetail(Resource):
    rights = {"GET": SEE}

    @extend_schema(operation_id="getEvent", tags=TAG, responses=EventWhole,
                   summary="One event, as it came")  # fmt: skip
    def get(self, request: Request, id: Any) -> Response:
        rows = keys.only(_events(), request.user, SEE)
        return Response(EventWhole(get_object_or_404(rows, pk=id)).data)


def _events() -> Any:
    return Event.objects.select_related("connection__partner")


class Tried(serializers.Serializer[Any]):
    """Whose connection to test, and values to try in place of the saved ones."""

    partner = serializers.CharField(max_length=36, help_text="Its code or id.")
    host_url = serializers.CharField(required=False, max_length=200)
    api_path = serializers.CharField(required=False, max_length=100)
    tenant_id = serializers.CharField(required=False, max_length=100)
    username = serializers.CharField(required=False, allow_blank=True, max_length=100)
    password = serializers.CharField(
        required=False, allow_blank=True, max_length=200, write_only=True, trim_whitespace=False
    )
    oauth_token_url = serializers.CharField(required=False, allow_blank=True, max_length=200)
    oauth_client_id = serializers.CharField(required=False, allow_blank=True, max_length=200)
    oauth_client_secret = serializers.CharField(
        required=False, allow_blank=True, max_length=500, write_only=True, trim_whitespace=False
    )
    ca_bundle = serializers.CharField(required=False, allow_blank=True, max_length=65_536)
    payment_type_id = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=2**31 - 1
    )
    time_zone = serializers.CharField(required=False, max_length=50)


class StepShown(serializers.Serializer[Any]):
    name = serializers.CharField()
    result = serializers.ChoiceField(choices=["ok", "warning", "failed", "skipped"])
    words = serializers.CharField()
    took_ms = serializers.IntegerField()


class TestResult(serializers.Serializer[Any]):
    passed = serializers.BooleanField()
    is_saved = serializers.BooleanField(
        help_text="Whether it was the saved connection; then the result is kept."
    )
    steps = StepShown(many=True)


class TestConnection(Resource):
    rights = {"POST": SET_UP}
    limit = limits.CONNECTION_TESTS

    @extend_schema(
        operation_id="testConnection", tags=["Partners"], request=Tried,
        responses={200: TestResult}, summary="Test a connection to Mifos X, now, step by step",
        description="Moves no money and switches nothing on. Without values to try, the saved "
        "connection is tested and the result kept. Saved secrets are never sent to another address "
        "than the saved one: to try another, give them.",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        asked = given(Tried, body(request))
        partner = partner_named(request.user, asked.pop("partner"), SET_UP)
        # Besides each caller's own count: a partner may have many keys.
        limits.spend(self.limit, f"partner-{partner.pk}")
        by = request.user.get_username()
        steps = _try(partner, asked, by) if asked else connections.test(_saved(partner), by=by)
        result = {"passed": connections.has_passed(steps), "is_saved": not asked, "steps": steps}
        return Response(TestResult(result).data)


def _saved(partner: Partner) -> MifosConnection:
    connection = MifosConnection.objects.select_related("partner").filter(partner=partner).first()
    if connection is None:
        raise Problem("not_configured", "The partner has no connection yet. Give values to try.")
    return connection


SECRETS = {"password": "username", "oauth_client_secret": "oauth_client_id"}


def _try(partner: Partner, asked: dict[str, Any], by: str) -> list[connections.Step]:
    """Test values that aren't saved; nothing is kept but a line in the audit."""
    draft = _drafted(partner, asked)
    steps = list(connections.ConnectionTest(draft).run())
    audit.record("connection tried", by=by, subject=f"Mifos X of {partner}",
                 partner_code=partner.code, host_url=draft.host_url,
                 passed=connections.has_passed(steps))  # fmt: skip
    return steps


class TriedForm(MifosConnectionForm):
    def _get_validation_exclusions(self) -> set[str]:
        """Nothing is kept, so what another partner has keeps nobody from trying; nor is it told.

        The tenant has been checked as a field; without it no constraint is.
        """
        return {*super()._get_validation_exclusions(), "tenant_id"}  # type: ignore[misc]


def _drafted(partner: Partner, asked: dict[str, Any]) -> MifosConnection:
    found = MifosConnection.objects.filter(partner=partner).first()
    saved = found or MifosConnection(partner=partner)
    _secrets_stay_home(saved, asked)
    # A secret that isn't given is filled in by the form: the saved one, for the saved server.
    fields = {*MifosConnectionForm.Meta.fields} - SECRETS.keys()
    form = TriedForm({name: getattr(saved, name) for name in fields} | asked, instance=saved)
    if not form.is_valid():
        raise ValidationError(
            {name: [str(word) for word in words] for name, words in form.errors.items()}
        )
    draft: MifosConnection = form.save(commit=False)
    draft.partner = partner
    return draft


def _secrets_stay_home(saved: MifosConnection, asked: dict[str, Any]) -> None:
    """Raises ValidationError if a saved secret would be sent to where it wasn't saved for."""
    if all(asked.get(name, getattr(saved, name)) == getattr(saved, name) for name in WHERE):
        return
    missing = {
        secret: ["Give it: the saved one is sent to the saved address only."]
        for secret in SECRETS
        if getattr(saved, secret) and not asked.get(secret)
    }
    if missing:
        raise ValidationError(missing)
