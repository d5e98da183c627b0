"""A disbursement that a program asks for: once, by the rules of one entered by hand.

It is never approved by itself. Whatever asks twice under one idempotency key gets the first answer.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from disbursements import entry
from disbursements.models import ApiRequest, Disbursement
from partners.models import ApiKey, Partner
from paymentvault.models import User

Json = dict[str, Any]


class KeyReused(Exception):
    """The idempotency key was used before, for something else."""


@dataclass(frozen=True)
class Asked:
    """What a program asked for. `amount` is whole KES, `loan` whatever it calls the loan."""

    name: str
    msisdn: str
    amount: Decimal
    purpose: str
    loan: str = ""
    reference: str = ""


def earlier(partner: Partner, idempotency_key: str, body: Json) -> Json | None:
    """The first answer to this request, if it was made before. Raises KeyReused."""
    first = ApiRequest.objects.filter(partner=partner, idempotency_key=idempotency_key).first()
    if first is None:
        return None
    if first.body_sha256 != _hashed(body):
        raise KeyReused
    return dict(first.answer)


@transaction.atomic
def ask(
    asked: Asked,
    *,
    partner: Partner,
    idempotency_key: str,
    body: Json,
    by: User | ApiKey,
    answer: Callable[[Disbursement], Json],
) -> tuple[Json, bool]:
    """Make the disbursement and keep the answer with it; or find the answer that there is.

    Returns the answer, and whether it is the first one's. Raises KeyReused.
    """
    # Of two that come at once the second waits here for the first one's commit.
    _one_at_a_time(f"{partner.pk} {idempotency_key}")
    if (first := earlier(partner, idempotency_key, body)) is not None:
        return first, True
    given = (asked.name, asked.msisdn, asked.amount, asked.purpose, asked.loan)
    disbursement = entry.ask(entry.Entry(partner, *given), by=by)
    told = answer(disbursement) | {"own_reference": asked.reference, "requested_by": str(by)}
    ApiRequest.objects.create(
        partner=partner,
        idempotency_key=idempotency_key,
        body_sha256=_hashed(body),
        own_reference=asked.reference,
        api_key=by if isinstance(by, ApiKey) else None,
        user=by if isinstance(by, User) else None,
        disbursement=disbursement,
        answer=told,
    )
    return told, False


def _hashed(body: Json) -> str:
    """Neither the order of what was given nor its spacing makes it another request."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _one_at_a_time(key: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('idempotency'), hashtext(%s))", [key])
