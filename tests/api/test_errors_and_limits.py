"""Errors in one shape with codes that stay; limits that are told, and outlive their cache."""

import json

import pytest
from django.core.cache import caches
from django.db import OperationalError
from django.test import Client

from partners.models import Role
from paymentvault.api import limits
from paymentvault.api.errors import CODES
from paymentvault.models import AuditEvent
from tests.api.conftest import Api, code

pytestmark = pytest.mark.django_db


def broken(error):
    def raises(*_, **__):
        raise error

    return raises


@pytest.mark.parametrize(
    "method, path, given, told",
    [
        ("get", "nothing/here", {}, (404, "not_found")),
        ("delete", "nothing", {}, (404, "not_found")),
        ("get", "events/7", {}, (404, "not_found")),
        ("get", "disbursements/99999999999999999999999", {}, (404, "not_found")),
        ("put", "partners", {}, (405, "method_not_allowed")),
        ("options", "partners", {}, (405, "method_not_allowed")),
        ("get", "partners", {"headers": {"Accept": "text/html"}}, (406, "not_acceptable")),
        ("post", "disbursements/1/approve", {"data": {"a": 1}}, (415, "unsupported_media_type")),
        ("post", "disbursements/1/approve", {"json": b"{"}, (400, "malformed")),
        ("post", "disbursements/1/approve", {"json": b"\xff"}, (400, "malformed")),
        ("post", "disbursements/1/approve", {"json": b"[" * 50_000}, (400, "malformed")),
        ("post", "disbursements/1/approve", {"json": b'{"a": NaN}'}, (400, "malformed")),
        ("post", "disbursements/1/approve", {"json": b"[1]"}, (400, "invalid")),
        ("post", "disbursements/1/approve", {"json": b" " * 1_100_000}, (413, "too_large")),
        ("get", "partners?limit=0", {}, (400, "invalid")),
    ],
)  # fmt: skip
def test_errors_have_one_shape(person, method, path, given, told):
    client = person(Role.APPROVER).client
    given = dict(given)
    if "json" in given:
        given |= {"data": given.pop("json"), "content_type": "application/json"}

    answer = getattr(client, method)(f"/api/v1/{path}", **given)

    assert (answer.status_code, code(answer)) == told
    error = answer.json()["error"]
    assert set(error) - {"fields"} == {"code", "message", "request_id"}
    assert error["request_id"]
    assert answer["Content-Type"] == "application/json"


def test_every_code_has_a_status_of_its_own_in_the_schema():
    from paymentvault.api.schema import described

    told = described()["components"]["schemas"]["CodeEnum"]["enum"]
    assert sorted(told) == sorted(CODES)


@pytest.mark.parametrize(
    "error, told",
    [(ZeroDivisionError("a secret"), (500, "fault")), (OperationalError(), (503, "unavailable"))],
)
def test_what_breaks_tells_no_more_than_that(program, monkeypatch, error, told):
    api = program()
    monkeypatch.setattr("partners.api.page", broken(error))

    answer = api.get("partners")

    assert (answer.status_code, code(answer)) == told
    assert "a secret" not in answer.text


def test_whoever_lacks_a_right_is_in_the_audit(person):
    person(Role.VIEWER).ask(partner="pamoja")

    line = AuditEvent.objects.get(act="refused")
    assert (line.actor, line.detail["what"]) == (
        "p-viewer", "forbidden: POST /api/v1/disbursements",
    )  # fmt: skip


def test_answers_are_not_kept_by_anybody(program):
    assert program().get("partners")["Cache-Control"] == "no-store"


def test_every_answer_tells_what_is_left(program, settings):
    settings.API_READS_PER_MINUTE = 2
    api = program()

    first, second, third = (api.get("partners") for _ in range(3))

    assert [one["RateLimit-Remaining"] for one in (first, second, third)] == ["1", "0", "0"]
    assert (third.status_code, code(third)) == (429, "rate_limited")
    assert third["RateLimit-Limit"] == "2"
    assert 0 < int(third["Retry-After"]) <= 60
    assert third["Retry-After"] == third["RateLimit-Reset"]


