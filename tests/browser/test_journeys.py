"""What staff do, from beginning to end, in a browser, with the whole system behind it."""

import csv
import io
import re
import secrets
from datetime import timedelta

import pytest
from django.utils import timezone
from openpyxl import load_workbook
from playwright.sync_api import Locator, Page, expect

from disbursements.models import Attempt, Disbursement
from disbursements.states import Status
from mifos.demo import lender
from partners.models import PLATFORM_ROLES, Membership, MifosConnection, Partner, Role
from paymentvault.models import User
from tests.browser.conftest import sign_in
from tests.browser.test_every_page import PHONE, TOO_WIDE
from tests.waiting import until

pytestmark = pytest.mark.processes
# From a press to what the workers made of it, shown by a page that looks every few seconds.
SOON = 30_000


@pytest.fixture(scope="module")
def server(system):
    """Staff of the lender: who asks, who approves, and who sets up, two of each of the latter."""
    for name, role in (
        ("amina", Role.OPERATOR),
        ("baraka", Role.APPROVER),
        ("dorcas", Role.APPROVER),
        ("chege", Role.ADMINISTRATOR),
        ("wanjiru", Role.ADMINISTRATOR),
    ):
        partner = None if role in PLATFORM_ROLES else Partner.objects.get()
        user = User.objects.create_user(name, password=name)
        Membership.objects.create(user=user, role=role, partner=partner)
    return system.stack.urls["web"]


@pytest.fixture
def desk(server, visit):
    """Somebody at a desk of their own, signed in."""

    def at(name: str, **options) -> Page:
        return sign_in(visit(server, **options), name, name)

    return at


def press(page: Page, name: str | re.Pattern[str]) -> None:
    page.get_by_role("button", name=name).click()


def follow(page: Page | Locator, name: str | re.Pattern[str]) -> None:
    page.get_by_role("link", name=name).first.click()


def says(page: Page, words: str | re.Pattern[str], *, within: str = "main") -> None:
    expect(page.locator(within)).to_contain_text(words, timeout=SOON)


def new_number() -> str:
    return f"2547{secrets.randbelow(10**8):08}"


def ask_for(page: Page, system, *, amount: int = 1_200) -> Disbursement:
    """Amina enters a disbursement by hand, and sees that somebody else must approve it."""
    number = new_number()
    page.goto("/disbursements/new/")
    page.get_by_label("Partner").select_option(system.partner.code)
    page.get_by_label("Recipient's name").fill("Wanjiru Kamau")
    page.get_by_label("Recipient's M-Pesa number").fill(f"0{number[3:]}")
    page.get_by_label("Amount, KES").fill(str(amount))
    page.get_by_label("What it is for").fill("Refund of a fee that was taken twice.")
    press(page, "Check the answers")
    says(page, "No money moves yet")
    press(page, "Enter it for approval")
    says(page, "Waiting for someone else to approve")
    return Disbursement.objects.get(msisdn=number)


# -- approve one by hand, as a second person, by keyboard alone


