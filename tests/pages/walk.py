"""Every page that there is, found in the URLs themselves, with an example to open of each.

A page whose address needs something that isn't known here fails the tests until it is told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from disbursements.states import Status
from partners import work
from paymentvault.portal.situations import PAGES
from tests.pages.rows import Rows

# The admin is Django's own; the others are called by programs.
# The second factor's pages show what somebody set up; test_second_factor.py walks through them.
ELSEWHERE = ("admin/", "api/", "mifos-webhook/", "cb/", "livez", "readyz", "second-factor/")
# Pages that show only something in a state of its own.
STATE_OF = {
    "disbursements:approve": Status.AWAITING_APPROVAL,
    "disbursements:reject": Status.AWAITING_APPROVAL,
    "disbursements:release": Status.HELD,
    "disbursements:cancel": Status.HELD,
    "disbursements:retry": Status.FAILED,
    "disbursements:ask": Status.IN_DOUBT,
    "disbursements:settle": Status.IN_DOUBT,
    "disbursements:record": Status.PAID,
}
# Pages about what isn't on yet, or is paused; of the lender that is.
OF_THE_OTHER = {"connection:on", "shortcodes:resume"}
OF_THE_READY = {"automatic:switch"}
# They lead on to another page: whoever is signed in, or without pressing the button.
LEADS_ON = {"login", "account_login", "shortcodes:test"}
# What a page needs besides its address.
QUERY = {"disbursements:bulk": "all=1"}
# More of what a page looks like in other states: the query, or what it is about.
ALSO: dict[str, list[dict[str, Any]]] = {
    "disbursements:detail": [{"status": status} for status in Status],
    "disbursements:list": [{"query": "status=in_doubt"}, {"query": "q=Amina"}],
    "help:page": [{"slug": slug} for slug in PAGES],
    "job": [{"last": name} for name in ("running job", "failed job", "job with a file")],
}


@dataclass(frozen=True)
class Page:
    name: str
    path: str

    def __str__(self) -> str:
        return f"{self.name} {self.path}"


@dataclass(frozen=True)
class Address:
    """One pattern of the URLs: its name, with its namespace, and what it needs."""

    name: str
    needs: tuple[str, ...] = field(default=())


def addresses() -> list[Address]:
    return sorted(_below(get_resolver().url_patterns), key=lambda address: address.name)


def pages(rows: Rows) -> list[Page]:
    """Every address with its examples; those that take only POST are among them."""
    return [page for address in addresses() for page in _examples(address, rows)]


def _below(
    patterns: list[Any], path: str = "", names: tuple[str, ...] = (), needs: tuple[str, ...] = ()
) -> Iterator[Address]:
    for one in patterns:
        here = path + str(one.pattern).lstrip("^")
        if here.startswith(ELSEWHERE):
            continue
        needed = (*needs, *one.pattern.regex.groupindex)
        if isinstance(one, URLResolver):
            within = (*names, one.namespace) if one.namespace else names
            yield from _below(one.url_patterns, here, within, needed)
        elif isinstance(one, URLPattern):
            assert one.name, f"{here} has no name"
            yield Address(":".join((*names, one.name)), needed)


def _examples(address: Address, rows: Rows) -> Iterator[Page]:
    for variant in ({}, *ALSO.get(address.name, ())):
        kwargs = {need: _value(address.name, need, rows, variant) for need in address.needs}
        query = variant.get("query") or QUERY.get(address.name, "")
        path = reverse(address.name, kwargs=kwargs)
        yield Page(address.name, f"{path}?{query}" if query else path)


def _value(name: str, need: str, rows: Rows, variant: dict[str, Any]) -> Any:
    if "last" in variant:
        return rows.last[variant["last"]].pk
    of = name.partition(":")[0]
    is_other = name in OF_THE_OTHER
    match of, need:
        case "help", "slug":
            return variant.get("slug") or next(iter(PAGES))
        case "disbursements", "settlement_pk":
            return rows.last["settlement"].pk
        case "disbursements", "pk" if name.startswith("disbursements:settle-"):
            return rows.last["settlement"].disbursement_id
        case "disbursements", "pk":
            status = variant.get("status") or STATE_OF.get(name)
            return (rows.by_status[status] if status else rows.last["busy"]).pk
        case "disbursements", "form":
            return "csv"
        case "cases" | "callbacks" | "events", "pk":
            return rows.last[of.removesuffix("s")].pk
        case "job" | "job-file", "pk":
            return rows.last["job" if of == "job" else "job with a file"].pk
        case "keys" | "networks" | "deliveries", "pk":
            return rows.last["endpoint" if "endpoint" in name else of].pk
        case "changes", "pk":
            return rows.last["change"].pk
        case "connection", "pk":
            return rows.last[work.TEST].pk
        case "shortcodes", "pk":
            return rows.last["shortcode"].pk if is_other else rows.shortcode.pk
        case "partners", "pk":
            return rows.last["membership"].pk
        case _, "code" if name in OF_THE_READY:
            return rows.ready.code
        case _, "code":
            return rows.last["connection"].partner.code if is_other else rows.partner.code
    raise LookupError(f"Say in tests/pages/walk.py what {need!r} of the page {name} is.")
