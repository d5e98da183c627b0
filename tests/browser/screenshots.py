"""Take the README's pictures from a running demo with loans played: `make screenshots`."""

import os
import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paymentvault.settings")
os.environ.setdefault("DEBUG", "1")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from disbursements.models import Disbursement  # noqa: E402
from disbursements.states import Status  # noqa: E402
from mifos.demo import lender  # noqa: E402
from mifos.demo.run import Run  # noqa: E402
from mifos.demo.world import Outside, Sandbox  # noqa: E402
from mifos.management.commands.sandbox import IMPATIENT  # noqa: E402
from partners.models import Partner  # noqa: E402
from paymentvault.models import User  # noqa: E402
from paymentvault.stack import PROJECT, Stack  # noqa: E402

FOLDER = PROJECT / "docs" / "screenshots"
DESK = {"width": 1200, "height": 860}
PHONE = {"width": 390, "height": 844}
WITHOUT = """There is no Chromium. Install it (Debian: apt-get install chromium
fonts-dejavu-core), or name another one in CHROMIUM."""


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        sys.exit(WITHOUT)
    call_command("migrate", verbosity=0)
    lender.refuse_production()
    with tempfile.TemporaryDirectory(prefix="vault-") as folder:
        play_and_take(chromium, Path(folder))


def play_and_take(chromium: str, folder: Path) -> None:
    with Stack({**os.environ, **IMPATIENT}, log_dir=folder) as stack:
        settings.PUBLIC_URL = stack.urls["web"]
        stack.wait_until_ready()
        outside = Outside(Sandbox(stack.urls["mifos"]), Sandbox(stack.urls["safaricom"]))
        partner = lender.set_up(outside)
        try:
            Run(partner, outside, say=lambda line: None).play()
            # Playwright keeps a loop in this thread, for which Django refuses the database.
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
            args = ["--no-sandbox"] if os.geteuid() == 0 else []
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=args)
                take_all(browser, stack.urls["web"], partner)
        finally:
            lender.tidy_up(partner)


def take_all(browser: Browser, server: str, partner: Partner) -> None:
    # Who asks must not be who approves.
    grace, daniel = a_person("grace", "Grace Achieng"), a_person("daniel", "Daniel Mutua")
    asked = ask_for(signed_in(browser, server, grace), partner)
    paid = Disbursement.objects.filter(partner=partner, status=Status.RECORDED).earliest("pk")
    desk = signed_in(browser, server, daniel)
    see_connection_tested(desk, partner)
    for name, path in {
        "home": "/",
        "partner": f"/partners/{partner.code}/",
        "test": f"/partners/{partner.code}/mifos/",
        "list": "/disbursements/",
        "detail": f"/disbursements/{paid.pk}/",
        "approval": f"/disbursements/{asked.pk}/approve/",
    }.items():
        take(desk, name, path)
    take(signed_in(browser, server, daniel, color_scheme="dark"), "list-dark", "/disbursements/")
    phone = signed_in(browser, server, daniel, viewport=PHONE, is_mobile=True)
    take(phone, "detail-phone", f"/disbursements/{paid.pk}/")


def a_person(username: str, name: str) -> tuple[str, str]:
    password = secrets.token_urlsafe(12)
    first, last = name.split()
    person, _ = User.objects.get_or_create(username=username)
    person.first_name, person.last_name, person.is_superuser = first, last, True
    person.set_password(password)
    person.save()
    return username, password


def signed_in(browser: Browser, server: str, who: tuple[str, str], **options: Any) -> Page:
    page = browser.new_context(**{"base_url": server, "viewport": DESK, **options}).new_page()
    page.goto("/login/")
    page.locator("[name=username]").fill(who[0])
    page.locator("[name=password]").fill(who[1])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login/" not in url)
    return page


def ask_for(page: Page, partner: Partner) -> Disbursement:
    page.goto("/disbursements/new/")
    page.get_by_label("Partner").select_option(partner.code)
    page.get_by_label("Recipient's name").fill("Wanjiru Kamau")
    page.get_by_label("Recipient's M-Pesa number").fill("0712 345 678")
    page.get_by_label("Amount, KES").fill("12500")
    page.get_by_label("What it is for").fill("A fee that was taken twice at disbursement.")
    page.get_by_role("button", name="Check the answers").click()
    page.get_by_role("button", name="Enter it for approval").click()
    page.get_by_text("Waiting for someone else to approve").wait_for()
    return Disbursement.objects.filter(partner=partner, status=Status.AWAITING_APPROVAL).latest(
        "pk"
    )


def see_connection_tested(page: Page, partner: Partner) -> None:
    page.goto(f"/partners/{partner.code}/mifos/")
    page.get_by_role("button", name="Test connection").click()
    page.locator("#test .badge", has_text="Good").last.wait_for()


def take(page: Page, name: str, path: str) -> None:
    page.goto(path)
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{name}.png"
    page.screenshot(path=file, animations="disabled")
    sys.stdout.write(f"{file.relative_to(PROJECT)}  {file.stat().st_size // 1024} kB\n")


if __name__ == "__main__":
    main()
