"""What happens on the day of the canaries: people sign in, a lender is set up, loans are paid."""

import json
from datetime import timedelta
from typing import Any

import requests
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.test import override_settings
from django.utils import timezone

from disbursements import shortcodes
from disbursements.models import Attempt, Disbursement
from disbursements.states import Status
from partners.models import (
    LoanProduct,
    MifosConnection,
    MpesaShortcode,
    Partner,
    Role,
    Scope,
    SettingsChange,
    WebhookEndpoint,
)
from paymentvault.celery import app
from paymentvault.models import User
from tests.canaries import canary, plain_canary
from tests.canaries_day import Day, Recorded
from tests.paymentvault.wire import Wire
from tests.waiting import until

CODE = "kanari"
PLACE = f"/partners/{CODE}/"
PHONE = "0712345678"


class Morning:
    """The people, the lender and what is done on any day, in order."""

    def __init__(self, day: Day, mifos: Any, safaricom: Any, *, portal: str) -> None:
        self.day, self.portal = day, portal
        self.mifos_at, self.safaricom_at = mifos.url, safaricom.url
        self.mifos, self.safaricom = mifos.world, safaricom.world

    def begin(self) -> None:
        self.people()
        self.lender_is_set_up()
        self.second_factor()
        self.settings_change()
        self.payouts()
        self.wrong_bodies_and_addresses()
        self.keys_and_tokens()
        self.told_to_their_system()

    # -- people

    def people(self) -> None:
        self.passwords = {}
        for name, role in (("wanjiru", Role.ADMINISTRATOR), ("otieno", Role.ADMINISTRATOR)):
            user = self._person(name, is_superuser=True, is_staff=True)
            user.memberships.create(role=role, partner=None)
        self._person("amina"), self._person("baraka")
        self.wanjiru = self._signed_in("wanjiru")
        self.otieno = self._signed_in("otieno")
        stranger = self.day.browser()
        wrong = self._typed()
        for name in ("wanjiru", "nobody"):
            stranger.post("/login/", {"username": name, "password": wrong})
            stranger.post("/admin/login/", {"username": name, "password": wrong})
        self._password_changes()

    def _person(self, name: str, **rights: bool) -> User:
        self.passwords[name] = word = canary()
        self.day.learn("password of a person", word)
        return User.objects.create_user(name, password=word, **rights)

    def _typed(self) -> str:
        """A secret that somebody types and nobody saves."""
        word = canary()
        self.day.learn("typed", word)
        return word

    def _signed_in(self, name: str) -> Recorded:
        browser = self.day.browser()
        sent = {"username": name, "password": self.passwords[name]}
        assert browser.post("/login/?next=/profile/", sent)["Location"] == "/profile/"
        return browser

    def _password_changes(self) -> None:
        new, old = self._typed(), self.passwords["otieno"]
        self.day.learn("password of a person", new)
        for first, second in ((new, self._typed()), (new, new)):
            self.otieno.post("/profile/password/", {
                "old_password": old, "new_password1": first, "new_password2": second,
            })  # fmt: skip
        self.passwords["otieno"] = new
        assert User.objects.get(username="otieno").check_password(new)

    # -- the lender

    def lender_is_set_up(self) -> None:
        self.mifos.reset()
        self.safaricom.reset()
        password, self.initiator = canary(), canary()
        self.consumer = plain_canary(), plain_canary()
        self.mifos.add_user("vault", password)
        self.safaricom.add_app(
            consumer_key=self.consumer[0], consumer_secret=self.consumer[1], shortcode="600984",
            initiator="testapi", password=self.initiator, utility_balance=1_000_000,
        )  # fmt: skip
        self.wanjiru.press("/partners/new/", name="Kanari SACCO", code=CODE, is_active="on")
        self.partner = Partner.objects.get(code=CODE)
        self._connected(password)
        self._has_a_shortcode()
        self.wanjiru.press(f"{PLACE}mifos/on/")
        self._second_person()
        assert MifosConnection.objects.get(partner=self.partner).is_on
        self._on_since_yesterday()
        Partner.objects.filter(code=CODE).update(is_automatic=True)
        LoanProduct.objects.update(is_automatic=True)

    def connection_typed(self, **changes: Any) -> dict[str, Any]:
        form = self.wanjiru.open(f"{PLACE}mifos/").context["form"]
        return {
            "host_url": self.mifos_at, "api_path": "/fineract-provider/api/v1",
            "tenant_id": "default", "username": "vault", "payment_type_id": "26",
            "time_zone": "Africa/Nairobi", "reason": "Their letter.",
            "seen": form["seen"].value() or "",
        } | changes  # fmt: skip

    def _connected(self, password: str) -> None:
        typed = self.connection_typed(password=password)
        self.wanjiru.post(f"{PLACE}mifos/test/", typed | {"password": self._typed()})
        self.wanjiru.post(f"{PLACE}mifos/test/", typed)
        self.day.work()
        assert self.wanjiru.post(f"{PLACE}mifos/", typed).status_code == 302
        self.wanjiru.post(f"{PLACE}mifos/webhook/make/")
        for act in ("webhook/register", "test", "webhook/try", "products/ask", "poll"):
            self.wanjiru.post(f"{PLACE}mifos/{act}/")
        self.day.work()
        connection = MifosConnection.objects.get(partner=self.partner)
        assert connection.configured_at and connection.hook_id
        # The address that Mifos X calls from now on; the one before is valid for a while.
        self.wanjiru.press(f"{PLACE}mifos/webhook/rotate/")
        self.wanjiru.post(f"{PLACE}mifos/webhook/register/")
        self.day.work()

    def shortcode_typed(self, **changes: Any) -> dict[str, Any]:
        return {
            "shortcode": "600984", "environment": "sandbox", "initiator_name": "testapi",
            "base_url_override": self.safaricom_at, "is_active": "on", "is_default": "on",
            "certificate": self.safaricom.certificate_pem, "consumer_key": self.consumer[0],
            "consumer_secret": self.consumer[1], "initiator_password": self.initiator,
            "reason": "Their letter.", "seen": "",
        } | changes  # fmt: skip

    def _has_a_shortcode(self) -> None:
        assert self.wanjiru.post(f"{PLACE}mpesa/add/", self.shortcode_typed()).status_code == 302
        self.shortcode = MpesaShortcode.objects.get(shortcode="600984")
        self.wanjiru.press(f"{PLACE}mpesa/{self.shortcode.pk}/test/")
        self._worked()

    def _worked(self) -> None:
        self.day.work()
        self.safaricom.settle()
        self.mifos.settle()
        self.day.work()

    # -- the second factor

    def second_factor(self) -> None:
        amina = self._signed_in("amina")
        page = "/second-factor/totp/activate/"
        secret = amina.open(page).context["form"].secret
        self.day.learn("TOTP secret", secret)
        amina.post(page, {"code": "000000"})
        assert amina.post(page, {"code": _code(secret)}).status_code == 302
        for path in ("", "generate/", "download/"):
            answer = amina.open(f"/second-factor/recovery-codes/{path}")
            self.day.learn("recovery code", *((answer.context or {}).get("unused_codes") or ()))
        amina.post("/second-factor/recovery-codes/generate/")
        shown = amina.open("/second-factor/recovery-codes/").context["unused_codes"]
        self.day.learn("recovery code", *shown)
        amina.post("/logout/")
        self._back_with_a_code(shown)

    def _back_with_a_code(self, codes: list[str]) -> None:
        amina = self.day.browser()
        amina.post("/login/", {"username": "amina", "password": self.passwords["amina"]})
        for code in ("111111", codes[0]):
            amina.post("/second-factor/authenticate/", {"code": code})
        assert amina.open("/profile/").status_code == 200

    # -- two people for settings

    def settings_change(self) -> None:
        """What is typed while one must show again who one is waits in the session."""
        secret = self._typed()
        self.mifos.add_user("vault", secret)
        typed = self.connection_typed(password=secret)
        with override_settings(ASK_AGAIN_AFTER_S=600, ACCOUNT_REAUTHENTICATION_TIMEOUT=600):
            led = self.wanjiru.post(f"{PLACE}mifos/", typed)
            assert "second-factor" in led["Location"], led
            self.wanjiru.post(led["Location"], {"password": self._typed()})
            self.wanjiru.post(led["Location"], {"password": self.passwords["wanjiru"]})
            self.wanjiru.open(f"{PLACE}mifos/")
            assert self.wanjiru.post(f"{PLACE}mifos/", {"go_on": "1"}).status_code == 302
        self._second_person()
        connection = MifosConnection.objects.get(partner=self.partner)
        assert connection.password == secret
        self.wanjiru.post(f"{PLACE}mifos/test/")
        self.day.work()
        self._on_since_yesterday()

    def _on_since_yesterday(self) -> None:
        """So that a loan which was approved today is paid today."""
        now = timezone.now()
        MifosConnection.objects.filter(partner=self.partner).update(
            is_on=True, switched_on_at=now - timedelta(days=1), backlog_listed_at=now
        )

    def _second_person(self) -> None:
        """Looks at what waits, and confirms it."""
        for change in SettingsChange.objects.filter(state="waiting"):
            for browser in (self.wanjiru, self.otieno):
                browser.open("/settings-changes/")
                browser.open(f"/settings-changes/{change.pk}/")
            self.otieno.press(f"/settings-changes/{change.pk}/confirm/")

    # -- money

    def loan(self, phone: str = PHONE) -> int:
        loan_id: int = self.mifos.add_loan(self.mifos.add_client(mobile=phone), principal=10_000)
        return loan_id

    def payouts(self) -> None:
        paid = self.loan()
        self.mifos.approve(paid)
        self._ends(paid, Status.RECORDED)
        faults = ("contradicting_callback", "token_expired", "queue_timeout_only",
                  "answer_lost_no_callback", "error_500_after_acceptance", "result:2001",
                  "refused:400.002.02", "garbage_callback")  # fmt: skip
        for number, fault in enumerate(faults):
            phone = f"07220001{number:02}"
            self.safaricom.plan(f"254{phone[1:]}", fault)
            self.mifos.approve(self.loan(phone))
            self._worked()
            shortcodes.resume(self.shortcode, by="wanjiru", reason="It was looked at.")
        Disbursement.objects.filter(partner=self.partner).update(due_at="2026-01-01T00:00Z")
        for sweeper in ("sweep_unanswered", "sweep_sending", "sweep_approved", "read_balances"):
            app.tasks[f"disbursements.tasks.{sweeper}"].apply()
            self._worked()

    def _ends(self, loan_id: int, status: Status) -> None:
        def is_so() -> bool:
            self._worked()
            return Disbursement.objects.filter(loan_id=loan_id, status=status).exists()

        until(is_so, seconds=20)

    def wrong_bodies_and_addresses(self) -> None:
        """What comes from outside carries its secret in the address or in the body."""
        connection = MifosConnection.objects.get(partner=self.partner)
        token = connection.webhook_token
        wrong = plain_canary()
        self.day.learn("typed", wrong)
        program = self.day.browser(surface="programs")
        seed = {
            "eventType": "loan_approved", "partnerId": str(self.partner.pk), "loanId": "3198",
            "clientId": "1", "clientPhone": PHONE, "clientName": "Amina", "productId": "2",
            "loanAmount": "10000.00", "productName": "Biashara", "webhookToken": token,
            "approvedAt": "2026-11-23T09:00:00Z",
        }  # fmt: skip
        for body in (seed, seed | {"webhookToken": wrong}, seed | {"loanAmount": "x"}, [token]):
            program.post("/mifos-webhook/loan-approval", json.dumps(body), "application/json")
        hook = {"url": f"{self.portal}/mifos-webhook/{token}/", "entityName": "HOOK"}
        for address in (token, wrong, f"{token}/x"):
            program.post(f"/mifos-webhook/{address}/", json.dumps(hook), "application/json")
            program.get(f"/mifos-webhook/{address}")
        for secret in ("0" * 32, callback_token()):
            program.post(f"/cb/{secret}/r", "{}", "application/json")
            program.get(f"/cb/{secret}/r?token={wrong}")
        requests.post(f"{self.portal}/mifos-webhook/{token}/", data="not JSON", timeout=10)
        self._worked()

    # -- programs

    def keys_and_tokens(self) -> None:
        key = self.wanjiru.press(f"{PLACE}keys/new/", name="Core", scopes=Scope.values, lives="90")
        self.key = self._key(key)
        made = self.partner.api_keys.get()
        rotated = self.wanjiru.press(f"{PLACE}keys/{made.pk}/rotate/", lives="30", both_for="24")
        self._key(rotated)
        self._tokens()

    def _key(self, made: Any) -> str:
        text = str(made.context["text"])
        # What comes before names it, and is shown.
        self.day.learn("API key", text.split("_", 2)[2])
        return text

    def _tokens(self) -> None:
        first = self.wanjiru.post("/api/v1/tokens", {}, "application/json").json()
        sent = {"refresh": first["refresh"]}
        second = self.wanjiru.post("/api/v1/tokens/refresh", sent, "application/json").json()
        for pair in (first, second):
            self.day.learn("refresh token", pair["refresh"].split("_", 2)[2])
            self.day.learn("access token", pair["access"].rpartition(".")[2])
        self.access = second["access"]
        for path in ("refresh", "revoke"):
            # Spent: somebody has a copy of it.
            self.wanjiru.post(f"/api/v1/tokens/{path}", sent, "application/json")
        self.wanjiru.get(f"/api/v1/partners?access_token={second['access']}")

    def told_to_their_system(self) -> None:
        """Their own system listens, and is told signed."""
        with Wire(lambda sock: sock.sendall(b"HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n")) as it:
            self.wanjiru.post(f"{PLACE}deliveries/endpoints/new/", {
                "url": it.url, "events": ["disbursement.paid", "disbursement.recorded"],
            })  # fmt: skip
            endpoint = WebhookEndpoint.objects.get(partner=self.partner)
            its_page = f"{PLACE}deliveries/endpoints/{endpoint.pk}/"
            for act in ("secret", "rotate", "secret", "secret", "test"):
                self.wanjiru.press(f"{its_page}{act}/", keep_old="on")
            self.mifos.approve(self.loan())
            self._worked()
            assert any(b"webhook-signature" in head.lower() for head in it.requests)
        self.wanjiru.press(f"{its_page}test/")
        self._worked()


def _code(secret: str) -> str:
    counter = next(iter(yield_hotp_counters_from_time()))
    return str(format_hotp_value(hotp_value(secret, counter)))


def callback_token() -> str:
    """Of the newest request to M-Pesa."""
    return str(Attempt.objects.latest("pk").callback_token)
