"""A disbursement that a person enters by hand: the rules of a loan's, and a checker always."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from disbursements import intake
from disbursements.holds import HoldReason
from disbursements.models import Disbursement
from partners.models import Partner
from paymentvault import audit
from paymentvault.models import User


@dataclass(frozen=True)
class Entry:
    """What somebody entered, normalised. `amount` is KES, `loan` whatever they call the loan."""

    partner: Partner
    name: str
    msisdn: str
    amount: Decimal
    purpose: str
    loan: str = ""


def drafted(entry: Entry, *, by: User) -> Disbursement:
    """What would be kept; nothing is written."""
    return Disbursement(
        partner=entry.partner,
        origin=Disbursement.Origin.MANUAL,
        loan_account=entry.loan,
        client_name=entry.name,
        msisdn=entry.msisdn,
        gross_amount=entry.amount,
        amount=entry.amount,
        facts_read_at=timezone.now(),
        purpose=entry.purpose[:300],
        requested_by=by,
    )


def outlook(entry: Entry, *, by: User) -> list[HoldReason]:
    """What it would be held for if it were entered now."""
    return intake.reasons_around(drafted(entry, by=by), [])


@transaction.atomic
def enter(entry: Entry, *, by: User, source_address: str | None = None) -> Disbursement:
    """Make it: held, or awaiting the approval of somebody else. It is never approved by itself."""
    _one_at_a_time(entry.msisdn)
    disbursement = drafted(entry, by=by)
    disbursement.save(force_insert=True)
    intake.decide(
        disbursement, intake.reasons_around(disbursement, []), partner=entry.partner, by=str(by),
        note=f"Entered by hand: {entry.purpose}",
    )  # fmt: skip
    audit.record(
        "disbursement entered", by=by.get_username(), subject=disbursement.reference,
        partner_code=entry.partner.code, source_address=source_address,
        amount=str(entry.amount), purpose=entry.purpose, status=disbursement.status,
    )  # fmt: skip
    return disbursement


def _one_at_a_time(msisdn: str) -> None:
    """Of two people who enter the same payment at the same time, the second one's is held."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('entry'), hashtext(%s))", [msisdn])
