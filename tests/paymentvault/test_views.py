"""Signs of life for everybody; everything else for those who signed in."""

import re

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.urls import URLPattern, get_resolver
from django.urls.resolvers import RoutePattern

from paymentvault.models import User

TOKEN = "0123456789abcdef0123456789abcdef"
# What strangers may call, by the beginning of its path. Each proves who speaks by itself.
OPEN = ("livez", "readyz", "mifos-webhook/", "cb/", "login/", "admin/login/", "admin/logout/")
# What whoever signed in has: an own account, the guide, and a home that shows what they may see.
EVERYBODYS = ("help/", "profile/", "password", "theme/", "logout/", "second-factor/",
              "api/v1/docs", "api/v1/schema", "api/v1/tokens")  # fmt: skip


def addresses(patterns, before=""):
    """Every address that there is, with something in place of each parameter."""
    for one in patterns:
        here = before + filled(one.pattern)
        if isinstance(one, URLPattern):
            yield here
        else:
            yield from addresses(one.url_patterns, here)


def filled(pattern):
    text = str(pattern)
    if isinstance(pattern, RoutePattern):
        for name, converter in pattern.converters.items():
            text = text.replace(f"<{type_of(converter)}:{name}>", "1").replace(f"<{name}>", "1")
        return text
    text = text.replace("(?P<token>[0-9a-f]{32})", TOKEN).replace("(?P<kind>[rtsb])", "r")
    text = text.replace("(?P<token>[A-Za-z0-9_-]{16,64})", TOKEN)
    text = re.sub(r"\(\?P<app_label>[a-z|]+\)", "mifos", text)
    return text.strip("^$\\Z").replace("/?", "").replace("(?P<url>.*)", "anything")


def type_of(converter):
    return type(converter).__name__.removesuffix("Converter").lower().replace("string", "str")


ALL = sorted(set(addresses(get_resolver().url_patterns)))
PRIVATE = [address for address in ALL if not address.startswith(OPEN)]


def test_the_walk_finds_what_there_is():
    assert {"livez", "readyz", f"cb/{TOKEN}/r", "admin/partners/partner/add/"} <= set(ALL)
    assert len(PRIVATE) > 40


@pytest.mark.lesson(16)
@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
@pytest.mark.parametrize("address", PRIVATE)
def test_everything_is_private_until_it_says_otherwise(client, db, address, method):
    answer = getattr(client, method)(f"/{address}")

    if answer.status_code == 302:
        assert answer["Location"].startswith(("/login/", "/admin/login/"))
    else:
        # 415: a form where JSON is asked for, which is looked at before anything else.
        assert answer.status_code in (401, 403, 404, 405, 415, 429)


@pytest.mark.lesson(16)
@pytest.mark.parametrize("address", [a for a in PRIVATE if a and not a.startswith(EVERYBODYS)])
def test_a_signed_in_stranger_sees_no_more_than_where_to_sign_in(client, db, address):
    client.force_login(User.objects.create_user("chege"))

    answer = client.get(f"/{address}")

    assert answer.status_code in (302, 403, 404, 405)
    if answer.status_code == 302:
        # One's own password is changed in the portal.
        assert answer["Location"].startswith(("/admin/", "/profile/password/"))


@pytest.mark.lesson(10)
@pytest.mark.parametrize("address", [a for a in ALL if a.startswith(OPEN[:4])])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_outside_systems_call_never_redirects(client, db, address, slash, method):
    answer = getattr(client, method)(f"/{address.rstrip('/')}{slash}", secure=False)

    assert answer.status_code not in (301, 302, 307, 308)
    assert "Location" not in answer


@pytest.mark.parametrize("path", ["/livez", "/livez/", "/readyz", "/readyz/"])
def test_signs_of_life_need_nobody_signed_in(client, db, path):
    answer = client.get(path)

    assert answer.status_code == 200
    assert set(answer.json()) == {"status"}


def test_alive_but_not_ready_without_postgresql(client, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise OperationalError("gone")

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", refuse)

    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503


def test_home_is_there_for_whoever_signed_in(client, db):
    client.force_login(User.objects.create_user("chege"))

    assert client.get("/").status_code == 200


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("address", ["", "charts/", "disbursements/", "profile/"])
def test_htmx_of_a_session_that_has_ended_loads_its_page_anew(client, db, address, method):
    answer = getattr(client, method)(f"/{address}", headers={"HX-Request": "true"})

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["HX-Refresh"] == "true"
    assert "HX-Request" in answer["Vary"]


def test_htmx_of_whoever_is_signed_in_gets_its_part(client, db):
    client.force_login(User.objects.create_user("chege"))

    answer = client.get("/", headers={"HX-Request": "true"})

    assert "HX-Refresh" not in answer
    assert b"What needs you" in answer.content


def test_htmx_is_told_nothing_of_what_needs_nobody_signed_in(client, db):
    answer = client.get("/livez", headers={"HX-Request": "true"})

    assert "HX-Refresh" not in answer and answer.json() == {"status": "alive"}
