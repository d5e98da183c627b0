"""A person's tokens: only from a whole session, short-lived, rotated, and gone when it ends."""

from datetime import timedelta

import jwt
import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from partners.models import Role
from paymentvault.api import signing_in
from paymentvault.models import AuditEvent, TokenGrant
from tests.api.conftest import Api, code

pytestmark = pytest.mark.django_db


def bearer(text):
    return Api(Client(), Authorization=f"Bearer {text}")


@pytest.fixture
def tokens(person):
    api = person(Role.VIEWER)
    answer = api.post("tokens")
    assert answer.status_code == 201
    return api, answer.json()


def refresh(text):
    return Api(Client()).post("tokens/refresh", {"refresh": text})


def test_a_session_gets_tokens_with_which_its_person_is_known(tokens):
    _, pair = tokens

    assert bearer(pair["access"]).get("partners").status_code == 200
    assert pair["expires_in"] == 300
    assert AuditEvent.objects.filter(act="api tokens issued", actor="p-viewer").exists()


def test_of_the_tokens_only_a_hash_is_kept(tokens):
    grant = TokenGrant.objects.get()

    assert tokens[1]["refresh"] not in str(vars(grant))
    assert tokens[0].client.session.session_key not in str(vars(grant))


def test_a_session_that_is_not_whole_gets_none_and_is_nobody(person, monkeypatch):
    api = person(Role.VIEWER)
    monkeypatch.setattr(signing_in, "is_complete", lambda request: False)

    assert code(api.post("tokens")) == "not_authenticated"
    assert code(api.get("partners")) == "not_authenticated"


def test_neither_a_token_nor_a_key_gets_tokens(tokens, program):
    assert code(bearer(tokens[1]["access"]).post("tokens")) == "session_required"
    assert code(program().post("tokens")) == "session_required"


def test_without_the_csrf_token_a_session_changes_nothing(person):
    api = person(Role.VIEWER)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = api.client.cookies

    assert code(Api(strict).post("tokens")) == "csrf_failed"
    assert Api(strict).get("partners").status_code == 200
    assert not TokenGrant.objects.exists()


def test_an_access_token_lasts_five_minutes(tokens):
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
        assert code(bearer(tokens[1]["access"]).get("partners")) == "token_expired"


def test_refreshing_gives_another_pair_and_spends_the_old(tokens):
    new = refresh(tokens[1]["refresh"]).json()

    assert bearer(new["access"]).get("partners").status_code == 200
    assert new["refresh"] != tokens[1]["refresh"]


def test_a_spent_refresh_token_ends_all_of_them(tokens):
    new = refresh(tokens[1]["refresh"]).json()

    assert code(refresh(tokens[1]["refresh"])) == "token_revoked"

    assert code(refresh(new["refresh"])) == "token_revoked"
    assert code(bearer(new["access"]).get("partners")) == "token_revoked"
    assert AuditEvent.objects.filter(act="api tokens revoked").exists()


@pytest.mark.parametrize("how", ["sign out", "end session", "revoke", "all", "leave"])
def test_tokens_end_at_once(tokens, how):
    api, pair = tokens
    if how == "sign out":
        api.client.logout()
    elif how == "end session":
        Session.objects.all().delete()
    elif how == "revoke":
        answer = Api(Client()).post("tokens/revoke", {"refresh": pair["refresh"]})
        assert answer.status_code == 204
    elif how == "all":
        assert bearer(pair["access"]).client.delete(
            "/api/v1/tokens", headers={"Authorization": f"Bearer {pair['access']}"}
        ).status_code == 204  # fmt: skip
    else:
        api.user.is_active = False
        api.user.save()

    assert code(bearer(pair["access"]).get("partners")) == "token_revoked"
    assert code(refresh(pair["refresh"])) == "token_revoked"


@pytest.mark.parametrize(
    "forge",
    [
        lambda claims: jwt.encode(claims, "", algorithm="none"),
        lambda claims: jwt.encode(claims, "x" * 32, algorithm="HS256"),
        lambda claims: "a.b.c",
    ],
)
def test_a_forged_token_is_refused(tokens, forge):
    claims = jwt.decode(tokens[1]["access"], options={"verify_signature": False})

    assert code(bearer(forge(claims)).get("partners")) == "invalid_credentials"


@pytest.mark.parametrize("text", ["pvr_x_y", "", "pvr_", "pvr_" + "0" * 32 + "_x", "\x00"])
def test_no_other_text_is_a_refresh_token(tokens, text):
    assert refresh(text).status_code in (400, 401)
    assert TokenGrant.objects.get().revoked_at is None
