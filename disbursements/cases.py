"""Cases: what only a person can settle, each told once."""

from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from disbursements.models import Case, Disbursement

log = structlog.get_logger(__name__)


def open_case(kind: str, words: str, **about: Any) -> Case:
    """Put something in front of a person; a second time changes nothing."""
    with transaction.atomic():
        case, is_new = Case.objects.get_or_create(
            kind=kind, closed_at=None, defaults={"words": words}, **_subject(about)
        )
    if is_new:
        log.warning("case_opened", case=case.pk, kind=kind, **{k: v.pk for k, v in about.items()})
    return case


def close_cases(kind: str, *, by: str, note: str, **about: Any) -> int:
    return Case.objects.filter(kind=kind, closed_at=None, **about).update(
        closed_at=timezone.now(), closed_by=by, closing_note=note
    )


def has_open_case(disbursement: Disbursement, *kinds: str) -> bool:
    return disbursement.cases.filter(closed_at=None, kind__in=kinds).exists()


def _subject(about: dict[str, Any]) -> dict[str, Any]:
    return {"disbursement": None, "shortcode": None, "connection": None} | about