def tab_to(page: Page, target) -> None:
    """Press Tab until something has the focus, and can be seen to have it."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if target.evaluate("one => one === document.activeElement"):
            outline = target.evaluate("one => getComputedStyle(one).outlineStyle")
            assert outline != "none", "the focus can't be seen"
            return
    raise AssertionError("Tab never gets there")


def test_a_second_person_approves_by_keyboard_alone(system, server, desk, visit):
    asked = ask_for(desk("amina"), system)

    page = visit(server)
    page.goto("/login/")
    page.keyboard.type("baraka")
    page.keyboard.press("Tab")
    page.keyboard.type("baraka")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Sign in")
    tab_to(page, page.get_by_role("link", name="Disbursements").first)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name=asked.reference, exact=True))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="Approve…"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("1,200")
    tab_to(page, page.locator("textarea"))
    page.keyboard.type("Seen in the statement.")
    tab_to(page, page.locator("main form button").first)
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_contain_text("Paid", timeout=SOON)
    asked.refresh_from_db()
    assert asked.approved_by.username == "baraka" and asked.requested_by.username == "amina"
    assert system.outside.ledger()[-1]["msisdn"] == asked.msisdn


def test_the_maker_has_no_button_to_approve(system, desk):
    page = desk("amina")
    asked = ask_for(page, system)

    page.goto(f"/disbursements/{asked.pk}/")

    says(page, "Waiting for someone else to approve")
    expect(page.get_by_role("link", name="Approve…")).to_have_count(0)


def test_an_approval_on_a_phone_never_scrolls_sideways(system, desk):
    asked = ask_for(desk("amina"), system, amount=900)
    page = desk("baraka", viewport=PHONE, has_touch=True, is_mobile=True)

    page.goto("/disbursements/?status=awaiting_approval")
    assert page.evaluate(TOO_WIDE) == []
    follow(page, asked.reference)
    expect(page.locator("h1")).to_contain_text("900.00")
    assert page.evaluate(TOO_WIDE) == []
    page.get_by_role("link", name="Approve…").tap()
    says(page, "900.00")
    assert page.evaluate(TOO_WIDE) == []
    page.locator("main form button").first.tap()

    expect(page.locator("h1")).to_contain_text("Paid", timeout=SOON)
    assert page.evaluate(TOO_WIDE) == []


# -- settle one in doubt


def in_doubt(system) -> Disbursement:
    """M-Pesa paid, neither an answer nor a callback came, and it doesn't say what became of it."""
    number = new_number()
    system.outside.safaricom.post("plan", msisdn=number, faults=["answer_lost_no_callback"])
    system.outside.safaricom.post("plan_status", msisdn=number, faults=["pending"] * 50)
    loan = system.add_loan(number)
    system.approve(loan)
    until(lambda: Disbursement.objects.filter(loan_id=loan, status=Status.IN_DOUBT), seconds=60)
    row = Disbursement.objects.get(loan_id=loan)
    Attempt.objects.filter(disbursement=row).update(sent_at=timezone.now() - timedelta(hours=1))
    return row


def test_two_people_settle_one_in_doubt(system, desk):
    row = in_doubt(system)
    paid = next(p for p in system.outside.ledger() if p["msisdn"] == row.msisdn)

    first = desk("baraka")
    first.goto(f"/disbursements/{row.pk}/")
    follow(first, "Settle…")
    first.get_by_label("M-Pesa paid it").check()
    first.get_by_label("M-Pesa receipt").fill(paid["receipt"])
    first.get_by_label("When it was paid").fill(f"{timezone.localtime():%Y-%m-%dT%H:%M}")
    first.get_by_label("Evidence").fill("The shortcode's statement of today has it.")
    press(first, "Propose this to a second person")
    says(first, "Nothing follows until a second person confirms it")
    row.refresh_from_db()
    assert row.status == Status.IN_DOUBT

    second = desk("dorcas")
    second.goto(f"/disbursements/{row.pk}/settle/")
    says(second, "The shortcode's statement of today has it.")
    second.get_by_label("What you checked yourself").fill("I see it in the statement too.")
    press(second, "Settle it as paid")

    expect(second.locator("h1")).to_contain_text("Recorded", timeout=SOON)
    row.refresh_from_db()
    assert row.mpesa_receipt == paid["receipt"]
    assert system.outside.loans()[row.loan_id]["receipts"] == [paid["receipt"]]


# -- export, and open the file


