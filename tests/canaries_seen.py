"""The rest of that day: trouble, mistakes, and somebody who looks at everything there is."""

import base64
import contextlib
import io
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any
from unittest import mock

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core import mail
from django.core.management import call_command
from django.test import override_settings
from django.urls import get_resolver, reverse

from disbursements.models import Callback, Disbursement
from disbursements.mpesa import security_credential
from mifos import connections
from mifos.models import Event
from partners.models import MifosConnection, MpesaShortcode, SettingsChange, WebhookEndpoint
from paymentvault import doorbell, http
from paymentvault.celery import app
from paymentvault.models import Job, User
from tests.canaries import canary, plain_canary
from tests.canaries_day import pages_breaking
from tests.canaries_lived import CODE, PLACE, Morning, callback_token
from tests.pages import rows, walk
from tests.paymentvault.wire import Wire


class WholeDay(Morning):
    def live(self) -> None:
        self.begin()
        self.remote_trouble()
        self.mistakes_in_forms()
        self.other_side_echoes()
        self.day.keep_tables()
        self.every_page()
        self.admin()
        self.api()
        self.exports()
        self.everything_breaks()
        self.commands()
        self.day.look_into_redis()
        self.day.keep_tables()

    # -- trouble

    def remote_trouble(self) -> None:
        """Wrong passwords, 500s, time-outs, resets: each is told to somebody."""
        for fault in ("reset", "error_500", "html_502", "slow:1"):
            with mock.patch.object(http.Transport.__init__, "__defaults__", _hurried()):
                self.mifos.plan(fault)
                self.wanjiru.post(f"{PLACE}mifos/test/")
                self.day.work()
        self.mifos.add_user("vault", "another password")
        self.mifos.approve(self.loan())
        for act in ("test", "poll", "webhook/register", "products/ask"):
            self.wanjiru.post(f"{PLACE}mifos/{act}/")
        self._worked()
        self._other_ways_to_sign_in()
        self.mifos.add_user("vault", MifosConnection.objects.get(partner=self.partner).password)

    def _other_ways_to_sign_in(self) -> None:
        """By OAuth2, right and wrong; and up to Fineract 1.3, whose password is in the address."""
        secret = canary()
        for known in (secret, plain_canary()):
            self.mifos.add_user("client", known)
            self.mifos.use_oauth = True
            self._tests(oauth_token_url=f"{self.mifos_at}/oauth/token", oauth_client_id="client",
                        oauth_client_secret=secret, username="", password="")  # fmt: skip
        self.mifos.use_oauth = False
        generation, old = self.mifos.generation, canary()
        self.mifos.generation = type(generation).named("1.3")
        self.mifos.add_user("old", old)
        self._tests(username="old", password=old)
        self.mifos.generation = generation

    def _tests(self, **changes: Any) -> None:
        """Save a connection so, past the two people, and test it."""
        row = MifosConnection.objects.get(partner=self.partner)
        was = {name: getattr(row, name) for name in changes}
        for name, value in changes.items():
            setattr(row, name, value)
        row.save()
        connections.test(row, by="wanjiru")
        for name, value in was.items():
            setattr(row, name, value)
        row.save()

    def mistakes_in_forms(self) -> None:
        """Secrets typed into forms that can't be saved as they are."""
        secret, in_address = self._typed, plain_canary()
        self.day.learn("password in an address", in_address)
        typed = self.connection_typed(password=secret(), oauth_client_secret=secret())
        for wrong in ({"host_url": "no address"}, {"time_zone": "Mars"}, {"reason": ""},
                      {"ca_bundle": "no PEM"}, {"seen": "2020-01-01T00:00:00+00:00"},
                      {"host_url": f"https://vault:{in_address}@mifos.example"}):  # fmt: skip
            self.wanjiru.post(f"{PLACE}mifos/", typed | wrong)
            self.wanjiru.post(f"{PLACE}mifos/test/", typed | wrong)
            self.wanjiru.post(f"{PLACE}mifos/test/", typed | wrong, headers={"HX-Request": "true"})
        names = ("consumer_key", "consumer_secret", "initiator_password", "security_credential")
        short = {name: secret() for name in names}
        for path in ("add/", f"{self.shortcode.pk}/edit/"):
            for wrong in ({}, {"shortcode": "x"}, {"certificate": "no PEM"}):
                self.wanjiru.post(f"{PLACE}mpesa/{path}", self.shortcode_typed(**short, **wrong))
        self._ready_made_credential()

    def _ready_made_credential(self) -> None:
        """In place of a password; another shortcode has it."""
        credential = security_credential(self.initiator, self.safaricom.certificate_pem)
        typed = self.shortcode_typed(
            shortcode="600985", security_credential=credential, initiator_password="",
            consumer_key=plain_canary(), consumer_secret=plain_canary(), is_default="",
        )  # fmt: skip
        self.wanjiru.post(f"{PLACE}mpesa/add/", typed)
        self._second_person()
        made = MpesaShortcode.objects.get(shortcode="600985")
        self.wanjiru.press(f"{PLACE}mpesa/{made.pk}/test/")
        self._worked()

    def other_side_echoes(self) -> None:
        """A server that tells back, in its error, all that it was sent."""
        token = plain_canary()
        self.day.learn("AccessToken.token", token)
        with _telling_back(token) as server:
            typed = {"host_url": server.url, "password": self._typed(), "username": "vault"}
            self.wanjiru.post(f"{PLACE}mifos/test/", self.connection_typed(**typed))
            self.day.work()
            self.wanjiru.post("/api/v1/mifos/test-connection", {"partner": CODE} | typed,
                              "application/json")  # fmt: skip
            self._tests(host_url=server.url)
            for path in (f"{PLACE}", f"{PLACE}mifos/", "/api/v1/partners/kanari"):
                self.wanjiru.open(path)
            with mock.patch.object(MpesaShortcode, "base_url", server.url):
                self.wanjiru.press(f"{PLACE}mpesa/{self.shortcode.pk}/test/")
                self._worked()
            assert Job.objects.filter(lines__icontains="told back").count() >= 2

    # -- looking at all of it

    def every_page(self) -> None:
        """Each page there is, with rows of this lender's to show; and where they lead."""
        made = rows.Rows(
            User.objects.get(username="amina"), User.objects.get(username="baraka"), self.partner,
            MifosConnection.objects.get(partner=self.partner), self.shortcode,
            rows._set_up("ready", "Ready SACCO", "600998", is_automatic=False)[0],
        )  # fmt: skip
        # Beside the products that Mifos X listed.
        with mock.patch.object(rows, "_numbers", itertools.count(70)):
            made.more(1)
        self.pages = [page.path for page in walk.pages(made)]
        paths = [*self.pages]
        for kind, address in (
            (Job, "job"), (Disbursement, "disbursements:detail"), (Event, "events:detail"),
            (SettingsChange, "changes:detail"), (Callback, "callbacks:detail"),
        ):  # fmt: skip
            keys = kind.objects.values_list("pk", flat=True)[:40]
            paths += [reverse(address, args=[pk]) for pk in keys]
        for path in dict.fromkeys(paths):
            self.wanjiru.open(path)
        self.wanjiru.get(paths[0], headers={"HX-Request": "true"})

    def admin(self) -> None:
        for model in admin.site._registry:
            about = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            for page in ("changelist", "add"):
                self.otieno.open(reverse(f"{about}_{page}"))
            newest = model._default_manager.order_by("-pk").values_list("pk", flat=True)[:3]
            for number, pk in enumerate(newest):
                for page in ("change", "history", "delete")[: 1 if number else 3]:
                    self.otieno.open(reverse(f"{about}_{page}", args=[quote(pk)]))
        change = reverse("admin:partners_mpesashortcode_change", args=[self.shortcode.pk])
        self.otieno.post(change, self.shortcode_typed(shortcode="x", consumer_key=self._typed()))
        self.otieno.post(change, self.shortcode_typed(partner=str(self.partner.pk)))
        self.otieno.post("/admin/paymentvault/user/add/", {
            "username": "new", "password1": self._typed(), "password2": self._typed(),
        })  # fmt: skip
        for button in ("verify", "export"):
            self.otieno.post(f"/admin/paymentvault/auditevent/{button}/")
        self.day.work()

    def api(self) -> None:
        names = {
            name for name in get_resolver("paymentvault.api.urls").reverse_dict
            if isinstance(name, str) and name != "nothing" and not name.endswith("-slash")
        }  # fmt: skip
        program = self.day.browser()
        for name in sorted(names):
            for path in self._api_paths(name):
                self.wanjiru.get(path)
                for bearer in (self.key, self.access):
                    program.get(path, headers={"Authorization": f"Bearer {bearer}"})
                program.post(path, {"partner": CODE}, "application/json",
                             headers={"Authorization": f"Bearer {self.key}"})  # fmt: skip
        for bearer in (self.key + "x", f"pv_00000000_{self._typed()}", self.access + "x"):
            program.get("/api/v1/partners", headers={"Authorization": f"Bearer {bearer}"})
        for body in ('{"partner": ', json.dumps({"partner": CODE, "password": self._typed(),
                                                  "host_url": "no"})):  # fmt: skip
            self.wanjiru.post("/api/v1/mifos/test-connection", body, "application/json")

    def _api_paths(self, name: str) -> list[str]:
        ours = {"id": Disbursement.objects.filter(partner=self.partner).latest("pk").pk}
        about = {
            "partner": [{"code": CODE}],
            "callback": [{"id": row.pk} for row in Callback.objects.all()[:8]],
            "event": [{"id": row.pk} for row in Event.objects.all()[:8]],
            **dict.fromkeys(("disbursement", "approve", "reject", "retry"), [ours]),
        }
        return [reverse(f"api:{name}", kwargs=kwargs) for kwargs in about.get(name, [{}])]

    def exports(self) -> None:
        self.wanjiru.surface = "exports"
        for form in ("csv", "xlsx"):
            answer = self.wanjiru.open(reverse("disbursements:export", args=[form]))
            assert answer.status_code == 200
        self.otieno.surface = "exports"
        self.otieno.post("/admin/paymentvault/auditevent/export/")
        self.wanjiru.surface = self.otieno.surface = ""

    # -- faults of ours

    def everything_breaks(self) -> None:
        self.wanjiru.surface = "error pages"
        with override_settings(ADMINS=[("Ops", "ops@vault.example")]):
            with pages_breaking() as arm:
                for path in self.pages:
                    arm()
                    self.wanjiru.open(path)
            self._hooks_break()
            self._tasks_break()
        self.wanjiru.surface = ""
        for message in mail.outbox:
            self.day.traces.keep("error pages", "mail", message.message().as_bytes())

    def _hooks_break(self) -> None:
        program = self.day.browser(surface="error pages")
        token = MifosConnection.objects.get(partner=self.partner).webhook_token
        with mock.patch.object(doorbell, "ring", side_effect=RuntimeError("It broke.")):
            program.post(f"/mifos-webhook/{token}/", "{}", "application/json")
            program.post(f"/cb/{callback_token()}/r", "{}", "application/json")
        with mock.patch("rest_framework.renderers.JSONRenderer.render", side_effect=RuntimeError):
            program.get("/api/v1/partners", headers={"Authorization": f"Bearer {self.key}"})
            self.wanjiru.post("/api/v1/tokens", {}, "application/json")

    def _tasks_break(self) -> None:
        """Each task, with a fault of ours where it would speak to the outside."""
        due = "2026-01-01T00:00Z"
        Disbursement.objects.filter(partner=self.partner).update(due_at=due)
        broken = mock.patch.object(http.Transport, "send", side_effect=RuntimeError("It broke."))
        event = Event.objects.filter(loan_id__isnull=False).latest("received_at")
        endpoint = WebhookEndpoint.objects.filter(partner=self.partner, is_on=True).first()
        given = {
            "process_event": event.pk, "poll_connection": event.connection_id,
            "deliver": endpoint and endpoint.pk, "run_job": self._waiting_job(),
        }  # fmt: skip
        with broken:
            for name, task in app.tasks.items():
                if name.partition(".")[0] not in ("disbursements", "mifos", "paymentvault"):
                    continue
                word = name.rpartition(".")[2]
                takes = bool(task.run.__code__.co_argcount)
                about = given.get(word) or Disbursement.objects.latest("pk").pk
                # Celery's own log tells of what a task raises.
                with contextlib.suppress(Exception):
                    task.apply([str(about) if word == "run_job" else about] if takes else [])
            self.day.work()

    def _waiting_job(self) -> str:
        typed = self.connection_typed(password=self._typed(), tenant_id="t2")
        self.wanjiru.post(f"{PLACE}mifos/test/", typed)
        return str(Job.objects.filter(state="waiting").latest("created_at").pk)

    def commands(self) -> None:
        for name, options in (("check", {}), ("check", {"deploy": True}), ("verify_audit", {}),
                              ("rotate_fernet_keys", {})):  # fmt: skip
            said = io.StringIO()
            with contextlib.suppress(Exception, SystemExit):
                call_command(name, stdout=said, stderr=said, **options)
            self.day.traces.keep("commands", name, said.getvalue() or "nothing")


