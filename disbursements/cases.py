"""Cases: what only a person can settle, each told once."""

from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Concat
from django.utils import timezone

from disbursements import history, makers
from disbursements.holds import Hold
from disbursements.models import Attempt, Case, Disbursement, Settlement
from disbursements.states import MONEY_MOVED, AttemptStatus
from paymentvault import audit
from paymentvault.models import User

log = structlog.get_logger(__name__)

# One of these says that nobody knows for sure where the money is. Closing it doesn't make M-Pesa's
# word certain: nothing more ever goes out for the disbursement, unless two people have settled it.
MONEY_IN_QUESTION = ("contradiction", "callback_disagrees", "status_disagrees")
# It is about a request that had its final outcome, and so not what two people settle after it.
NEVER_ANSWERED = "contradiction"
CLOSES_MONEY = "disbursements.settle_disbursement"
NOT_FROM_HERE = (
    "It is never paid again from here. Cancel it; if the borrower truly has no money, enter a new "
    "disbursement, which another person approves."
)
NEVER_AGAIN = f"M-Pesa contradicted itself on it, so money may have moved. {NOT_FROM_HERE}"


@dataclass(frozen=True)
class Kind:
    """What a kind of case is called, and what follows when a person closes one."""

    label: str
    closing: str


_NOT_PAID_AGAIN = (
    "Closing it takes it off the list, and says that you know where the money is. It doesn't let "
    "the disbursement be paid again: what M-Pesa contradicted itself about is never paid again "
    "from here. If the borrower truly has no money, cancel it and enter a new one, which another "
    "person approves."
)
_LOOK_UP = "Close it only after you have looked it up in the M-Pesa statement."
_OR_SETTLE = "While it is in doubt, two people can settle it on its own page instead."
_AGAIN = "It is opened again at the next look, within seconds, for as long as that is so."
KINDS: dict[str, Kind] = {
    "contradiction": Kind(
        "M-Pesa contradicts itself",
        f"{_NOT_PAID_AGAIN} Close it only after you have looked every receipt up in the M-Pesa "
        "statement.",
    ),
    "callback_disagrees": Kind(
        "A callback that can't be right", f"{_NOT_PAID_AGAIN} {_OR_SETTLE} {_LOOK_UP}"
    ),
    "status_disagrees": Kind(
        "An answer of M-Pesa's that can't be right", f"{_NOT_PAID_AGAIN} {_OR_SETTLE} {_LOOK_UP}"
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


class MayNotClose(Exception):
    """Why this person can't close it, in words for them."""


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


def why_not_close(case: Case, by: User) -> str:
    """Why this person can't close it, change_case apart; "" if they can."""
    if case.kind not in MONEY_IN_QUESTION:
        return ""
    about = case.disbursement or case.shortcode or case.connection
    # One about no partner is the platform's.
    if not by.has_perm(CLOSES_MONEY, about.partner if about else case):
        return "Only who may settle disbursements closes a case about where money is."
    if case.disbursement and (words := makers.why_not(case.disbursement, by)):
        how = "you entered the disbursement" if words == makers.ENTERED else "your API key asked"
        return f"Someone else must close it: {how}."
    return ""


@transaction.atomic
def close(case: Case, *, by: User, note: str, source_address: str | None = None) -> None:
    """A person has looked into it. Raises MayNotClose and ClosedAlready."""
    if words := why_not_close(case, by):
        raise MayNotClose(words)
    closed = Case.objects.filter(pk=case.pk, closed_at=None).update(
        closed_at=timezone.now(), closed_by=by.get_username(), closing_note=note
    )
    if not closed:
        raise ClosedAlready("It was closed already.")
    about = case.disbursement or case.shortcode or case.connection
    if case.disbursement:
        words = f"Case closed: {kind_of(case).label}. {note}"
        history.note(case.disbursement, words, by=by.get_username())
    audit.record(
        f"case closed: {case.kind}", by=by.get_username(), subject=about or "", note=note,
        partner_code=about.partner.code if about else "", source_address=source_address,
    )  # fmt: skip


def is_in_question() -> Exists:
    """For a query of disbursements: whether M-Pesa contradicted itself on one, unanswered.

    A case of that, open or closed, counts until two people have settled the disbursement after it.
    """
    settled_since = Settlement.objects.filter(
        disbursement=OuterRef("disbursement"),
        state=Settlement.State.CONFIRMED,
        decided_at__gte=OuterRef("opened_at"),
    )
    unanswered = Q(closed_at=None) | Q(kind=NEVER_ANSWERED) | ~Exists(settled_since)
    its = Case.objects.filter(disbursement=OuterRef("pk"), kind__in=MONEY_IN_QUESTION)
    return Exists(its.filter(unanswered))


def money_may_have_moved(disbursement: Disbursement) -> bool:
    """Whether it must never be paid again from here, since M-Pesa contradicted itself on it."""
    return Disbursement.objects.filter(is_in_question(), pk=disbursement.pk).exists()


def must_be_looked_up() -> Q:
    """For a query of unpaid disbursements: where nobody may say that no money moved."""
    is_paid = Attempt.objects.filter(disbursement=OuterRef("pk"), status=AttemptStatus.PAID)
    may_be_paid = Q(holds__contains=[Hold.MAY_BE_PAID])
    doubted = Q(is_in_question()) | may_be_paid | Q(Exists(is_paid))
    return ~Q(status__in=MONEY_MOVED) & doubted


def has_open_case(disbursement: Disbursement, *kinds: str) -> bool:
    return disbursement.cases.filter(closed_at=None, kind__in=kinds).exists()


def is_open(*kinds: str) -> Exists:
    """For a query of disbursements: whether one has an open case of such a kind."""
    return Exists(Case.objects.filter(disbursement=OuterRef("pk"), closed_at=None, kind__in=kinds))


def _subject(about: dict[str, Any]) -> dict[str, Any]:
    return {"disbursement": None, "shortcode": None, "connection": None} | about