def test_writing_and_reading_and_callers_are_counted_apart(program, settings):
    settings.API_READS_PER_MINUTE = 1
    one, other = program(), program()
    one.get("partners")

    assert one.get("partners").status_code == 429
    assert one.ask().status_code == 201
    assert other.get("partners").status_code == 200


def test_a_session_and_its_tokens_are_counted_together(person, settings):
    settings.API_READS_PER_MINUTE = 1
    api = person(Role.VIEWER)
    access = api.post("tokens").json()["access"]
    api.get("partners")

    answer = Api(Client(), Authorization=f"Bearer {access}").get("partners")
    assert answer.status_code == 429


def test_guessers_are_slowed_down_and_lock_nobody_out(program, settings):
    settings.API_FAILED_SIGN_INS_PER_MINUTE = 3
    guess = Api(Client(), Authorization="Bearer pv_00000000_guess")

    statuses = [guess.get("partners").status_code for _ in range(5)]

    assert statuses == [401, 401, 401, 429, 429]
    assert program().get("partners").status_code == 200


@pytest.fixture
def no_cache(settings):
    nobody = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    }
    settings.CACHES = settings.CACHES | {"limits": nobody}


def test_without_the_cache_reading_and_asking_go_on(program, no_cache):
    api = program()

    answer = api.get("partners")

    assert answer.status_code == 200
    assert "RateLimit-Limit" not in answer
    assert api.ask().status_code == 201


def test_without_the_cache_no_connection_is_tested(program, ours, no_cache):
    answer = program().post("mifos/test-connection", {"partner": "pamoja"})

    assert (answer.status_code, code(answer)) == (503, "unavailable")
    assert answer["Retry-After"]


def test_the_cache_that_is_set_up_counts(settings, program):
    from paymentvault import settings as own

    settings.CACHES = own.CACHES
    who = program().key.pk

    assert [limits.spend(limits.READS, who).left for _ in range(2)] == [599, 598]
    caches["limits"].delete_many([f"reads:{who}:{limits.time.time() // 60:.0f}"])


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_schema_is_there_for_whoever_may_sign_in(program, slash):
    answer = program().get(f"schema{slash}")

    assert answer.json()["openapi"].startswith("3.")
    assert Api(Client()).get("schema").status_code == 401


def test_the_schema_is_valid_and_complete():
    from drf_spectacular.validation import validate_schema

    from paymentvault.api import urls
    from paymentvault.api.schema import described

    validate_schema(json.loads(json.dumps(described())))
    names = {pattern.name for pattern in urls.urlpatterns if not pattern.name.endswith("-slash")}
    assert len(described()["paths"]) == len(names - {"schema", "docs", "nothing"})


def test_the_page_of_the_api_needs_nothing_from_elsewhere(person, client):
    page = person(Role.VIEWER).client.get("/api/v1/docs/")

    assert page.status_code == 200
    assert "createDisbursement" in page.text
    assert "<style" not in page.text and " style=" not in page.text
    assert "<script>" not in page.text and 'src="http' not in page.text
    assert client.get("/api/v1/docs").status_code == 302


BROWSER = {"Accept": "text/html"}


def in_shape(answer):
    assert answer["Content-Type"] == "application/json"
    assert set(answer.json()["error"]) == {"code", "message", "request_id"}
    assert code(answer) in CODES
    return answer.status_code, code(answer)


@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_what_breaks_before_the_api_is_even_asked_is_told_in_the_same_shape(
    settings, monkeypatch, headers
):
    client = Client(raise_request_exception=False, headers=headers)
    ask = "/api/v1/partners"

    settings.ALLOWED_HOSTS = ["vault.test"]
    assert in_shape(client.get(ask, headers={"Host": "evil.test"} | headers)) == (400, "malformed")
    settings.ALLOWED_HOSTS = ["*"]
    assert in_shape(client.get("/api/v2/partners", headers=headers)) == (404, "not_found")
    monkeypatch.setattr("paymentvault.sessions.TimedOut.__call__", broken(OperationalError()))
    away = client.get(ask, headers=headers)
    assert in_shape(away) == (503, "unavailable") and away["Retry-After"]
    monkeypatch.setattr("paymentvault.sessions.TimedOut.__call__", broken(ZeroDivisionError()))
    assert in_shape(client.get(ask, headers=headers)) == (500, "fault")
