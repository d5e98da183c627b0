"""Every limit on a sum, in one place. Empty means no limit; 0 means zero. Amounts are KES."""

from datetime import datetime, time
from decimal import Decimal

from django.conf import settings
from django.db import connection
from django.db.models import Q, Sum
from django.utils import timezone

from disbursements.holds import Hold, HoldReason
from disbursements.models import Attempt, Disbursement
from disbursements.states import AttemptStatus
from partners.models import LoanProduct, Partner


def reasons(amount: Decimal, *, partner: Partner) -> list[HoldReason]:
    """Why a sum can't be paid as it stands: the partner's limits, then M-Pesa's own."""
    limits = [
        (Hold.BELOW_PARTNER_MIN, partner.min_amount, -1, "the partner's smallest disbursement"),
        (Hold.ABOVE_PARTNER_MAX, partner.max_amount, 1, "the partner's largest disbursement"),
        (Hold.BELOW_MPESA_MIN, settings.MPESA_MIN_AMOUNT, -1, "M-Pesa's minimum"),
        (Hold.ABOVE_MPESA_MAX, settings.MPESA_MAX_AMOUNT, 1, "M-Pesa's maximum"),
    ]
    return [
        HoldReason(hold, _words(amount, limit, side, whose))
        for hold, limit, side, whose in limits
        if limit is not None and (amount - limit) * side > 0
    ]


def outside_of_product(amount: Decimal, product: LoanProduct) -> str:
    """Why a sum is not paid automatically for its loan product; "" if it may be."""
    bounds = [(product.min_amount, -1, "smallest"), (product.max_amount, 1, "largest")]
    for limit, side, which in bounds:
        if limit is not None and (amount - limit) * side > 0:
            return _words(amount, limit, side, f"{product.name}'s {which} automatic sum")
    return ""


def daily_reason(disbursement: Disbursement) -> HoldReason | None:
    """M-Pesa's daily limit for a recipient, over what we sent that number today.

    Call it in the transaction that claims the payout: it makes other claims for the same number
    wait, so that two can't both fit under the limit.
    """
    msisdn, amount = disbursement.msisdn, disbursement.amount
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('msisdn'), hashtext(%s))", [msisdn])
    ours = Q(disbursement__partner=disbursement.partner_id)
    today = (
        Attempt.objects.filter(msisdn=msisdn, sent_at__gte=_midnight())
        .exclude(status=AttemptStatus.FAILED)
        # One of its own wasn't sent last time, and the same goes again.
        .exclude(disbursement=disbursement)
        .aggregate(all=Sum("amount_kes", default=0), ours=Sum("amount_kes", filter=ours, default=0))
    )
    limit = settings.MPESA_DAILY_PER_RECIPIENT
    if today["all"] + amount <= limit:
        return None
    return HoldReason(Hold.ABOVE_DAILY_MAX, _daily_words(today["ours"], amount, limit))


def _daily_words(ours: int, amount: Decimal, limit: Decimal) -> str:
    if ours + amount > limit:
        return (
            f"With today's KES {ours:,} the recipient would get more than M-Pesa's "
            f"KES {limit:,} a day."
        )
    # What another partner paid is nobody's business here.
    return (
        f"The number's daily limit of KES {limit:,} would be passed, with what it got today here."
    )


def _words(amount: Decimal, limit: Decimal, side: int, whose: str) -> str:
    than = "above" if side > 0 else "below"
    return f"KES {amount:,.2f} is {than} {whose}, KES {limit:,.2f}."


def _midnight() -> datetime:
    zone = timezone.get_default_timezone()
    return datetime.combine(timezone.now().astimezone(zone).date(), time.min, zone)
