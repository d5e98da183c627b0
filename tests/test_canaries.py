"""Secrets touch the database, encrypted, and the wire; nothing else. A day is lived to show it."""

import base64
import contextlib
import html
import json
import logging
from urllib.parse import quote

import pytest
from django.conf import settings
from django.test import override_settings
from django.urls import reverse
from pytest_django.live_server_helper import LiveServer

from disbursements.models import Disbursement
from partners.models import Partner
from paymentvault import doorbell
from paymentvault import settings as ours
from paymentvault.jobs import run_job
from paymentvault.logging import MASKED, mask
from tests import canaries_day
from tests.canaries import Canaries, Traces, canary, forms, plain_canary
from tests.canaries_day import WHOLE_FORMS, Day, encrypted_fields
from tests.canaries_lived import CODE
from tests.canaries_seen import WholeDay
from tests.conftest import Answering

# Each test's own rows are undone behind it; the day's stay until the last of them.
pytestmark = pytest.mark.django_db

# All that there is besides what is encrypted in the database.
OTHER_SECRETS = {
    "SECRET_KEY", "FERNET_KEYS", "password of a person", "session key", "TOTP secret",
    "recovery code", "API key", "refresh token", "access token", "typed", "password in an address",
}  # fmt: skip
TOKENS = {"access token", "refresh token"}
# What is shown on purpose, and where. Nothing else is, and nothing of this is there for nothing.
SHOWN: dict[str, dict[str, set[str]]] = {
    "pages": {
        # Once, in the answer to the press that made it. One is another's predecessor by now.
        "POST keys:new": {"API key"},
        "POST keys:rotate": {"API key"},
        "POST deliveries:endpoint-secret": {
            "WebhookEndpoint.secret", "WebhookEndpoint.previous_secret",
        },
        # To whom it belongs, while they set it up; and to write down.
        "GET mfa_activate_totp": {"TOTP secret"},
        "POST mfa_activate_totp": {"TOTP secret"},
        "GET mfa_view_recovery_codes": {"recovery code"},
        "GET mfa_download_recovery_codes": {"recovery code"},
        # To whoever may see the connection: it is copied into Mifos X from there.
        "GET connection:webhook": {"MifosConnection.webhook_token"},
        # What is typed where no secret belongs comes back to whoever typed it, to be put right.
        "POST connection:edit": {"password in an address"},
        "POST connection:test": {"password in an address"},
    },
    "api": {"POST api:tokens": TOKENS, "POST api:tokens-refresh": TOKENS},
    "cookies": {"sessionid": {"session key"}},
}  # fmt: skip
# Each place where a secret could have got to, and how many such there are at least.
SURFACES = {
    "pages": 110, "admin": 80, "api": 30, "programs": 5, "error pages": 80, "exports": 2,
    "headers": 200, "cookies": 2, "commands": 3, "redis": 20, "task payloads": 8,
    "database": 300, "log": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def portal():
    """One of the day's own: with the other, pytest-django empties the tables after each test."""
    server = LiveServer("localhost", start=False)
    server.thread.server_class = Answering
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def day(django_db_setup, django_db_blocker, mifos_server, safaricom_server, portal):
    limits = settings.CACHES["limits"] | {"KEY_PREFIX": canaries_day.KEYS}
    secret_key, fernet_key = plain_canary(), plain_canary()
    with django_db_blocker.unblock(), contextlib.ExitStack() as stack:
        day = Day(ours.REDIS_URL)
        day.learn("SECRET_KEY", secret_key)
        day.learn("FERNET_KEYS", fernet_key)
        stack.callback(canaries_day.emptied)
        for part in (
            override_settings(
                PUBLIC_URL=portal.url, SECRET_KEY=secret_key, MFA_RECOVERY_CODE_DIGITS=16,
                CACHES=settings.CACHES | {"limits": limits}, API_CONNECTION_TESTS_PER_MINUTE=1000,
            ),
            canaries_day.own_keys(fernet_key),
            canaries_day.learning(day),
            canaries_day.logged(day),
            canaries_day.through_redis(day, ours.REDIS_URL),
            canaries_day.working_while_waiting(day),
        ):  # fmt: skip
            stack.enter_context(part)
        lived = WholeDay(day, mifos_server, safaricom_server, portal=portal.url)
        lived.live()
        day.keep_log()
        day.people = {"wanjiru": lived.wanjiru, "otieno": lived.otieno}
        yield day


@pytest.fixture
def planted(day, monkeypatch):
    """A day that begins anew, with one canary known."""
    monkeypatch.setattr(day, "traces", Traces())
    monkeypatch.setattr(day, "canaries", Canaries())
    secret = plain_canary()
    day.learn("planted", secret)
    return secret


# -- the day


@pytest.mark.parametrize("surface", SURFACES)
def test_a_secret_is_nowhere_but_where_it_is_shown_on_purpose(day, surface):
    found: dict[str, set[str]] = {}
    for place, kind in day.traces.leaks(surface, day.canaries):
        found.setdefault(place, set()).add(kind)

    assert found == SHOWN.get(surface, {})


@pytest.mark.parametrize("surface, at_least", SURFACES.items())
def test_there_was_something_to_search_in(day, surface, at_least):
    places = day.traces.places[surface]

    assert len(places) >= at_least
    assert any(any(texts) for texts in places.values())


def test_no_surface_is_left_out(day):
    assert set(day.traces.places) == {*SURFACES, "no-store", "may be cached"}


def test_every_secret_that_there_is_had_a_canary(day):
    """A new encrypted field fails here, until the day has something written to it."""
    fields = set(encrypted_fields())

    assert fields == day.encrypted
    assert set(day.canaries.values) == fields - WHOLE_FORMS | OTHER_SECRETS


def test_what_shows_a_secret_is_kept_by_no_browser_and_no_proxy(day):
    shown = day.traces.leaks("may be cached", day.canaries)

    assert {kind for _, kind in shown} <= {"password in an address"}


@pytest.mark.parametrize(
    "logger",
    ["django.request", "django_structlog", "celery.app.trace", "urllib3.connectionpool",
     "mifos.events", "disbursements.models", "paymentvault.audit"],
)  # fmt: skip
def test_all_of_them_wrote_into_the_log(day, logger):
    log = b"".join(day.traces.places["log"]["lines"])

    assert f'"logger": "{logger}'.encode() in log
    assert b"Traceback" in log and b"[debug    ]" in log


# -- the search can find


def test_in_a_line_of_the_log(day, planted):
    logging.getLogger("somebody.elses").warning("it is %s, they say", planted)
    day.keep_log()

    assert day.traces.leaks("log", day.canaries) == {("lines", "planted")}


@pytest.fixture
def name_of_the_lender(day, planted):
    Partner.objects.filter(code=CODE).update(name=planted)


@pytest.mark.parametrize(
    "surface, path",
    [
        ("pages", f"/partners/{CODE}/"),
        ("error pages", f"/partners/{CODE}/"),
        ("admin", "/admin/partners/partner/"),
        ("api", f"/api/v1/partners/{CODE}"),
    ],
)
def test_on_a_page(day, name_of_the_lender, surface, path):
    otieno = day.people["otieno"]
    otieno.surface = surface if surface == "error pages" else ""
    otieno.get(path)
    otieno.surface = ""

    assert {kind for _, kind in day.traces.leaks(surface, day.canaries)} == {"planted"}


def test_in_a_header(day, planted):
    """Of a cookie the table of what is shown says so: its own value is found there each time."""
    answer = day.browser().open("/disbursements/", q=planted)

    assert planted in answer["Location"]
    assert {kind for _, kind in day.traces.leaks("headers", day.canaries)} == {"planted"}


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_in_an_exported_file(day, planted, form):
    row = Disbursement.objects.latest("pk")
    Disbursement.objects.filter(pk=row.pk).update(client_name=planted)
    wanjiru = day.people["wanjiru"]
    wanjiru.surface = "exports"
    wanjiru.open(reverse("disbursements:export", args=[form]))
    wanjiru.surface = ""

    assert day.traces.leaks("exports", day.canaries) == {("GET disbursements:export", "planted")}


def test_in_what_a_task_is_given(day, planted, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        doorbell.ring(run_job, planted)
    day.look_into_redis()
    day.redis.delete(*day.redis.scan_iter(f"{canaries_day.KEYS}jobs"))

    assert day.traces.leaks("task payloads", day.canaries) == {(run_job.name, "planted")}
    # What is told of it to whoever listens is a place of its own.
    assert len(day.traces.leaks("redis", day.canaries)) >= 2


@pytest.mark.parametrize(
    "keep",
    [
        lambda store, key, text: store.set(key, text),
        lambda store, key, text: store.rpush(key, "other", text),
        lambda store, key, text: store.sadd(key, text),
        lambda store, key, text: store.zadd(key, {text: 1}),
        lambda store, key, text: store.hset(key, "name", text),
        lambda store, key, text: store.xadd(key, {"name": text}),
    ],
    ids=["string", "list", "set", "sorted set", "hash", "stream"],
)
def test_under_a_key_of_redis_of_any_type(day, planted, keep):
    key = "of-a-test-of-canaries"
    try:
        keep(day.redis, key, planted)
        day.look_into_redis()
    finally:
        day.redis.delete(key)

    assert day.traces.leaks("redis", day.canaries) == {(key, "planted")}


def test_in_a_table(day, planted, name_of_the_lender):
    day.keep_tables()

    places = {place for place, _ in day.traces.leaks("database", day.canaries)}
    # Also where a trigger of the database wrote it.
    assert places == {"partners_partner.name", "paymentvault_rowchange.changes"}


def test_in_a_session(day, planted):
    """Encrypted, so that only whoever breaks that finds it: here, nobody does."""
    session = day.people["wanjiru"].session
    session["typed"] = planted
    session.save()
    day.keep_tables()

    assert day.traces.leaks("database", day.canaries) == set()


# -- the finder


ESCAPED = {
    "as it is": lambda text: text.encode(),
    "JSON": lambda text: json.dumps({"a": text}).encode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)).encode(),
    "HTML": lambda text: html.escape(text).encode(),
    "address": lambda text: quote(text).encode(),
    "Python": lambda text: repr({"a": text}).encode(),
    "hex": lambda text: text.encode().hex().encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "Basic": lambda text: base64.b64encode(f"vault:{text}".encode()),
    "the end of it": lambda text: text[len(text) // 2 :].encode(),
    "the beginning of it": lambda text: text[: len(text) // 2].encode(),
}


@pytest.mark.parametrize("make", [canary, plain_canary])
@pytest.mark.parametrize("escaped", ESCAPED)
def test_a_canary_is_found_however_it_is_written(escaped, make):
    secret, known = make(), Canaries()
    known.learn("it", secret)

    assert known.found(b"before " + ESCAPED[escaped](secret) + b" after") == {"it"}
    assert known.found(ESCAPED[escaped](make())) == set()


def test_base64_is_found_whatever_stands_before():
    for before in range(9):
        text = base64.b64encode(b"x" * before + b"Kn01234567")
        assert any(form in text for form in forms("Kn01234567"))


# -- what is known by its looks


@pytest.mark.parametrize(
    "secret",
    ["pv_0a1b2c3d_{}", "pvr_0123456789abcdef0123456789abcdef_{}", "whsec_{}=",
     "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{}"],
)  # fmt: skip
def test_a_secret_of_ours_is_masked_wherever_it_stands(secret):
    core = plain_canary()

    masked = mask(f"It said {secret.format(core)}, and no more.")

    assert core not in masked and MASKED in masked
    assert masked.endswith(", and no more.")
