"""Cases: what only a person can settle, each told once."""

from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Value
from django.db.models.functions import Concat
from django.utils import timezone

from disbursements import history
from disbursements.models import Case, Disbursement
from paymentvault import audit

log = structlog.get_logger(__name__)

# While one of these is open nobody knows for sure where the money is: nothing more may go out.
MONEY_IN_QUESTION = ("contradiction", "callback_disagrees", "status_disagrees")


@dataclass(frozen=True)
class Kind:
    """What a kind of case is called, and what follows when a person closes one."""

    label: str
    closing: str


_AGAIN = "It is opened again at the next look, within seconds, for as long as that is so."
KINDS: dict[str, Kind] = {
    "contradiction": Kind(
        "M-Pesa contradicts itself",
        "Closing it says that you know where the money is. It can then be released, retried and "
        "paid again: if the money did move, the borrower is paid twice, and M-Pesa won't give it "
        "back. Close it only after you have looked the receipt up in the M-Pesa statement.",
    ),
    "callback_disagrees": Kind(
        "A callback that can't be right",
        "Closing it says that you know where the money is. It can then be released, retried and "
        "paid again: if the money did move, the borrower is paid twice. Close it only after you "
        "have looked it up in the M-Pesa statement.",
    ),
    "status_disagrees": Kind(
        "An answer of M-Pesa's that can't be right",
        "Closing it says that you know where the money is. It can then be released, retried and "
        "paid again: if the money did move, the borrower is paid twice. Close it only after you "
        "have looked it up in the M-Pesa statement.",
    ),
    "still_in_doubt": Kind(
        "In doubt for days",
        "Closing it settles nothing: the disbursement stays in doubt, M-Pesa is asked once a day, "
        "and with the next question the case is opened again. Two people settle it on its own "
        "page, and that closes the case.",
    ),
    "callback_not_understood": Kind(
        "A callback that can't be processed",
        "Closing it changes nothing on the disbursement. If money moved, it stays unknown here "
        "until M-Pesa is asked or two people settle it.",
    ),
    "overdue": Kind(
        "Waits too long",
        f"Closing it moves no money and nothing else. {_AGAIN} Act on the disbursement instead.",
    ),
    "not_recorded": Kind(
        "Paid, but not in Mifos X",
        "Closing it pays nothing. The loan is recorded in Mifos X again; where Mifos X had parked "
        "the disbursement for a checker, the command is sent to it anew. It is opened again if "
        "Mifos X refuses once more.",
    ),
    "approved_again_after_payment": Kind(
        "Approved again after payment",
        "Closing it pays nothing: the loan was paid once and won't be paid again. The loan in "
        "Mifos X stays as it is there. It is opened again should Mifos X tell of it once more.",
    ),
    "ended_after_sending": Kind(
        "Ended in Mifos X after sending",
        "Closing it pays nothing and takes nothing back. Close it once it is settled with the "
        "borrower and in Mifos X.",
    ),
    "disbursal_undone": Kind(
        "Disbursal undone in Mifos X",
        "Closing it pays nothing: the money has moved once. Close it once the loan in Mifos X "
        "shows the disbursement again, or it is settled otherwise.",
    ),
    "shortcode_paused": Kind(
        "Shortcode paused",
        "Closing it does not resume the shortcode: approved disbursements go on waiting, and no "
        "money moves, until somebody resumes it on its own page. That closes the case as well.",
    ),
    "poll_late": Kind(
        "Mifos X can't be polled",
        f"Closing it changes nothing at the connection. {_AGAIN} It closes by itself once Mifos X "
        "answers.",
    ),
    "events_waiting": Kind(
        "Hooks wait",
        f"Closing it processes nothing. {_AGAIN} It closes by itself once they are processed.",
    ),
}


def kind_of(case: Case) -> Kind:
    """A kind that isn't in the table yet speaks by its name."""
    plain = case.kind.replace("_", " ").capitalize()
    return KINDS.get(case.kind, Kind(plain, "Closing it changes nothing else."))


class ClosedAlready(Exception):
    """Somebody else, or the system, closed the case first."""


def open_case(kind: str, words: str, **about: Any) -> Case:
    """Put something in front of a person; what it has said already is not said again."""
    with transaction.atomic():
        case, is_new = Case.objects.get_or_create(
            kind=kind, closed_at=None, defaults={"words": words}, **_subject(about)
        )
        if words not in case.words:
            told = Concat(F("words"), Value("\n" + words))
            Case.objects.filter(pk=case.pk).update(words=told)
    if is_new:
        ids = {f"{name}_id": row.pk for name, row in about.items()}
        log.warning("case_opened", case_id=case.pk, kind=kind, **ids)
    return case


def close_cases(kind: str, *, by: str, note: str, **about: Any) -> int:
    return Case.objects.filter(kind=kind, closed_at=None, **about).update(
        closed_at=timezone.now(), closed_by=by, closing_note=note
    )


@transaction.atomic
def close(case: Case, *, by: str, note: str, source_address: str | None = None) -> None:
    """A person has settled it. Raises ClosedAlready."""
    closed = Case.objects.filter(pk=case.pk, closed_at=None).update(
        closed_at=timezone.now(), closed_by=by, closing_note=note
    )
    if not closed:
        raise ClosedAlready("It was closed already.")
    about = case.disbursement or case.shortcode or case.connection
    if case.disbursement:
        words = f"Case closed: {kind_of(case).label}. {note}"
        history.note(case.disbursement, words, by=by)
    audit.record(
        f"case closed: {case.kind}", by=by, subject=about or "", note=note,
        partner_code=about.partner.code if about else "", source_address=source_address,
    )  # fmt: skip


def has_open_case(disbursement: Disbursement, *kinds: str) -> bool:
    return disbursement.cases.filter(closed_at=None, kind__in=kinds).exists()


def is_open(*kinds: str) -> Exists:
    """For a query of disbursements: whether one has an open case of such a kind."""
    return Exists(Case.objects.filter(disbursement=OuterRef("pk"), closed_at=None, kind__in=kinds))


def _subject(about: dict[str, Any]) -> dict[str, Any]:
    return {"disbursement": None, "shortcode": None, "connection": None} | about
