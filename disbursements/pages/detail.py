"""One disbursement, whole: what it is, what happened to it, and every message about it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from disbursements.models import Transition
from disbursements.pages.acts import offered, waits_for_another
from disbursements.pages.messages import messages_of
from disbursements.pages.notices import hold_words, notices
from disbursements.pages.whole import Whole, half_minute, told
from disbursements.states import TONE, Status
from paymentvault.acts import user_of
from paymentvault.models import User
from paymentvault.rights import needs

# What goes on by itself; without script the page looks again only while one of these lasts.
MOVES_BY_ITSELF = {
    Status.RECEIVED, Status.APPROVED, Status.SENDING, Status.SENT, Status.PAID,
}  # fmt: skip

# By whom a line of history is that no person wrote.
MACHINES = {
    "system", "payout", "recording", "polling", "demo", "Mifos X", "M-Pesa",
    "M-Pesa's status query",
}  # fmt: skip


@needs("disbursements.view_disbursement")
def show(request: HttpRequest, pk: int) -> HttpResponse:
    user = user_of(request)
    whole = Whole(told(pk, user))
    shown = {**_told(whole, user), "messages_of_it": messages_of(whole, user)}
    shown |= {"related": [(one, TONE[Status(one.status)]) for one in whole.related]}
    return render(request, "disbursements/detail.html", shown)


@needs("disbursements.view_disbursement")
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The part that changes, for htmx; 204 where nothing has, so that nothing on the page moves."""
    user = user_of(request)
    whole = Whole(told(pk, user))
    seen, _, at = request.GET.get("seen", "").partition("-")
    is_news = seen != whole.stamp
    if not is_news and at == str(half_minute()):
        return HttpResponse(status=204)
    shown = {**_told(whole, user), "is_live": True, "is_news": is_news}
    if is_news:
        shown["messages_of_it"] = messages_of(whole, user)
    return render(request, "disbursements/_live.html", shown)


def _told(whole: Whole, user: User) -> dict[str, Any]:
    # It was read before what it stands for: what changes in between is shown by the next look.
    stamp = "" if whole.is_settled else f"{whole.stamp}-{half_minute()}"
    return {
        "disbursement": whole.disbursement,
        "whole": whole,
        "tone": TONE[whole.status],
        "stamp": stamp,
        "looks_again": whole.status in MOVES_BY_ITSELF and not whole.is_settled,
        "notices": notices(whole, user),
        "offers": offered(whole, user),
        "waits_for_another": waits_for_another(whole, user),
        "history": [_line(line) for line in whole.transitions],
        "released": hold_words(whole.disbursement.released_holds),
    }


def _line(line: Transition) -> dict[str, Any]:
    status = Status(line.new)
    return {
        "line": line, "label": status.label, "tone": TONE[status],
        "is_machine": line.by in MACHINES, "is_move": line.old != line.new,
    }  # fmt: skip
