"""Cases: what only a person can settle, each told once."""

from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Value
from django.db.models.functions import Concat
from django.utils import timezone

from disbursements.models import Case, Disbursement
from paymentvault import audit

log = structlog.get_logger(__name__)

# While one of these is open nobody knows for sure where the money is: nothing more may go out.
MONEY_IN_QUESTION = ("contradiction", "callback_disagrees", "status_disagrees")


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


def close(case: Case, *, by: str, note: str) -> None:
    """A person has settled it."""
    Case.objects.filter(pk=case.pk).update(
        closed_at=timezone.now(), closed_by=by, closing_note=note
    )
    audit.record(f"case closed: {case.kind}", by=by, subject=case.disbursement or "", note=note)


def has_open_case(disbursement: Disbursement, *kinds: str) -> bool:
    return disbursement.cases.filter(closed_at=None, kind__in=kinds).exists()


def is_open(*kinds: str) -> Exists:
    """For a query of disbursements: whether one has an open case of such a kind."""
    return Exists(Case.objects.filter(disbursement=OuterRef("pk"), closed_at=None, kind__in=kinds))


def _subject(about: dict[str, Any]) -> dict[str, Any]:
    return {"disbursement": None, "shortcode": None, "connection": None} | about
