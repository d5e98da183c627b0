"""The operator's guide: its pages, and the search over their titles and words."""

import re
from dataclasses import dataclass
from functools import cache
from html import unescape
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.html import conditional_escape, format_html_join, strip_tags
from django.utils.safestring import SafeString, mark_safe

from disbursements import results
from disbursements.holds import NOT_RELEASABLE
from disbursements.states import FINAL, MONEY_MOVED, MOVING, TONE, UNPAID, Status
from mifos import recording
from mifos.connections import NEEDED
from partners.models import Role
from partners.roles import ABOUT
from paymentvault.portal import diagram
from paymentvault.portal.situations import PAGES, Page

AROUND_A_HIT = 90
# Elements whose end is the end of a sentence.
ENDS = re.compile(r"</(?:p|li|h[1-6]|td|th|dt|dd|summary|caption)>")


def index(request: HttpRequest) -> HttpResponse:
    words = " ".join(request.GET.get("q", "").split())[:100]
    shown = {"words": words, "found": search(words) if words else [], "groups": _groups()}
    return render(request, "help/index.html", shown)


def page(request: HttpRequest, slug: str) -> HttpResponse:
    if slug not in PAGES:
        raise Http404("The guide has no such page.")
    about = PAGES[slug]
    return render(request, about.template, {"page": about, **_given(slug)})


def _groups() -> list[tuple[str, list[Page]]]:
    names = dict.fromkeys(page.group for page in PAGES.values())
    return [(name, [p for p in PAGES.values() if p.group == name]) for name in names]


def _given(slug: str) -> dict[str, Any]:
    """What a page takes from the code itself, so that it can't say otherwise."""
    if slug == "states":
        return {"diagram": diagram.of_states(), "states": _states()}
    if slug == "failed":
        return {"results": _result_codes()}
    if slug == "not-recorded":
        return {"refusals": _refusals()}
    if slug == "set-up-a-partner":
        return {"permissions": NEEDED}
    if slug == "late-sweep":
        return {"sweeps": sorted(settings.CELERY_BEAT_SCHEDULE.items())}
    if slug == "held":
        return {"holds": [p for p in PAGES.values() if p.group == PAGES["top-up"].group],
                "not_releasable": {str(h).replace("_", "-") for h in NOT_RELEASABLE}}  # fmt: skip
    if slug == "who-may-do-what":
        return {"roles": [(role.label, ABOUT[role]) for role in Role]}
    if slug == "signing-in":
        return _limits_of_sessions()
    return {}


def _limits_of_sessions() -> dict[str, Any]:
    return {
        "idle_minutes": settings.SESSION_IDLE_S // 60,
        "hours": settings.SESSION_AT_MOST_S // 3600,
        "tries": settings.AXES_FAILURE_LIMIT,
        "locked_minutes": settings.LOCKED_OUT_FOR_S // 60,
        "again_minutes": settings.ASK_AGAIN_AFTER_S // 60,
        "above": settings.ASK_AGAIN_ABOVE,
    }


MEANS = {
    Status.RECEIVED: "It has just come in; within seconds it is decided what follows.",
    Status.HELD: "Something speaks against paying it as it stands. A person decides.",
    Status.AWAITING_APPROVAL: "Nothing speaks against it; a person must approve it first.",
    Status.APPROVED: "It will be sent as soon as every gate is open. It says what it waits for.",
    Status.SENDING: "The request is on its way to M-Pesa.",
    Status.SENT: "M-Pesa accepted the request. Nothing says yet that it paid.",
    Status.IN_DOUBT: "We asked M-Pesa to pay and don't know whether it did. M-Pesa is asked.",
    Status.PAID: "M-Pesa paid it and gave a receipt. Mifos X is being told.",
    Status.RECORDED: "Paid, and Mifos X shows it with the receipt. Nothing is left to do.",
    Status.FAILED: "M-Pesa says that it did not pay. A person retries or cancels it.",
    Status.REJECTED: "A person refused it. It is over.",
    Status.CANCELLED: "It was given up, here or in Mifos X. It is over.",
}


