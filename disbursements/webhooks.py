"""Where M-Pesa calls back: check who speaks, keep what it says, answer. Nothing is interpreted."""

from typing import NoReturn

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from disbursements import tasks
from disbursements.callback_bodies import masked, read
from disbursements.models import Attempt, Callback, Inquiry, MpesaRequest, hashed
from paymentvault import audit, doorbell
from paymentvault.addresses import is_within, source_address
from paymentvault.api import limits

ACCEPTED = {"ResultCode": 0, "ResultDesc": "Accepted"}
MAX_BYTES = 64 * 1024
KINDS_OF_INQUIRY = {
    Inquiry.Kind.STATUS: {Callback.Kind.STATUS, Callback.Kind.TIMEOUT},
    Inquiry.Kind.BALANCE: {Callback.Kind.BALANCE, Callback.Kind.TIMEOUT},
}


@csrf_exempt
@login_not_required
@require_POST
@limits.limited
def callback(request: HttpRequest, token: str, kind: str) -> JsonResponse:
    """One delivery for one request of ours. An unknown token is 404, garbage is kept."""
    address = source_address(request)
    networks = settings.MPESA_CALLBACK_NETWORKS
    if networks and not is_within(address, networks):
        limits.count(limits.STRANGERS, address)
        _refuse(address, "a callback from outside the allowed networks")
    about = _about(token, kind)
    if about is None:
        # They keep out nobody who knows a token.
        limits.count(limits.STRANGERS, address)
    else:
        # What is lost of these is asked for: M-Pesa knows what became of each request.
        limits.count(limits.CALLBACKS, hashed(token))
    body = _text(request.read(MAX_BYTES + 1)[:MAX_BYTES])
    if about is None:
        _keep_unmatched(body, kind, address)
        _refuse(address, "a callback with an unknown token")

    kept = Callback.objects.create(kind=kind, body=body, source_address=address, **about)
    doorbell.ring(tasks.process_callback, kept.pk)
    return JsonResponse(ACCEPTED)


def _about(token: str, kind: str) -> dict[str, MpesaRequest] | None:
    """The request that the token belongs to, if it expects this kind of callback."""
    key = hashed(token)
    if attempt := Attempt.objects.filter(callback_token_hash=key).first():
        is_expected = kind in (Callback.Kind.RESULT, Callback.Kind.TIMEOUT)
        return {"attempt": attempt} if is_expected else None
    inquiry = Inquiry.objects.filter(callback_token_hash=key).first()
    if inquiry and kind in KINDS_OF_INQUIRY[Inquiry.Kind(inquiry.kind)]:
        return {"inquiry": inquiry}
    return None


def _keep_unmatched(body: str, kind: str, address: str | None) -> None:
    """What names a request of ours is kept, though it proves nothing: it makes us ask M-Pesa."""
    outcome = read(body)
    named = outcome.originator_conversation_id if outcome else ""
    attempt = Attempt.objects.filter(originator_conversation_id=named).first() if named else None
    if attempt is None or attempt.callbacks.filter(state=Callback.State.UNMATCHED).count() >= 3:
        return
    Callback.objects.create(
        kind=kind, body=body, source_address=address, attempt=attempt,
        state=Callback.State.UNMATCHED, outcome="Its address has an unknown token.",
    )  # fmt: skip
    doorbell.ring(tasks.ask_mpesa, attempt.disbursement_id)


def _text(body: bytes) -> str:
    """Text that PostgreSQL can hold, with secrets masked."""
    return masked(body.decode("utf-8", errors="replace").replace("\x00", "\ufffd"))


def _refuse(address: str | None, what: str) -> NoReturn:
    audit.refused(what, source_address=address)
    raise Http404