def test_an_export_has_exactly_what_is_filtered(system, desk):
    number = new_number()
    loan = system.add_loan(number, principal=7_000)
    system.approve(loan)
    until(lambda: Disbursement.objects.filter(loan_id=loan, status=Status.RECORDED), seconds=60)
    page = desk("amina")
    page.goto(f"/disbursements/?status=recorded&partner={system.partner.code}")
    shown = page.locator("tbody th a").all_text_contents()

    with page.expect_download() as excel:
        follow(page, "Export Excel")
    with page.expect_download() as text:
        follow(page, "Export CSV")

    book = load_workbook(io.BytesIO(excel.value.path().read_bytes()))
    header, *rows = book.active.values
    lines = list(csv.DictReader(io.StringIO(text.value.path().read_text("utf-8-sig"))))
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert [one["Reference"] for one in found] == shown
    assert [one["Reference"] for one in lines] == shown
    one = next(one for one in found if one["MSISDN"] == number)
    row = Disbursement.objects.get(loan_id=loan)
    assert one["Sum to pay KES"] == row.amount == 7_000
    assert one["M-Pesa receipt"] == row.mpesa_receipt
    assert one["Paid (Nairobi)"] == timezone.localtime(row.paid_at).replace(
        tzinfo=None, microsecond=0
    )


# -- a second partner, from nothing to its first automatic payout, by what the pages show alone


@pytest.fixture
def code():
    """Of the new partner, which rests when the test is over."""
    new = f"new-{secrets.token_hex(3)}"
    yield new
    if made := Partner.objects.filter(code=new).first():
        lender.tidy_up(made)


def test_a_second_partner_from_nothing_to_its_first_automatic_payout(system, desk, visit, code):
    page, second = desk("chege"), desk("wanjiru")
    mifos, daraja = visit(system.second_mifos.url), visit(system.outside.safaricom.url)
    mifos.goto("/")
    daraja.goto("/")

    page.goto("/")
    follow(page, "Partners")
    follow(page, "Add partner")
    page.get_by_label("Name").fill("Jamii Microfinance")
    page.get_by_label("Code").fill(code)
    press(page, "Add partner")
    says(page, "10 steps left to the first automatic payout")
    _connect_mifos(page, mifos)
    _register_the_hook(page)
    _choose_products(page)
    _connect_mpesa(page, daraja)
    _switch_on(page, second, code)

    follow(page.locator("main"), "Disbursements")
    says(page, "No disbursements match")
    loan_id = _approve_a_loan(mifos)
    page.get_by_role("row").filter(has_text="8,000.00").get_by_role("link").click(timeout=SOON)
    page.evaluate("window.isTheSamePage = true")
    expect(page.locator("h1")).to_contain_text("Recorded", timeout=SOON)
    assert page.evaluate("window.isTheSamePage"), "it was shown live, without loading anew"
    row = Disbursement.objects.get(loan_id=loan_id, partner__code=code)
    assert row.approved_by is None and row.amount == 8_000
    assert row.events.exists(), "the hook told of it"
    _was_paid(mifos, daraja, row)


def next_step(page: Page, name: str) -> None:
    """Press what the checklist of the partner's page says is next."""
    if page.locator(".checklist").count() == 0:
        follow(page.locator(".crumbs"), re.compile("Jamii"))
    step = page.locator(".checklist li[aria-current=step]")
    expect(step).to_contain_text(name)
    step.get_by_role("button").or_(step.get_by_role("link")).click()


def is_over(page: Page) -> None:
    """Wait on a job's page until it has ended well, and go back to the partner."""
    expect(page.locator("main .badge").first).to_have_text("Done", timeout=SOON)
    follow(page.locator("main"), "Back")


def shown(page: Page, name: str) -> str:
    """What a pretend world's page shows to copy."""
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))
    return row.locator("code").first.inner_text()


def _connect_mifos(page: Page, mifos: Page) -> None:
    """Tested as typed, saved, and tested as saved."""
    press(mifos, "Create a user for Payment Vault")
    says(mifos, "Its password never expires.", within="body")
    next_step(page, "Enter the Mifos X connection")
    for name in ("Address of the server", "Path of the API", "Tenant", "User name", "Password"):
        page.get_by_label(name, exact=True).fill(shown(mifos, name))
    press(page, "Test connection")
    says(page, "All but the payment type is right", within="#test")
    page.get_by_label("Payment type for M-Pesa").select_option(label="mPesa (26)")
    press(page, "Save")
    says(page, "Saved. Test it now.")
    next_step(page, "Test the connection")
    is_over(page)
    says(page, "It switched nothing on.")


