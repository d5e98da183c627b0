"""A person's tokens: only from a whole session, short-lived, rotated, and gone when it ends."""

from datetime import timedelta

import jwt
import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from partners.models import Membership, Role
from paymentvault.api import signing_in
from paymentvault.api.tokens import _hashed as hashed
from paymentvault.models import AuditEvent, TokenGrant
from paymentvault.session_store import kept_as
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


def test_another_password_ends_them_also_where_the_sessions_row_stays(tokens):
    api, pair = tokens
    api.user.set_password("another-long-one")
    api.user.save()
    assert Session.objects.exists()

    assert code(bearer(pair["access"]).get("partners")) == "token_revoked"
    assert code(refresh(pair["refresh"])) == "token_revoked"


def test_roles_count_as_they_are_now(tokens):
    api, pair = tokens
    api.user.memberships.all().delete()

    assert code(bearer(pair["access"]).get("partners")) == "forbidden"


@pytest.mark.parametrize("shown", [False, True])
def test_a_role_that_needs_a_second_factor_makes_older_tokens_useless(
    person, settings, lender, shown, monkeypatch
):
    settings.SECOND_FACTOR = True
    monkeypatch.setattr("paymentvault.second_factor.was_used", lambda request: shown)
    api = person(Role.VIEWER)
    pair = api.post("tokens").json()
    Membership.objects.create(user=api.user, role=Role.APPROVER, partner=lender)

    asked, renewed = bearer(pair["access"]).get("partners"), refresh(pair["refresh"])

    if shown:
        assert (asked.status_code, renewed.status_code) == (200, 200)
    else:
        assert (code(asked), code(renewed)) == ("second_factor_required",) * 2


def test_a_session_that_timed_out_is_nobody_and_is_answered_in_json(person, settings):
    api = person(Role.VIEWER)
    session = api.client.session
    session["begun_at"] = session["seen_at"] = 1.0
    session.save()

    assert code(api.get("partners")) == "not_authenticated"
    assert code(api.get("partners")) == "not_authenticated"


@pytest.fixture
def clock():
    with time_machine.travel(timezone.now(), tick=False) as clock:
        yield clock


def test_tokens_end_when_nothing_was_pressed_for_too_long_whatever_the_program_asks(clock, tokens):
    api, pair = tokens
    for _ in range(2):
        clock.shift(14 * 60)
        pair = refresh(pair["refresh"]).json()
        assert bearer(pair["access"]).get("partners").status_code == 200

    clock.shift(3 * 60)

    assert code(bearer(pair["access"]).get("partners")) == "token_revoked"
    assert code(refresh(pair["refresh"])) == "token_revoked"
    assert "Tokens given" not in tokens_page(api)


def tokens_page(api):
    """As the person sees it who signs in anew."""
    client = Client()
    client.force_login(api.user)
    return client.get("/profile/programs/").text


def test_a_press_in_the_browser_keeps_them(clock, tokens):
    api, pair = tokens
    clock.shift(20 * 60)
    assert api.client.get("/profile/").status_code == 200
    clock.shift(20 * 60)

    assert refresh(pair["refresh"]).status_code == 200


def test_tokens_from_the_password_alone_are_worth_nothing_once_there_is_a_factor(tokens, settings):
    settings.SECOND_FACTOR = True
    api, pair = tokens
    Authenticator.objects.create(user=api.user, type="totp", data={})
    assert code(bearer(pair["access"]).get("partners")) == "token_revoked"
    TokenGrant.objects.update(revoked_at=None)
    api.client.force_login(api.user)
    key = api.client.session.session_key
    TokenGrant.objects.update(session_sha256=hashed(kept_as(key)))

    assert code(bearer(pair["access"]).get("partners")) == "second_factor_required"


# The page


def test_a_person_sees_their_programs_and_ends_one(tokens):
    api, first = tokens
    second = api.post("tokens").json()
    page = api.client.get("/profile/programs/")
    newest = TokenGrant.objects.first()
    assert page.text.count("Tokens given") == 2
    assert second["refresh"] not in page.text

    answer = api.client.post("/profile/programs/end/", {"pk": newest.pk}, follow=True)

    assert answer.text.count("Tokens given") == 1
    assert code(bearer(second["access"]).get("partners")) == "token_revoked"
    assert bearer(first["access"]).get("partners").status_code == 200
    assert AuditEvent.objects.get(act="api tokens revoked").actor == "p-viewer"


def test_all_of_them_end_by_one_press(tokens):
    api, pair = tokens
    api.post("tokens")

    api.client.post("/profile/programs/end/")

    assert code(bearer(pair["access"]).get("partners")) == "token_revoked"
    assert "None." in api.client.get("/profile/programs/").text


@pytest.mark.parametrize("pk", ["nonsense", "\x00"])
def test_nobody_ends_anothers_programs(tokens, person, pk):
    _, pair = tokens
    stranger = person(Role.OPERATOR).client

    assert stranger.post("/profile/programs/end/", {"pk": pk}).status_code == 404
    stranger.post("/profile/programs/end/", {"pk": str(TokenGrant.objects.get().pk)})
    stranger.post("/profile/programs/end/")

    assert "Tokens given" not in stranger.get("/profile/programs/").text
    assert bearer(pair["access"]).get("partners").status_code == 200
