"""Whoever asks too often waits: strangers at webhooks, testers, guessers; also without Redis."""

import json

import pytest
from django.core.cache import caches
from django.test import Client
from django.urls import reverse

from disbursements.models import Callback
from mifos.models import Event
from partners import work
from partners.models import Membership, Role
from paymentvault.api import limits
from paymentvault.models import AuditEvent, Job, User
from tests.mifos.conftest import flat

pytestmark = pytest.mark.django_db

UNKNOWN, STRANGER = "0" * 32, "203.0.113.7"
NO_REDIS = {
    "BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0",
}  # fmt: skip


@pytest.fixture(autouse=True)
def counted_here(settings, monkeypatch):
    here = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "limits"}
    settings.CACHES = settings.CACHES | {"limits": here}
    monkeypatch.setattr(limits, "_resting_until", 0.0)
    caches["limits"].clear()


def hook(token, address=STRANGER):
    client = Client(REMOTE_ADDR=address)
    return client.post(f"/mifos-webhook/{token}/", flat(3198), content_type="application/json")


def callback(token, address=STRANGER):
    client = Client(REMOTE_ADDR=address)
    return client.post(f"/cb/{token}/r", json.dumps({"Result": {}}), "application/json")


@pytest.mark.parametrize("call", [hook, callback])
def test_a_stranger_at_a_webhook_is_slowed_down_and_keeps_nobody_out(
    settings, connection, sent, call
):
    settings.WEBHOOK_STRANGERS_PER_MINUTE = 3
    known = connection.webhook_token if call is hook else sent().callback_token

    answers = [call(UNKNOWN) for _ in range(5)]

    assert [one.status_code for one in answers] == [404, 404, 404, 429, 429]
    assert answers[-1].json()["error"]["code"] == "rate_limited"
    assert 0 < int(answers[-1]["Retry-After"]) <= 60
    # From the very same address, as behind a proxy that hides who calls.
    assert call(known).status_code in (200, 202)
    assert call(UNKNOWN, "198.51.100.9").status_code == 404


def test_a_connection_that_floods_us_is_slowed_down_and_no_other(settings, connection):
    settings.WEBHOOK_EVENTS_PER_MINUTE = 2

    statuses = [hook(connection.webhook_token).status_code for _ in range(3)]

    assert statuses == [202, 202, 429]
    assert Event.objects.count() == 2


def test_one_requests_callbacks_are_kept_so_often_and_anothers_too(settings, sent):
    settings.WEBHOOK_CALLBACKS_PER_MINUTE = 2
    one, other = sent(), sent(msisdn="254712345679")

    statuses = [callback(one.callback_token).status_code for _ in range(3)]

    assert statuses == [200, 200, 429]
    assert callback(other.callback_token).status_code == 200
    assert Callback.objects.count() == 3


@pytest.mark.parametrize("call", [hook, callback])
def test_without_redis_what_is_true_is_still_taken(settings, connection, sent, call):
    settings.CACHES = settings.CACHES | {"limits": NO_REDIS}
    known = connection.webhook_token if call is hook else sent().callback_token

    assert call(UNKNOWN).status_code == 404
    assert call(known).status_code in (200, 202)


# -- tests of connections, in the portal


@pytest.fixture
def tester(lender, amina):
    Membership.objects.create(user=amina, partner=lender, role=Role.PARTNER_ADMINISTRATOR)
    client = Client()
    client.force_login(amina)
    return client


@pytest.fixture
def tested(amina, lender):
    """Two tests within the last minute."""
    for kind in (work.TEST, work.MPESA_TEST):
        Job.objects.create(kind=kind, title="Test", started_by=amina, about=work.about(lender),
                           state=Job.State.DONE)  # fmt: skip


@pytest.mark.parametrize("is_part", [False, True])
def test_who_tested_often_enough_waits(settings, tester, tested, connection, is_part):
    settings.API_CONNECTION_TESTS_PER_MINUTE = 2
    settings.CACHES = settings.CACHES | {"limits": NO_REDIS}
    headers = {"HX-Request": "true"} if is_part else {}

    answer = tester.post(reverse("connection:test", args=["pamoja"]), follow=True, headers=headers)

    assert "You tested 2 times within a minute" in answer.text
    assert Job.objects.count() == 2


def test_a_shortcodes_test_waits_too(settings, tester, tested, shortcode):
    settings.API_CONNECTION_TESTS_PER_MINUTE = 2

    url = reverse("shortcodes:test", args=["pamoja", shortcode.pk])
    assert "You tested 2 times within a minute" in tester.post(url, follow=True).text
    assert Job.objects.count() == 2


def test_others_tests_and_older_ones_do_not_count(settings, tested, amina, baraka):
    settings.API_CONNECTION_TESTS_PER_MINUTE = 2
    assert work.wait_to_test(amina)
    assert work.wait_to_test(baraka) == ""

    Job.objects.update(created_at="2026-01-01T00:00Z")
    assert work.wait_to_test(amina) == ""


# -- signing in


def test_who_tries_one_password_on_many_names_is_slowed_down_without_redis_too(settings):
    settings.CACHES = settings.CACHES | {"limits": NO_REDIS}
    User.objects.create_user("amina", password="a-long-one-2026")
    client, officer = Client(REMOTE_ADDR=STRANGER), Client(REMOTE_ADDR="198.51.100.9")

    statuses = [
        client.post("/login/", {"username": f"clerk{n}", "password": "Welcome1"}).status_code
        for n in range(40)
    ]

    assert 429 in statuses
    assert statuses.index(429) <= 31
    right = {"username": "amina", "password": "a-long-one-2026"}
    assert client.post("/login/", right).status_code == 429
    assert officer.post("/login/", right).status_code == 302
    assert AuditEvent.objects.filter(act="refused", source_address=STRANGER).exists()