def _register_the_hook(page: Page) -> None:
    next_step(page, "Make the webhook’s address")
    says(page, "The address and its secret are made.")
    press(page, "Register in Mifos X")
    is_over(page)
    press(page, "Send a test event")
    is_over(page)


def _choose_products(page: Page) -> None:
    next_step(page, "Choose the loan products")
    for box in page.locator("main").get_by_role("checkbox").all():
        box.check()
    press(page, "Save")
    says(page, "Saved:")


def _connect_mpesa(page: Page, daraja: Page) -> None:
    press(daraja, "Create an app with a shortcode")
    says(daraja, "were created", within="body")
    next_step(page, "Enter the M-Pesa shortcode")
    page.get_by_label("Sandbox: ").check()
    for name in (
        "Shortcode", "Address instead of Safaricom's", "Consumer key", "Consumer secret",
        "Initiator name", "Initiator password",
    ):  # fmt: skip
        field = page.get_by_label(name, exact=True).and_(page.locator("input"))
        field.fill(shown(daraja, name))
    certificate = page.get_by_label("Safaricom's certificate", exact=True)
    certificate.and_(page.locator("textarea")).fill(daraja.locator("pre").inner_text())
    press(page, "Save and test")
    is_over(page)


def _switch_on(page: Page, second: Page, code: str) -> None:
    next_step(page, "Switch the connection on")
    page.get_by_label("Reason").fill("Set up with the lender's engineer.")
    press(page, "Propose to switch it on")
    says(page, "Nothing has changed yet.")
    _confirm(second, code, sees="Tenant")
    page.reload()
    listed = MifosConnection.objects.filter(
        partner__code=code, is_on=True, backlog_listed_at__isnull=False
    )
    until(listed.exists, seconds=30)
    next_step(page, "Switch automatic disbursement on")
    press(page, "Look now")
    reason = page.get_by_label("Reason")
    expect(reason).to_be_visible(timeout=SOON)
    reason.fill("Agreed with the lender.")
    press(page, "Propose to pay without a person")
    says(page, "It waits for a second person")
    _confirm(second, code, sees="Paid automatically")
    says(second, "Automatic disbursement is on.")
    page.reload()
    says(page, "every step is done")


def _confirm(second: Page, code: str, *, sees: str) -> None:
    """Somebody else finds it on their home page, looks at the whole set-up, and confirms it."""
    second.goto("/")
    follow(second, re.compile("of settings waits? for a second person"))
    follow(second.get_by_role("row").filter(has_text="Jamii"), re.compile("Switching"))
    says(second, f"({code})")
    says(second, sees)
    follow(second, "Confirm…")
    press(second, "Confirm and apply it")
    says(second, "Applied.")


def _approve_a_loan(mifos: Page) -> int:
    """One of those that the lender has."""
    loans = mifos.frame_locator("iframe")
    row = loans.get_by_role("row").filter(has_text="8,000")
    loan_id = int(row.get_by_role("cell").first.inner_text())
    row.get_by_role("button", name="Approve").click()
    says(mifos, f"Loan {loan_id}: approve, done.", within="body")
    return loan_id


def _was_paid(mifos: Page, daraja: Page, row: Disbursement) -> None:
    """Both outside worlds show the receipt."""
    row.refresh_from_db()
    for page, said in ((mifos, "Active"), (daraja, row.msisdn)):
        line = page.frame_locator("iframe").get_by_role("row").filter(has_text=row.mpesa_receipt)
        expect(line).to_contain_text(said, timeout=SOON)
