"""A shortcode's client, its pauses, and the proof that its credential works."""

from datetime import timedelta
from decimal import Decimal

import structlog
from django.db import transaction
from django.utils import timezone

from disbursements import cases
from disbursements.models import Attempt, FloatReading, Inquiry
from disbursements.mpesa import Initiator, MpesaClient, fetch_token
from disbursements.states import AttemptStatus
from partners.models import MpesaShortcode, Partner
from partners.tokens import TokenStore
from paymentvault import audit, networks

log = structlog.get_logger(__name__)

Pause = MpesaShortcode.Pause

# About three wrong tries lock an initiator at Safaricom. So while its credential is unproved,
# or was proved longer ago than this, one request goes first and the others wait for its result.
PROOF_LASTS = timedelta(minutes=15)
# A canary that M-Pesa never answers holds the others up no longer than this.
CANARY_WAIT = timedelta(minutes=10)
BALANCE_COUNTS = timedelta(minutes=15)
# Results that count against the initiator at Safaricom, or say that it is locked already.
WRONG_TRIES = ("18", "20", "2001", "8006")
UNSETTLED = [AttemptStatus.SENDING, AttemptStatus.SENT, AttemptStatus.UNKNOWN]


def default_of(partner: Partner) -> MpesaShortcode | None:
    return partner.shortcodes.filter(is_active=True, is_default=True).first()


def client_of(shortcode: MpesaShortcode) -> MpesaClient:
    transport = networks.transport()
    return MpesaClient(
        base_url=shortcode.base_url,
        initiator=Initiator(
            name=shortcode.initiator_name,
            password=shortcode.initiator_password,
            certificate=shortcode.certificate,
            security_credential=shortcode.security_credential,
        ),
        shortcode=shortcode.shortcode,
        tokens=TokenStore(
            shortcode.base_url,
            shortcode.consumer_key,
            shortcode.consumer_secret,
            fetch=lambda: fetch_token(
                transport,
                base_url=shortcode.base_url,
                consumer_key=shortcode.consumer_key,
                consumer_secret=shortcode.consumer_secret,
            ),
        ),
        transport=transport,
    )


def waits_for_canary(shortcode: MpesaShortcode) -> bool:
    """Whether another request must first prove that the credential is right."""
    now = timezone.now()
    proved_at = shortcode.credential_proved_at
    if proved_at and proved_at > now - PROOF_LASTS:
        return False
    return (
        waits_for_question(shortcode)
        or Attempt.objects.filter(
            sent_at__gt=now - CANARY_WAIT, shortcode=shortcode, status__in=UNSETTLED
        ).exists()
    )


def waits_for_question(shortcode: MpesaShortcode) -> bool:
    """Whether a question to M-Pesa, which uses the same credential, is to prove it first."""
    now = timezone.now()
    proved_at = shortcode.credential_proved_at
    if proved_at and proved_at > now - PROOF_LASTS:
        return False
    return Inquiry.objects.filter(
        sent_at__gt=now - CANARY_WAIT, shortcode=shortcode, answer_code__in=("", "0"), outcome=""
    ).exists()


def has_float_for(shortcode: MpesaShortcode, amount: Decimal) -> bool:
    """False only if a balance that was read lately is too small."""
    read_at = shortcode.balance_at
    if read_at is None or shortcode.utility_balance is None:
        return True
    is_recent = read_at > timezone.now() - BALANCE_COUNTS
    return not is_recent or amount <= shortcode.utility_balance


def refused_since_saved(shortcode: MpesaShortcode) -> Attempt | Inquiry | None:
    """The request by which M-Pesa refused the credential that is saved now, as a wrong try."""
    if shortcode.credential_proved_at:
        # A refusal makes the proof void, so none came after it.
        return None
    told = {
        "shortcode": shortcode,
        "sent_at__gte": shortcode.credential_set_at,
        "result_code__in": WRONG_TRIES,
    }
    asked = Inquiry.objects.filter(**told).order_by("-pk").first()
    return asked or Attempt.objects.filter(**told).order_by("-pk").first()


