"""The steps of money in the audit's chain, whoever or whatever takes them.

Every move has its line in the disbursement's own history; those that send money, or say what
became of it, are told to the audit as well.
"""

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from disbursements.models import Disbursement
from disbursements.states import Status
from paymentvault import audit
from paymentvault.models import AuditEvent, AuditKey

TOLD = {
    Status.HELD: "disbursement held",
    Status.AWAITING_APPROVAL: "disbursement awaits approval",
    # It is written before the call: what becomes of it is a line of its own.
    Status.SENDING: "M-Pesa is about to be asked to pay",
    Status.PAID: "disbursement paid",
    Status.FAILED: "disbursement failed",
    Status.IN_DOUBT: "disbursement in doubt",
    Status.RECORDED: "disbursement recorded",
    Status.CANCELLED: "disbursement cancelled",
}
AT_ONCE = 2_000
CAME_BACK = "M-Pesa was not asked after all"


def tell(
    sender: Any,
    disbursement: Disbursement,
    was: Status,
    to: Status,
    by: str,
    note: str,
    **given: Any,
) -> None:
    """In the transaction of the move."""
    if to == Status.CANCELLED and disbursement.is_stopped_by_person:
        # Whoever cancelled it is told by `approval`, with where from.
        return
    act = CAME_BACK if (was, to) == (Status.SENDING, Status.APPROVED) else TOLD.get(to)
    if act:
        record(act, disbursement, by=by, note=note, receipt=disbursement.mpesa_receipt,
               **({"holds": disbursement.holds} if to == Status.HELD else {}))  # fmt: skip


def record(
    act: str,
    disbursement: Disbursement,
    *,
    by: str,
    source_address: str | None = None,
    **detail: Any,
) -> None:
    """A line about money, with how much, to whom and from where."""
    audit.record(
        act, by=by, subject=disbursement, partner_code=disbursement.partner.code,
        source_address=source_address, **facts(disbursement), **detail,
    )  # fmt: skip


def facts(disbursement: Disbursement) -> dict[str, str]:
    """What is the same in every line about money."""
    told = {
        "amount": str(disbursement.amount),
        "currency": "KES",
        "recipient": f"…{disbursement.msisdn[-4:]}" if disbursement.msisdn else "",
        "recipient_mark": mark(disbursement.reference, disbursement.msisdn),
    }
    attempt = disbursement.attempts.select_related("shortcode").order_by("-pk").first()
    if attempt is not None:
        told["shortcode"] = str(attempt.shortcode)
        told["originator_conversation_id"] = attempt.originator_conversation_id
    return told


def mark(reference: str, msisdn: str) -> str:
    """What shows a changed number later, and tells the number to nobody.

    Kenya has few enough numbers to try them all, so that a hash without a key would tell it.
    """
    if not msisdn:
        return ""
    row, _ = AuditKey.objects.get_or_create(pk=1)
    return _marked(row.key, reference, msisdn)


def other_numbers() -> Iterator[str]:
    """Each line of the audit whose recipient isn't the one that the disbursement has now."""
    row, _ = AuditKey.objects.get_or_create(pk=1)
    lines = AuditEvent.objects.filter(about_type=Disbursement._meta.label_lower).order_by("pk")
    told = lines.exclude(detail__recipient_mark=None).values_list("pk", "about_id", "detail")
    for batch in _batches(told.iterator(chunk_size=AT_ONCE)):
        pks = {int(about_id) for _, about_id, _ in batch}
        numbers = dict(Disbursement.objects.filter(pk__in=pks).values_list("pk", "msisdn"))
        for line, about_id, detail in batch:
            reference, now = f"DSB-{about_id}", numbers.get(int(about_id), "")
            if detail["recipient_mark"] != (now and _marked(row.key, reference, now)):
                yield (
                    f"Line {line} tells of another recipient of {reference}, "
                    f"{detail['recipient'] or 'none'}, than it has now, …{now[-4:]}."
                )


def _marked(key: str, reference: str, msisdn: str) -> str:
    told = f"{reference}:{msisdn}".encode()
    return hmac.new(bytes.fromhex(key), told, hashlib.sha256).hexdigest()


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(rows)
    while batch := list(islice(left, AT_ONCE)):
        yield batch
