"""Where Mifos X tells us of loans: check who speaks, keep what it says, answer. Nothing more.

Fineract's hooks carry no signature: the path's token (or a host name of the connection's own) is
the only proof of who speaks. They are sent once, so what can't be read is kept as well.
"""

import hmac
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from rest_framework.exceptions import ValidationError

from mifos import tasks
from mifos.bodies import LoanApproval, as_json, kept_text, masked_seed
from mifos.models import Event
from partners.models import MifosConnection
from partners.webhook_tokens import hashed
from paymentvault import audit, doorbell
from paymentvault.addresses import source_address
from paymentvault.api import limits

KEPT_HEADERS = (
    "X-Fineract-Entity", "X-Fineract-Action", "X-Fineract-Endpoint", "Fineract-Platform-TenantId",
    "X-Mifos-Entity", "X-Mifos-Action", "X-Mifos-Endpoint", "X-Mifos-Platform-TenantId",
    "User-Agent",
)  # fmt: skip


class TooLarge(Exception):
    pass


@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@limits.limited
def native_hook(request: HttpRequest, token: str) -> HttpResponse:
    """A hook of Mifos X at the connection's own path."""
    if request.method != "POST":
        return health(request)
    return _native(request, _connection_by(token, request), token)


@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@limits.limited
def hook_at_root(request: HttpRequest) -> HttpResponse:
    """A hook of Fineract 1.5 or 1.6, which drop the path, at the connection's own host name."""
    if request.method != "POST":
        return health(request)
    host = request.get_host().partition(":")[0].lower()
    connection = MifosConnection.objects.filter(hook_host=host).first()
    return _native(request, connection or _refuse(request, "a hook at an unknown host name"))


@csrf_exempt
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@limits.limited
def loan_approval(request: HttpRequest) -> HttpResponse:
    """The JSON form, whose token and partner stand in the body."""
    if request.method != "POST":
        return health(request)
    try:
        body = _body(request)
        given = as_json(body)
    except TooLarge:
        return _too_large()
    except ValueError as error:
        return _bad_request(str(error))
    form = LoanApproval(data=given)
    try:
        form.is_valid(raise_exception=True)
    except ValidationError as error:
        return _bad_request("Some fields are missing or wrong.", fields=error.detail)
    connection = _connection_by(str(given["webhookToken"]), request)
    if form.validated_data["partnerId"] != connection.partner_id:
        _refuse(request, "a partner's id with another's token")
    text = masked_seed(body, given)
    return _kept(request, connection, Event.Form.SEED, text)


@login_not_required
def health(request: HttpRequest) -> JsonResponse:
    """Fineract calls a hook's address with GET when it is registered; this says nothing else."""
    return JsonResponse({"status": "ok"})


def _native(request: HttpRequest, connection: MifosConnection, token: str = "") -> HttpResponse:
    try:
        # The hook of a changed hook tells its address, which holds our token.
        text = kept_text(_body(request), secrets=[token, connection.webhook_token])
    except TooLarge:
        return _too_large()
    return _kept(request, connection, Event.Form.NATIVE, text)


def _kept(
    request: HttpRequest, connection: MifosConnection, form: Event.Form, text: str
) -> JsonResponse:
    # What isn't kept is found all the same: Mifos X is asked every few minutes for its loans.
    limits.count(limits.EVENTS, connection.pk)
    event = Event.objects.create(
        connection=connection,
        form=form,
        body=text,
        headers={name: _text(request.headers[name])[:300] for name in KEPT_HEADERS
                 if name in request.headers},
        content_type=_text(request.content_type or "")[:100],
        source_address=source_address(request),
    )  # fmt: skip
    doorbell.ring(tasks.process_event, str(event.pk))
    return JsonResponse({"status": "accepted", "event": str(event.pk)}, status=202)


def _text(value: str) -> str:
    return value.replace("\x00", "\ufffd")


def _connection_by(token: str, request: HttpRequest) -> MifosConnection:
    """The connection whose current or previous token this is; 404 for any other."""
    key = hashed(token)
    for name in ("webhook_token_hash", "previous_token_hash"):
        connection = MifosConnection.objects.filter(**{name: key}).first()
        # Looked up by a hash and compared in constant time: timing tells nothing of the token.
        if connection is None or not hmac.compare_digest(getattr(connection, name), key):
            continue
        if name == "webhook_token_hash" or connection.accepts_previous_token():
            return connection
    _refuse(request, "a webhook with a wrong token")


def _refuse(request: HttpRequest, what: str) -> NoReturn:
    """Only strangers are counted here: they keep out nobody who knows the token."""
    address = source_address(request)
    limits.count(limits.STRANGERS, address)
    audit.refused(what, source_address=address)
    raise Http404


def _body(request: HttpRequest) -> bytes:
    body = request.read(settings.WEBHOOK_MAX_BYTES + 1)
    if len(body) > settings.WEBHOOK_MAX_BYTES:
        raise TooLarge
    return body


def _too_large() -> JsonResponse:
    words = f"The body is larger than {settings.WEBHOOK_MAX_BYTES} bytes. Nothing was kept."
    return _error(413, "too_large", words)


def _bad_request(words: str, *, fields: Any = None) -> JsonResponse:
    return _error(400, "invalid", f"{words} Nothing was kept.", fields)


def _error(status: int, code: str, words: str, fields: Any = None) -> JsonResponse:
    error = {"code": code, "message": words} | ({"fields": fields} if fields else {})
    return JsonResponse({"error": error}, status=status)