def proved(shortcode: MpesaShortcode) -> None:
    """M-Pesa answered in a way that only a right credential gets."""
    # Not while it is paused for its credential: a late result is about a request before that.
    MpesaShortcode.objects.filter(pk=shortcode.pk).exclude(pause=Pause.CONFIGURATION).update(
        credential_proved_at=timezone.now()
    )


def pause(
    shortcode: MpesaShortcode,
    kind: str,
    *,
    reason: str,
    by: str,
    too_small_for: Decimal | int | None = None,
    source_address: str | None = None,
) -> bool:
    """Stop sending from a shortcode; False if it is paused already (the first reason stays).

    Only a wrong credential and a person outdo want of float, which would end by itself.
    """
    rows = MpesaShortcode.objects.filter(pk=shortcode.pk)
    outdone = [Pause.NONE] if kind == Pause.FUNDS else [Pause.NONE, Pause.FUNDS]
    if kind == Pause.CONFIGURATION:
        rows.update(credential_proved_at=None)
    changed = rows.filter(pause__in=outdone).update(
        pause=kind,
        paused_at=timezone.now(),
        pause_reason=reason[:300],
        balance_when_paused=_less_than(too_small_for, shortcode.utility_balance),
    )
    if not changed:
        return False
    audit.record("shortcode paused", by=by, subject=shortcode, reason=reason,
                 partner_code=shortcode.partner.code, source_address=source_address)  # fmt: skip
    cases.open_case(
        "shortcode_paused",
        f"Shortcode {shortcode.shortcode} is paused: {reason} Nothing more is sent from it; "
        "approved disbursements wait. Put it right, then resume it.",
        shortcode=shortcode,
    )
    return True


def _less_than(amount: Decimal | int | None, known: Decimal | None) -> Decimal | None:
    """The float at a pause: what we knew, unless M-Pesa just showed that it is less."""
    return min(
        (b for b in (known, Decimal(amount) - 1 if amount else None) if b is not None),
        default=None,
    )


def resume(
    shortcode: MpesaShortcode, *, by: str, reason: str, source_address: str | None = None
) -> bool:
    """Let a paused shortcode send again; its credential must prove itself anew."""
    rows = MpesaShortcode.objects.filter(pk=shortcode.pk)
    # What ended for want of float was accepted by its credential till the end.
    rows.filter(pause__in=[Pause.CONFIGURATION, Pause.PERSON]).update(credential_proved_at=None)
    changed = rows.exclude(pause=Pause.NONE).update(
        pause=Pause.NONE, paused_at=None, pause_reason="", balance_when_paused=None
    )
    if changed:
        audit.record(
            "shortcode resumed", by=by, subject=shortcode, reason=reason,
            partner_code=shortcode.partner.code, source_address=source_address,
        )  # fmt: skip
        cases.close_cases("shortcode_paused", by=by, note=reason, shortcode=shortcode)
    return bool(changed)


def saw_balance(shortcode: MpesaShortcode, balance: Decimal, *, is_current: bool) -> None:
    """Keep the float that M-Pesa told; a rise ends a pause for want of it.

    What a payout's callback tells may be older than the pause, and so ends none.
    """
    now = timezone.now()
    with transaction.atomic():
        MpesaShortcode.objects.filter(pk=shortcode.pk).update(
            utility_balance=balance, balance_at=now
        )
        FloatReading.objects.create(shortcode=shortcode, at=now, amount=balance)
    shortcode.refresh_from_db()
    before = shortcode.balance_when_paused
    if not is_current:
        return
    if shortcode.pause == Pause.FUNDS and before is not None and balance > before:
        resume(shortcode, by="system", reason=f"The float rose to KES {balance:,.2f}.")
    elif shortcode.pause == Pause.FUNDS and before is None:
        # Paused before any balance was known: this one is what a rise is measured from.
        MpesaShortcode.objects.filter(pk=shortcode.pk).update(balance_when_paused=balance)
