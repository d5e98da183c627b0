"""The second factor in a browser: set up, asked for, asked again, and read in the audit."""

import hashlib
import hmac
import re
import struct
import time
from base64 import b32decode

import pytest
from playwright.sync_api import Page, expect

from partners.models import MifosConnection, SettingsChange
from paymentvault.models import AuditEvent, User
from paymentvault.stack import Stack
from tests.browser.conftest import REAL_HASHER, chromium, sign_in
from tests.browser.test_every_page import faults
from tests.pages import rows
from tests.processes.conftest import a_database_of_its_own, environment

pytestmark = pytest.mark.processes
NAME = PASSWORD = "chege"
SECOND = "wanjiru"


@pytest.fixture(scope="module")
def server(django_db_setup, django_db_blocker, tmp_path_factory):
    """The web server as it stands outside development, where the second factor is asked for."""
    chromium()
    with django_db_blocker.unblock(), REAL_HASHER, a_database_of_its_own() as database:
        made = rows.make(1)
        for name in (NAME, SECOND):
            User.objects.create_superuser(name, password=name)
        asks = {"SECOND_FACTOR": "1", "ASK_AGAIN_AFTER_S": "600"}
        stack = Stack({**environment(database, 1), **asks}, log_dir=tmp_path_factory.mktemp("web"))
        stack.programs = {"web": stack.programs["web"]}
        with stack:
            stack.wait_until_ready()
            # A passkey belongs to a name, never to an address.
            yield stack.urls["web"].replace("127.0.0.1", "localhost"), made


def code(secret: str) -> str:
    digest = hmac.new(b32decode(secret), struct.pack(">Q", int(time.time()) // 30), hashlib.sha1)
    offset = digest.digest()[-1] & 15
    number = struct.unpack(">I", digest.digest()[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**6:06}"


def next_code(secret: str, used: str) -> str:
    """Each is taken once: wait for the next."""
    while (new := code(secret)) == used:
        time.sleep(0.5)
    return new


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def follow(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).first.click()


def h1(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(words)


def set_up(page: Page, wrong: list[str]) -> str:
    """An authenticator app; returns its secret."""
    h1(page, "Your second factor")
    wrong += faults(page)
    follow(page, "Set up an app")
    h1(page, "Set up an authenticator app")
    wrong += faults(page)
    secret = page.locator(".key").inner_text()
    page.get_by_label("Code").fill(code(secret))
    press(page, "Set it up")
    h1(page, "Recovery codes")
    expect(page.locator(".codes li")).to_have_count(10)
    wrong += faults(page)
    follow(page, "I have them")
    return secret


def test_a_credential_waits_for_a_second_person_and_both_stand_in_the_audit(
    server, visit, complaints
):
    url, made = server
    # Django's admin names no icon of its own.
    complaints.allow("/favicon.ico")
    page = visit(url)
    wrong: list[str] = []

    # What she may do needs a second factor, so nothing else opens.
    sign_in(page, NAME, PASSWORD)
    secret = set_up(page, wrong)
    used = code(secret)

    # Out, and in again with both.
    page.goto("/profile/")
    wrong += faults(page)
    press(page, "Sign out")
    page.get_by_label("Username").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")
    h1(page, "Your second factor")
    wrong += faults(page)
    used = next_code(secret, used)
    page.get_by_label("Code").fill(used)
    press(page, "Sign in")
    expect(page.get_by_role("link", name="Partners", exact=True)).to_be_visible()

    # A credential changes only after she showed again who she is.
    page.goto(f"/partners/{made.partner.code}/mifos/")
    h1(page, "Is it still you?")
    wrong += faults(page)
    used = next_code(secret, used)
    page.get_by_label("Code").fill(used)
    press(page, "Go on")
    expect(page).to_have_url(f"{url}/partners/{made.partner.code}/mifos/")
    page.get_by_label("Password", exact=True).fill("a-new-one")
    page.get_by_label("Why").fill("Mifos X's user was given a new password")
    press(page, "Save")
    expect(page.locator("main")).to_contain_text("waits for a second person")
    change = SettingsChange.objects.get(proposed_by__username=NAME)
    page.goto(f"/settings-changes/{change.pk}/")
    expect(page.locator("main")).to_contain_text("You proposed it: somebody else must confirm it.")
    expect(page.get_by_role("link", name="Confirm…")).to_have_count(0)
    wrong += faults(page)
    before = MifosConnection.objects.get(partner=made.partner).password

    # Somebody else, at a desk of their own, sees the difference and confirms.
    other = visit(url)
    sign_in(other, SECOND, SECOND)
    set_up(other, wrong)
    other.goto("/")
    other.get_by_role("link", name=re.compile("change.* of settings")).first.click()
    other.locator(f"a[href='/settings-changes/{change.pk}/']").click()
    row = other.get_by_role("row").filter(has_text="Password")
    expect(row).to_contain_text("changed")
    wrong += faults(other)
    follow(other, "Confirm…")
    press(other, "Confirm and apply it")
    expect(other.locator("main")).to_contain_text("Applied.")
    assert before != "a-new-one" == MifosConnection.objects.get(partner=made.partner).password

    # All of it stands in the audit.
    for name, acts in (
        (NAME, ("second factor added", "signed in", "confirmed who they are", "proposed")),
        (SECOND, ("second factor added", "signed in", "changed")),
    ):
        other.goto(f"/admin/paymentvault/auditevent/?q={name}")
        for act in acts:
            expect(other.locator("#result_list")).to_contain_text(act)
        assert "a-new-one" not in other.content()
    assert wrong == [], "\n".join(wrong)


def test_a_passkey_is_added_and_signs_in_by_itself(server, visit):
    url, _ = server
    User.objects.create_user("dorcas", password="dorcas")
    page = visit(url)
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
        "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
    }})  # fmt: skip

    sign_in(page, "dorcas", "dorcas")
    page.goto("/second-factor/webauthn/add/")
    wrong = faults(page)
    page.get_by_label("Passwordless").check()
    press(page, "Add it")
    h1(page, "Recovery codes")
    page.goto("/second-factor/webauthn/")
    wrong += faults(page)
    page.goto("/profile/")
    press(page, "Sign out")
    wrong += faults(page)
    press(page, "Use a passkey")

    expect(page.locator(".who")).to_contain_text("dorcas")
    told = AuditEvent.objects.filter(act="signed in", actor="dorcas").first()
    assert told.detail == {"shown": "passkey"}
    assert wrong == [], "\n".join(wrong)
