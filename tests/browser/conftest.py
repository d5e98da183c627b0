"""A real browser, Debian's Chromium, and what every page opened in it must keep to."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connections
from django.test import override_settings
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    sync_playwright,
)

from paymentvault.stack import Stack
from tests.pages import rows
from tests.processes.conftest import System, a_database_of_its_own, environment, whole_system

# Before the page's own scripts: the browser only prints what its policy refused.
TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => console.error(
  `Content-Security-Policy: ${event.violatedDirective} refused ${event.blockedURI} ${event.sample}`
));
"""
# The tests' own quick one isn't known to the processes.
REAL_HASHER = override_settings(
    PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
)
# What a browser breaks off by itself: a refresh under way when one leaves, and a download.
BROKEN_OFF = "net::ERR_ABORTED"


class Complaints(list[str]):
    """What went wrong in the pages of a context, unless a test allows it."""

    def __init__(self) -> None:
        super().__init__()
        self._allowed: list[str] = []

    def allow(self, *parts: str) -> None:
        """Don't mind what a test provokes."""
        self._allowed += parts
        self[:] = [said for said in self if not any(part in said for part in parts)]

    def watch(self, context: BrowserContext) -> None:
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._said)
        context.on("weberror", lambda broke: self._tell(f"A script broke: {broke.error}"))
        context.on("requestfailed", self._failed)
        context.on("response", self._came)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._tell(f"{message.location['url']} {message.text}")

    def _failed(self, request: Request) -> None:
        if request.failure != BROKEN_OFF:
            self._tell(f"{request.method} {request.url}: {request.failure}")

    def _came(self, response: Response) -> None:
        if response.status >= 400:
            self._tell(f"{response.status} {response.request.method} {response.url}")

    def _tell(self, words: str) -> None:
        if not any(part in words for part in self._allowed):
            self.append(words)


def chromium() -> str:
    """Where Chromium is. Without it the tests are skipped, but never where a change must pass."""
    if found := os.environ.get("CHROMIUM") or shutil.which("chromium"):
        return found
    words = "There is no Chromium: apt-get install chromium, or name one in CHROMIUM."
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    # Chromium won't sandbox itself for root, and containers give it little shared memory.
    args = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps a loop in this thread, for which Django refuses to ask the database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        with playwright.chromium.launch(executable_path=path, args=args) as started:
            yield started
        # Django keeps a connection of its own for a thread with a loop. Left open, it would be
        # cut off with the system's database, and be dead for the next module.
        connections.close_all()


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """Whatever the pages complained of fails the test at its end."""
    found = Complaints()
    yield found
    assert not found, "\n".join(found)


Opened = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, complaints: Complaints) -> Iterator[Opened]:
    """A window of its own, with cookies of its own, at a server."""
    contexts: list[BrowserContext] = []

    def opened(server: str, **options: object) -> Page:
        plain = {"viewport": {"width": 1200, "height": 900}, "locale": "en-GB"}
        context = browser.new_context(base_url=server, **plain | options)
        context.set_default_timeout(15_000)
        complaints.watch(context)
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()


def sign_in(page: Page, name: str, password: str) -> Page:
    page.goto("/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login/" not in url)
    return page


@pytest.fixture(scope="module")
def system(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[System]:
    """Everything, with workers and both outside worlds, and a lender that is set up."""
    chromium()
    folder: Path = tmp_path_factory.mktemp("system")
    with django_db_blocker.unblock(), REAL_HASHER, whole_system(folder) as made:
        yield made


@contextmanager
def only_pages(folder: Path) -> Iterator[tuple[str, rows.Rows]]:
    with a_database_of_its_own() as database:
        made = rows.make(3)
        stack = Stack(environment(database, 1), log_dir=folder)
        stack.programs = {"web": stack.programs["web"]}
        with stack:
            stack.wait_until_ready()
            yield stack.urls["web"], made


@pytest.fixture(scope="module")
def portal(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[tuple[str, rows.Rows]]:
    """The web server alone, with rows of every kind that nobody works at."""
    chromium()
    folder: Path = tmp_path_factory.mktemp("portal")
    with django_db_blocker.unblock(), REAL_HASHER, only_pages(folder) as made:
        yield made