@dataclass(frozen=True)
class State:
    status: Status
    tone: str
    means: str
    money: str
    page: Page | None
    is_final: bool


def _states() -> list[State]:
    return [
        State(status, TONE[status], MEANS[status], _money(status),
              PAGES.get(status.value.replace("_", "-")), status in FINAL)
        for status in diagram.in_order()
    ]  # fmt: skip


def _money(status: Status) -> str:
    if status in MONEY_MOVED:
        return "Has moved"
    if status in MOVING:
        return "May have moved"
    return "Has not moved" if status in UNPAID else "Was not moved by it"


# What a person does after each kind of answer.
AFTER = {
    results.Meaning.PAID: "Nothing.",
    results.Meaning.FUNDS: "Top the float up. It is tried again by itself.",
    results.Meaning.AMOUNT: "The same sum would fail again. Cancel it.",
    results.Meaning.RECIPIENT: "The borrower must put it right. Then retry, or cancel.",
    results.Meaning.CONFIGURATION: "The shortcode is paused. Put it right, resume it, then retry.",
    results.Meaning.UNKNOWN: "It isn't a failure: it is in doubt, and M-Pesa is asked.",
}


def _result_codes() -> list[tuple[str, str, str]]:
    return [(code, one.words, AFTER[one.meaning]) for code, one in results.RESULTS.items()]


REFUSED = {
    recording.Next.SOON: "It passes by itself; it is tried again within minutes.",
    recording.Next.LOOK: "It may have been done already; the loan is read again.",
    recording.Next.EARLIER_DATE: "It is tried again with the day before.",
    recording.Next.TOMORROW: "The day is free in Mifos X; it is tried again with a later one.",
    recording.Next.PERSON: "A person must put it right in Mifos X.",
}


def _refusals() -> list[tuple[str, str]]:
    return [(code, REFUSED[following]) for code, following in recording.REFUSALS.items()]


@dataclass(frozen=True)
class Found:
    """A page in which what was looked for stands, and where."""

    page: Page
    title: SafeString
    excerpt: SafeString


def search(words: str) -> list[Found]:
    """The pages that have every word, those first whose title has them."""
    wanted = words.casefold().split()
    hits = []
    for page in PAGES.values():
        text = text_of(page)
        whole = f"{page.title} {text}".casefold()
        if all(word in whole for word in wanted):
            in_title = sum(word in page.title.casefold() for word in wanted)
            hits.append((-in_title, Found(page, marked(page.title, wanted),
                                          marked(_around(text, wanted), wanted))))  # fmt: skip
    return [found for _, found in sorted(hits, key=lambda hit: hit[0])]


@cache
def text_of(page: Page) -> str:
    """A page's own words, without the frame around them."""
    html = render_to_string(page.template, {"page": page, "frame": "help/_bare.html",
                                            **_given(page.slug)})  # fmt: skip
    return " ".join(unescape(strip_tags(ENDS.sub(r"\g<0> ", html))).split())


def _around(text: str, wanted: list[str]) -> str:
    """The part of a text where the first of the words stands."""
    places = [at for word in wanted if (at := text.casefold().find(word)) >= 0]
    at = min(places, default=0)
    begin = max(0, at - AROUND_A_HIT)
    end = min(len(text), at + AROUND_A_HIT * 2)
    part = text[begin:end]
    if begin:
        part = "… " + part.partition(" ")[2]
    return part.rpartition(" ")[0] + " …" if end < len(text) else part


def marked(text: str, wanted: list[str]) -> SafeString:
    """The text, escaped, with what was looked for highlighted."""
    pattern = "|".join(re.escape(word) for word in sorted(wanted, key=len, reverse=True))
    parts = re.split(f"({pattern})", text, flags=re.I) if pattern else [text]
    return format_html_join(
        "", "{}", ((_mark(part) if i % 2 else conditional_escape(part),)
                   for i, part in enumerate(parts)),
    )  # fmt: skip


def _mark(part: str) -> SafeString:
    return mark_safe(f"<mark>{conditional_escape(part)}</mark>")  # noqa: S308 -- escaped right here
