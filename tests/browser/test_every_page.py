"""Every page, in light and in dark, wide and on a phone: axe, one heading, nothing sideways."""

import json
import re

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.template.loader import render_to_string
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.pages import walk

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVERYTHING = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}
# Nothing but colours changes in the dark.
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
PHONE = {"width": 390, "height": 844}
WIDE = {"width": 1200, "height": 900}
TOO_WIDE = """() => {
  const page = document.scrollingElement, within = page.clientWidth;
  if (page.scrollWidth <= within) return [];
  const beyond = [...document.querySelectorAll("body *")].filter(
    (one) => one.getBoundingClientRect().right > within && !one.closest(".table-wrap"));
  return [`${page.scrollWidth} px`, ...beyond.slice(0, 4).map((one) => one.outerHTML.slice(0, 90))];
}"""


def axe(page: Page, options: dict, theme: str) -> list[str]:
    found = page.evaluate(f"axe.run({json.dumps(options)})")["violations"]
    return [
        f"{theme}, {one['impact']}, {one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        for node in one["nodes"]
    ]


def faults(page: Page) -> list[str]:
    """What is wrong with the page that is open."""
    headings, title = page.locator("h1").count(), page.title()
    found = [] if headings == 1 else [f"{headings} headings h1"]
    found += [] if title.partition(" · ")[0].strip() else [f"the title is {title!r}"]
    page.evaluate(AXE_SCRIPT)
    found += axe(page, EVERYTHING, "light")
    page.emulate_media(color_scheme="dark")
    found += axe(page, COLOURS, "dark")
    page.set_viewport_size(PHONE)
    found += [f"sideways on a phone: {words}" for words in page.evaluate(TOO_WIDE)]
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    return found


def is_whole(page: Page, path: str) -> bool:
    """A page to look at: neither a part of one, nor a file, nor an act of a button's."""
    answer = page.request.get(path)
    is_html = answer.headers.get("content-type", "").startswith("text/html")
    return answer.status != 405 and is_html and "<html" in answer.text()


def test_every_page_in_light_and_dark_wide_and_on_a_phone(portal, visit):
    server, rows = portal
    page = sign_in(visit(server), "baraka", "baraka")
    wrong = []

    for one in walk.pages(rows):
        if is_whole(page, one.path):
            page.goto(one.path)
            wrong += [f"{one}: {words}" for words in faults(page)]

    assert not wrong, "\n".join(wrong)


def test_the_log_in(portal, visit):
    page = visit(portal[0])

    page.goto("/login/")

    assert faults(page) == []


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500", "503"])
def test_an_error_page(portal, visit, rf, name):
    """The server itself shows Django's own in development, so they are put in their place."""
    request = rf.get("/")
    request.user = portal[1].baraka
    given = {
        "right": "Can settle", "groups": ["Approvers"], "ask": [portal[1].amina],
        "request_id": "7f3a", "at": timezone.now(),
    }  # fmt: skip
    html = render_to_string(f"{name}.html", given, request=request)
    page = visit(portal[0])
    page.route("**/broken/", lambda route: route.fulfill(body=html, content_type="text/html"))

    page.goto("/broken/")

    assert faults(page) == []


def test_a_form_that_is_wrong(portal, visit):
    page = visit(portal[0])
    page.goto("/login/")
    page.get_by_label("Username").fill("amina")

    page.get_by_role("button", name="Sign in").click()

    expect(page).to_have_title(re.compile("^Error: "))
    expect(page.locator(":focus")).to_contain_text("Please correct this")
    assert faults(page) == []
