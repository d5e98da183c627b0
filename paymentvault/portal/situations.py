"""The pages of the operator's guide, and which of them a hold, a case or a state leads to.

Each page is templates/help/pages/<slug>.html. A slug is the code's own word for the thing, so any
page of the portal finds the help for what it shows: `help_for(case.kind)`.
"""

from dataclasses import dataclass

from django.urls import reverse

GUIDES, STATES, HOLDS, CASES, AROUND, PEOPLE = (
    "Begin here",
    "Disbursements that need a person",
    "Why a disbursement is held",
    "Cases",
    "Around the payouts",
    "People, programs and the audit",
)


@dataclass(frozen=True)
class Page:
    """One page of the guide."""

    slug: str
    title: str
    group: str

    @property
    def template(self) -> str:
        return f"help/pages/{self.slug}.html"

    @property
    def url(self) -> str:
        return reverse("help:page", args=[self.slug])

    @property
    def is_situation(self) -> bool:
        """Whether it says what happened, whether money moved, what to press, what never to do."""
        return self.group not in (GUIDES, PEOPLE)


_TITLES: dict[str, dict[str, str]] = {
    GUIDES: {
        "the-way-of-a-loan": "The way of a loan",
        "a-mornings-round": "A morning's round",
        "set-up-a-partner": "Set up a partner",
        "states": "What each state means",
    },
    STATES: {
        "awaiting-approval": "Awaiting approval",
        "held": "Held",
        "in-doubt": "In doubt",
        "failed": "Failed, with M-Pesa's result codes",
        "paid": "Paid, but not recorded in Mifos X",
        "settlement": "A settlement waits for a second person",
    },
    HOLDS: {
        "no-number": "Held: no phone number",
        "bad-number": "Held: the phone number is wrong",
        "top-up": "Held: it is a top-up",
        "tranches": "Held: it is paid in tranches",
        "not-individual": "Held: not an individual's loan",
        "other-currency": "Held: another currency",
        "transfer-charges": "Held: a charge is taken from savings",
        "client-inactive": "Held: the client is not active",
        "nothing-to-pay": "Held: nothing is left to pay",
        "not-whole-shillings": "Held: not whole shillings",
        "net-disagrees": "Held: the sums in Mifos X disagree",
        "payload-disagrees": "Held: the message and the loan disagree",
        "below-partner-min": "Held: below the partner's smallest sum",
        "above-partner-max": "Held: above the partner's largest sum",
        "below-mpesa-min": "Held: below M-Pesa's minimum",
        "above-mpesa-max": "Held: above M-Pesa's maximum",
        "above-daily-max": "Held: above M-Pesa's daily limit for the number",
        "before-switch-on": "Held: approved before the connection was switched on",
        "partner-inactive": "Held: the partner is not active",
        "earlier-disbursement": "Held: an earlier one was stopped by a person",
        "looks-like-duplicate": "Held: it looks like another one",
        "changed-since-approval": "Held: it changed in Mifos X since approval",
        "may-be-paid": "Held: money may have moved for it already",
    },
    CASES: {
        "contradiction": "M-Pesa contradicts itself",
        "callback-disagrees": "A callback that can't be right",
        "status-disagrees": "An answer of M-Pesa's that can't be right",
        "still-in-doubt": "In doubt for days",
        "callback-not-understood": "A callback that can't be processed",
        "overdue": "A disbursement waits too long",
        "not-recorded": "Mifos X refuses the recording",
        "approved-again-after-payment": "A paid loan is approved again",
        "ended-after-sending": "The loan was ended while it was being paid",
        "disbursal-undone": "The disbursal was undone in Mifos X",
        "shortcode-paused": "A shortcode is paused",
        "poll-late": "Mifos X can't be polled",
        "events-waiting": "Messages of Mifos X wait",
    },
    AROUND: {
        "unmatched-callback": "A callback belongs to no request",
        "unreadable-callback": "A callback can't be read",
        "unreadable-event": "A message of Mifos X can't be read",
        "connection-failing": "Mifos X doesn't answer",
        "late-sweep": "A sweep is late",
        "initiator-password": "An initiator's password ends",
        "float": "The float runs out, or is not known",
        "stop-everything": "Stop everything",
        "paid-twice-or-wrongly": "Somebody was paid twice, or wrongly",
    },
    PEOPLE: {
        "who-may-do-what": "Who may do what",
        "signing-in": "Signing in, and the second factor",
        "settings-change": "A change of settings waits for a second person",
        "programs": "Programs: API keys and webhooks",
        "the-audit": "The audit: what was done, and by whom",
    },
}

PAGES: dict[str, Page] = {
    slug: Page(slug, title, group)
    for group, titles in _TITLES.items()
    for slug, title in titles.items()
}


def page_for(kind: str) -> Page | None:
    """The page about a hold, a kind of case, or a state, by the code's own word for it."""
    return PAGES.get(kind.replace("_", "-"))


def help_for(kind: str) -> str:
    """The address of that page; the guide's first one where there is none."""
    page = page_for(kind)
    return page.url if page else reverse("help:index")
