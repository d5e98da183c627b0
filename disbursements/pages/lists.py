"""The list of disbursements."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs

from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.text import Truncator
from django.views.decorators.http import require_GET

from disbursements import makers
from disbursements.models import Case, Disbursement
from disbursements.pages.bulk import MOST_AT_ONCE
from disbursements.pages.filters import DECIDE, SAVED, DisbursementFilter, awaiting
from disbursements.states import TONE, Status
from paymentvault.acts import user_of
from paymentvault.models import User
from paymentvault.paging import Page, totals
from paymentvault.rights import needs

LONGEST_REASON = 110
# The id of the part that looks again by itself while there is nothing to list.
EMPTY = "empty"


@needs("disbursements.view_disbursement")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """The page, and the part of it that htmx fetches while somebody types."""
    user = user_of(request)
    chosen = DisbursementFilter(request.GET, user=user)
    is_part, is_waiting = _is_part(request), request.headers.get("HX-Trigger") == EMPTY
    template = "disbursements/_results.html" if is_part else "disbursements/list.html"
    shown = _shown(request, chosen, user)
    if is_waiting and not shown["page"].rows:
        return HttpResponse(status=204)  # which leaves what is on the page
    answer = render(request, template, shown | {"is_part": is_part})
    patch_vary_headers(answer, ["HX-Request"])
    if is_part and not is_waiting:
        # Without what is empty, so that the address is one to send.
        query = chosen.url_query()
        answer["HX-Push-Url"] = f"{request.path}?{query}" if query else request.path
    return answer


def _is_part(request: HttpRequest) -> bool:
    headers = request.headers
    # Going back in history, htmx asks for the whole page.
    return bool(headers.get("HX-Request")) and not headers.get("HX-History-Restore-Request")


def _shown(request: HttpRequest, chosen: DisbursementFilter, user: User) -> dict[str, Any]:
    page = chosen.pager.page(_with_what_is_shown(chosen), request.GET)
    return {
        "filter": chosen,
        "form": chosen.form,
        "page": replace(page, rows=[Row.of(found, user) for found in page.rows]),
        "totals": totals(chosen.rows, of="amount") if chosen.is_valid() else None,
        "approvable": _approvable(chosen, page, user),
        "most_at_once": MOST_AT_ONCE,
        "views": _saved_views(chosen),
        "newest": _sorted_by(chosen, ""),
        "largest": _sorted_by(chosen, "amount"),
        "here": reverse("disbursements:list"),
    }


def _with_what_is_shown(chosen: DisbursementFilter) -> Any:
    open_cases = Prefetch("cases", Case.objects.filter(closed_at=None), to_attr="open_cases")
    return chosen.rows.select_related("partner", makers.ITS_KEY).prefetch_related(open_cases)


def _approvable(chosen: DisbursementFilter, page: Page, user: User) -> int:
    """How many of the filter this person may approve, up to one more than go at once."""
    if not page.rows or not user.has_perm(DECIDE):
        return 0
    return awaiting(chosen.rows, user).order_by()[: MOST_AT_ONCE + 1].count()


def _saved_views(chosen: DisbursementFilter) -> list[dict[str, Any]]:
    asked = dict(chosen.query.lists())
    return [
        {"label": label, "query": query, "is_here": parse_qs(query) == asked}
        for label, query in SAVED
    ]


def _sorted_by(chosen: DisbursementFilter, sort: str) -> dict[str, Any]:
    return {"query": chosen.url_query(sort=sort), "is_on": chosen.sort == sort}


@dataclass(frozen=True)
class Row:
    """One line of the list: what it is, and what happens next."""

    disbursement: Disbursement
    tone: str
    reason: str
    has_case: bool
    can_be_ticked: bool

    @classmethod
    def of(cls, found: Disbursement, user: User) -> "Row":
        status = Status(found.status)
        is_own = bool(makers.why_not(found, user))
        case = next(iter(found.open_cases), None)  # type: ignore[attr-defined]
        return cls(
            disbursement=found,
            tone=TONE[status],
            reason=Truncator(case.words if case else _reason(found, is_own)).chars(LONGEST_REASON),
            has_case=case is not None,
            can_be_ticked=status == Status.AWAITING_APPROVAL
            and not is_own
            and user.has_perm(DECIDE, found.partner),
        )


def _reason(found: Disbursement, is_own: bool) -> str:
    """Why it is as it is, where the badge alone doesn't say it."""
    is_unrecorded = found.status == Status.PAID and found.connection_id is not None
    words = {
        Status.HELD: found.hold_words,
        Status.AWAITING_APPROVAL: "Waiting for someone else to approve." if is_own else "",
        Status.IN_DOUBT: "M-Pesa has not said whether it was paid. Don't send it again.",
        Status.FAILED: found.failure_words,
        Status.PAID: found.recording_error or ("Not in Mifos X yet." if is_unrecorded else ""),
    }
    return words.get(Status(found.status), "") or found.waits_for
