"""Disbursements and M-Pesa's callbacks through the API."""

import json
import re
from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from disbursements import approval, by_api
from disbursements.api_forms import (
    CallbackFilter,
    CallbackShown,
    CallbackWhole,
    Decision,
    DisbursementAsked,
    DisbursementFilter,
    DisbursementShown,
    DisbursementWhole,
    LookupFilter,
    Note,
)
from disbursements.models import Callback, Disbursement
from disbursements.states import TransitionRefused
from partners import keys
from partners.api import partner_named
from partners.models import ApiKey, Partner
from paymentvault.api.errors import Problem
from paymentvault.api.paging import page, pages_of
from paymentvault.api.resources import Resource, body, given, why_not
from paymentvault.api.signing_in import demand_above
from paymentvault.models import User

SEE, MAKE, DECIDE = (
    "disbursements.view_disbursement", "disbursements.add_disbursement",
    "disbursements.approve_disbursement",
)  # fmt: skip
# Printable ASCII, as the header's own draft has it.
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
TAG = ["Disbursements"]


def seen(request: Request) -> QuerySet[Disbursement]:
    rows = Disbursement.objects.select_related(
        "partner", "requested_by", "approved_by", "api_request__api_key"
    )
    return keys.only(rows, request.user, SEE)


class DisbursementList(Resource):
    rights = {"GET": SEE, "POST": MAKE}

    @extend_schema(operation_id="listDisbursements", tags=TAG, parameters=[DisbursementFilter],
                   responses=pages_of(DisbursementShown),
                   summary="List disbursements, newest first")  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = given(DisbursementFilter, request.query_params)
        return page(
            request, filtered(seen(request), asked), DisbursementShown, limit=asked["limit"]
        )

    @extend_schema(
        operation_id="createDisbursement", tags=TAG, request=DisbursementAsked,
        responses={201: DisbursementShown}, summary="Ask for a disbursement",
        parameters=[
            OpenApiParameter(
                "Idempotency-Key", str, OpenApiParameter.HEADER, required=True,
                description="Names this request, for good: the same key and body get the first "
                "answer again, with the header Idempotency-Replayed; the same key with another "
                "body is a 409. It is the partner's, whichever API key or person sends it.",
            )
        ],
        description="It waits for a person's approval, or is held if a rule speaks against it. "
        "The answer is how it stood when it was made.",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        if not IDEMPOTENCY_KEY.fullmatch(key):
            words = "Give a header Idempotency-Key: 1 to 255 printable characters."
            raise Problem("idempotency_key_required", words)
        data = body(request)
        partner = _partner(request, data)
        try:
            answer, is_replayed = _once(request, partner, key, data)
        except by_api.KeyReused as error:
            raise Problem("idempotency_key_reused") from error
        return Response(
            answer, 201, headers={"Idempotency-Replayed": "true"} if is_replayed else None
        )


def _once(
    request: Request, partner: Partner, key: str, data: dict[str, Any]
) -> tuple[dict[str, Any], bool]:
    # Before it is judged: what was taken once is answered again, whatever the rules are now.
    if (first := by_api.earlier(partner, key, data)) is not None:
        return first, True
    asked = given(DisbursementAsked, data)
    asked.pop("partner", None)
    by = request.user if isinstance(request.user, User) else request.auth
    if not isinstance(by, User | ApiKey):
        raise Problem("forbidden")
    return by_api.ask(
        by_api.Asked(**asked), partner=partner, idempotency_key=key, body=data, by=by,
        answer=_plain,
    )  # fmt: skip


def _plain(disbursement: Disbursement) -> dict[str, Any]:
    """The answer as it goes out, to be kept as well."""
    shown = JSONRenderer().render(DisbursementShown(disbursement).data)
    told: dict[str, Any] = json.loads(shown)
    return told


def _partner(request: Request, data: dict[str, Any]) -> Partner:
    """Whose float is to pay: the one that is named, or the API key's own."""
    named = data.get("partner")
    if named is None and isinstance(request.auth, ApiKey):
        return request.auth.partner
    if named is None:
        raise ValidationError({"partner": ["Give the partner's code."]})
    return partner_named(request.user, named, MAKE)


def filtered(rows: QuerySet[Disbursement], asked: dict[str, Any]) -> QuerySet[Disbursement]:
    """Every filter is one that an index serves, alone or within what the others leave."""
    plain = {"status": "status__in", "origin": "origin", "partner": "partner__code",
             "msisdn": "msisdn", "loan_id": "loan_id", "created_from": "created_at__gte",
             "created_to": "created_at__lt"}  # fmt: skip
    return rows.filter(**{plain[name]: asked[name] for name in plain if asked.get(name)})


class DisbursementDetail(Resource):
    rights = {"GET": SEE}

    @extend_schema(operation_id="getDisbursement", tags=TAG, responses=DisbursementWhole,
                   summary="One disbursement, with its history and attempts")  # fmt: skip
    def get(self, request: Request, id: int) -> Response:
        rows = seen(request).prefetch_related("transitions", "attempts__shortcode")
        return Response(DisbursementWhole(get_object_or_404(rows, pk=id)).data)


class Lookup(Resource):
    rights = {"GET": SEE}

    @extend_schema(operation_id="lookUpDisbursements", tags=TAG, parameters=[LookupFilter],
                   responses=DisbursementShown(many=True), filters=False,
                   summary="What became of a loan, a receipt or a reference",
                   description="The newest twenty; none if there is none.")  # fmt: skip
    def get(self, request: Request) -> Response:
        [(name, value)] = given(LookupFilter, request.query_params).items()
        rows = seen(request).filter(LOOKUPS[name](value)).order_by("-pk")[:20]
        return Response(DisbursementShown(rows, many=True).data)


LOOKUPS: dict[str, Callable[[Any], Q]] = {
    "loan_id": lambda value: Q(loan_id=value),
    "loan_account": lambda value: Q(loan_account=value),
    "receipt": lambda value: Q(mpesa_receipt=value.upper()),
    "reference": lambda value: Q(pk=int(value.removeprefix("DSB-"))),
    "own_reference": lambda value: Q(api_request__own_reference=value),
}


CONFIRMED = (
    "Above a sum that whoever runs Payment Vault sets, only by one who confirmed just now who they "
    "are: with a session, or with tokens given after that."
)


class Act(Resource):
    """What a person decides about one. A key never does, whatever its scopes."""

    rights = {"POST": DECIDE}
    # The portal's page of the same act, for one that lets money go.
    lets_money_go = ""

    def decided(self, request: Request, pk: int, act: Callable[[Disbursement, User], None]) -> Any:
        disbursement = get_object_or_404(seen(request), pk=pk)
        if not request.user.has_perm(DECIDE, disbursement):
            raise Problem("forbidden", why_not(request, DECIDE))
        if not isinstance(request.user, User):
            raise Problem("forbidden", "No API key may do this: a person must.")
        if self.lets_money_go:
            demand_above(request, disbursement.amount, at=reverse(self.lets_money_go, args=[pk]))
        try:
            act(disbursement, request.user)
        except approval.IsMaker as error:
            raise Problem("maker_is_checker", str(error)) from error
        except approval.NotAllowed as error:
            raise Problem("refused", str(error)) from error
        except TransitionRefused as error:
            raise Problem("wrong_state", str(error)) from error
        return Response(DisbursementWhole(seen(request).get(pk=pk)).data)


class Approve(Act):
    lets_money_go = "disbursements:approve"

    @extend_schema(
        operation_id="approveDisbursement",
        tags=TAG,
        request=Note,
        responses=DisbursementWhole,
        summary="Approve, and pay",
        description=f"By a person, and not the one who asked for it. {CONFIRMED}",
    )
    # fmt: skip
    def post(self, request: Request, id: int) -> Any:
        note = given(Note, body(request)).get("reason", "")
        return self.decided(request, id, lambda one, by: approval.approve(one, by=by, note=note))


class Reject(Act):
    @extend_schema(operation_id="rejectDisbursement", tags=TAG, request=Decision,
                   responses=DisbursementWhole, summary="Reject, for good")  # fmt: skip
    def post(self, request: Request, id: int) -> Any:
        why = given(Decision, body(request))["reason"]
        return self.decided(request, id, lambda one, by: approval.reject(one, by=by, reason=why))


class Retry(Act):
    lets_money_go = "disbursements:retry"

    @extend_schema(
        operation_id="retryDisbursement",
        tags=TAG,
        request=Decision,
        responses=DisbursementWhole,
        summary="Try a failed one again",
        description=f"By a person, and not the one who asked for it. {CONFIRMED}",
    )
    # fmt: skip
    def post(self, request: Request, id: int) -> Any:
        why = given(Decision, body(request))["reason"]
        return self.decided(request, id, lambda one, by: approval.retry(one, by=by, reason=why))


CALLBACKS = Callback.objects.select_related(
    "attempt__disbursement__partner", "inquiry__shortcode__partner"
)
SEE_CALLBACKS = "disbursements.view_callback"


class CallbackList(Resource):
    rights = {"GET": SEE_CALLBACKS}

    @extend_schema(operation_id="listCallbacks", tags=["Callbacks of M-Pesa"],
                   parameters=[CallbackFilter], responses=pages_of(CallbackShown),
                   summary="List what M-Pesa sent, newest first")  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = given(CallbackFilter, request.query_params)
        rows = keys.only(CALLBACKS.all(), request.user, SEE_CALLBACKS)
        plain = {"state": "state", "kind": "kind", "disbursement": "attempt__disbursement"}
        rows = rows.filter(**{plain[name]: asked[name] for name in plain if name in asked})
        return page(request, rows, CallbackShown, limit=asked["limit"])


class CallbackDetail(Resource):
    rights = {"GET": SEE_CALLBACKS}

    @extend_schema(operation_id="getCallback", tags=["Callbacks of M-Pesa"],
                   responses=CallbackWhole, summary="One callback, as it came")  # fmt: skip
    def get(self, request: Request, id: int) -> Response:
        rows = keys.only(CALLBACKS.all(), request.user, SEE_CALLBACKS)
        return Response(CallbackWhole(get_object_or_404(rows, pk=id)).data)
