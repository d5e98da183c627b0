"""A disbursement without a loan system behind it: the rules of a loan's, and a checker always.

A person enters it by hand, or a program asks for it through the API.
"""

from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from disbursements import audited, intake
from disbursements.holds import HoldReason
from disbursements.models import Disbursement
from partners.models import ApiKey, Partner
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


def drafted(
    entry: Entry, *, by: User | None, origin: str = Disbursement.Origin.MANUAL
) -> Disbursement:
    """What would be kept; nothing is written."""
    return Disbursement(
        partner=entry.partner,
        origin=origin,
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
    disbursement = make(drafted(entry, by=by), by=str(by), note="Entered by hand")
    _record("disbursement entered", disbursement, by.get_username(), source_address)
    return disbursement


@transaction.atomic
def ask(entry: Entry, *, by: User | ApiKey) -> Disbursement:
    """Make what a program asks for; a key is nobody, so whoever made it counts as the maker."""
    maker = by if isinstance(by, User) else None
    draft = drafted(entry, by=maker, origin=Disbursement.Origin.API)
    disbursement = make(draft, by=str(by), note="Asked for through the API")
    _record("disbursement asked for", disbursement, str(by), None)
    return disbursement


def make(draft: Disbursement, *, by: str, note: str) -> Disbursement:
    """Keep a draft and decide where it waits; to be called in a transaction."""
    _one_at_a_time(draft.msisdn)
    draft.save(force_insert=True)
    holds = intake.reasons_around(draft, [])
    intake.decide(draft, holds, partner=draft.partner, by=by, note=f"{note}: {draft.purpose}")
    return draft


def _record(act: str, disbursement: Disbursement, by: str, source_address: str | None) -> None:
    audited.record(
        act, disbursement, by=by, source_address=source_address, purpose=disbursement.purpose,
        status=disbursement.status,
    )  # fmt: skip


def _one_at_a_time(msisdn: str) -> None:
    """Of two people who enter the same payment at the same time, the second one's is held."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('entry'), hashtext(%s))", [msisdn])