@contextlib.contextmanager
def _telling_back(token: str) -> Iterator[Wire]:
    """A server that gives out tokens, and refuses all else with what it was sent."""
    heads: list[bytes] = []

    def speak(sock: Any) -> None:
        # The wire keeps a request's head before it lets anyone answer.
        sent = re.findall("authorization: ([^\r]*)", heads[-1].decode(), re.IGNORECASE)[0]
        plain = base64.b64decode(sent.partition(" ")[2] + "==").decode(errors="replace")
        words = f"told back {sent} which is {plain} or {sent.partition(' ')[2]}"
        body: dict[str, Any] = {"defaultUserMessage": words, "errorMessage": words,
                                "errorCode": "400.002.02"}  # fmt: skip
        is_token = b"/oauth/" in heads[-1]
        if is_token:
            body = {"access_token": token, "expires_in": "3599"}
        text = json.dumps(body).encode()
        status = "200" if is_token else "403"
        sock.sendall(f"HTTP/1.1 {status} x\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)

    with Wire(speak) as server:
        heads = server.requests
        yield server


def _hurried() -> tuple[Any, ...]:
    """Transport's own defaults, with short time-outs."""
    short = {http.CONNECT_TIMEOUT_S: 0.5, http.READ_TIMEOUT_S: 0.3}
    return tuple(
        short.get(value, value) if type(value) is float else value
        for value in http.Transport.__init__.__defaults__ or ()
    )
