"""OAuth2: one token, shared, refreshed before its end and once when it is refused."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mifos import port
from paymentvault.http import NotSent, Refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def by_oauth(connection, mifos):
    mifos.use_oauth = True
    connection.oauth_token_url = f"{connection.host_url}/oauth/token"
    connection.oauth_client_id, connection.oauth_client_secret = "vault", "mifos-password"
    connection.save()
    return connection


def fetches(mifos):
    return sum(request.path == "/oauth/token" for request in mifos.requests)


def test_a_token_is_fetched_once_and_used_by_all(by_oauth, mifos):
    for _ in range(3):
        port.client_of(by_oauth).get_offices()

    assert fetches(mifos) == 1
    assert mifos.requests[-1].headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize("username", ["vault", ""])
def test_with_and_without_a_user_it_signs_in(by_oauth, mifos, username):
    by_oauth.username = username

    assert port.client_of(by_oauth).authenticate().username == "vault"


def test_a_token_is_refreshed_before_it_expires(by_oauth, mifos, time_machine):
    mifos.oauth_token_life_s = 300
    port.client_of(by_oauth).get_offices()

    time_machine.move_to(timezone.now() + timedelta(seconds=200))
    port.client_of(by_oauth).get_offices()
    assert fetches(mifos) == 1

    time_machine.move_to(timezone.now() + timedelta(seconds=60))
    port.client_of(by_oauth).get_offices()
    assert fetches(mifos) == 2


def test_a_refused_token_is_replaced_once(by_oauth, mifos):
    port.client_of(by_oauth).get_offices()
    mifos.expire_oauth_tokens()

    assert port.client_of(by_oauth).get_offices()

    assert fetches(mifos) == 2


def test_a_second_refusal_is_final(by_oauth, mifos):
    mifos.oauth_token_life_s = 0

    with pytest.raises(Refused) as refusal:
        port.client_of(by_oauth).get_offices()

    assert refusal.value.status == 401 and fetches(mifos) == 2


def test_a_command_refused_with_its_token_is_applied_once(by_oauth, mifos, approved):
    loan_id = approved()
    port.client_of(by_oauth).get_offices()
    mifos.expire_oauth_tokens()

    port.client_of(by_oauth).add_note(loan_id, "Seen")

    assert mifos.loans[loan_id].notes == ["Seen"]


@pytest.mark.parametrize("username, secret", [("vault", "wrong"), ("", "wrong")])
def test_wrong_credentials_are_refused(by_oauth, mifos, username, secret):
    by_oauth.username, by_oauth.password = username, secret
    by_oauth.oauth_client_secret = secret

    with pytest.raises(Refused) as refusal:
        port.client_of(by_oauth).get_offices()

    assert refusal.value.code == "error.msg.not.authenticated"


@pytest.mark.parametrize("fault", ["reset", "html_502"])
def test_without_a_token_nothing_was_sent(by_oauth, mifos, fault):
    mifos.plan(fault)

    with pytest.raises(NotSent):
        port.client_of(by_oauth).get_offices()

    assert [request.path for request in mifos.requests] == ["/oauth/token"]
