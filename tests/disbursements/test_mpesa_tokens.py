"""Access tokens: one at a time, renewed once when refused, and never a reason for doubt."""

import pytest
from django.db import connection

from disbursements import mpesa, shortcodes
from disbursements.mpesa import fetch_token
from partners.models import AccessToken
from paymentvault.http import Answer, NotSent, OutcomeUnknown, Refused, Transport
from paymentvault.sandbox.safaricom import PAYMENTS, TOKENS
from tests.disbursements.conftest import client_at
from tests.disbursements.test_mpesa import pay, requests_to
from tests.samples import AMINA


@pytest.fixture
def client(safaricom, safaricom_server):
    return client_at(safaricom_server.url)


def test_a_token_refused_in_flight_is_renewed_and_the_payment_sent_again_once(client, safaricom):
    safaricom.plan(AMINA, "token_expired")

    pay(client)

    assert len(requests_to(safaricom, PAYMENTS)) == 2
    assert [p.originator_conversation_id for p in safaricom.ledger] == ["our-id-1"]


def test_a_token_that_is_refused_twice_is_a_refusal(client, safaricom):
    safaricom.plan(AMINA, "token_expired", "token_expired")

    with pytest.raises(Refused) as raised:
        pay(client)

    assert mpesa.is_configuration(raised.value)
    assert len(requests_to(safaricom, PAYMENTS)) == 2
    assert safaricom.ledger == []


@pytest.mark.parametrize("code", ["401.002.01", "404.001.03", "400.003.01"])
def test_every_code_of_a_refused_token_renews_it(client, safaricom, code):
    safaricom.plan(AMINA, f"refused:{code}")

    pay(client)

    assert client.tokens.dropped == 1
    assert len(safaricom.ledger) == 1


def test_a_new_token_is_not_fetched_when_the_app_lacks_the_product(safaricom, safaricom_server):
    safaricom.gateway.apps["key"].products = frozenset({"status"})

    with pytest.raises(Refused) as raised:
        pay(client_at(safaricom_server.url))

    assert raised.value.code == mpesa.NO_PRODUCT
    assert len(requests_to(safaricom, TOKENS)) == 1


def test_a_wrong_secret_gets_an_empty_400_and_is_a_refusal(safaricom, safaricom_server):
    with pytest.raises(Refused) as raised:
        pay(client_at(safaricom_server.url, secret="wrong"))

    assert raised.value.code == mpesa.BAD_CONSUMER_KEY
    assert requests_to(safaricom, PAYMENTS) == []


@pytest.mark.parametrize(
    "text, life_s",
    [
        ('{"access_token": "t", "expires_in": 3599}', 3599),
        ('{"access_token": "t", "expires_in": "3599"}', 3599),
        ('{"access_token": "t", "expires_in": "an hour"}', 3599),
        ('{"access_token": "t", "expires_in": 60.5}', 3599),
        ('{"access_token": "t"}', 3599),
        ('{"access_token": "t", "expires_in": "60"}', 60),
    ],
)
def test_a_tokens_life_may_be_a_number_or_text(wire, text, life_s):
    wire.token = Answer(200, text)

    assert fetch_token(Transport(), base_url="x", consumer_key="k", consumer_secret="s") == (
        "t", life_s,
    )  # fmt: skip


@pytest.mark.parametrize(
    "token, ending",
    [
        (Answer(400, ""), Refused),
        (Answer(401, ""), Refused),
        (Answer(200, "<html>"), NotSent),
        (Answer(200, '{"access_token": ""}'), NotSent),
        (Answer(200, '{"access_token": 5}'), NotSent),
        (Answer(403, "<html>"), NotSent),
        (Answer(503, ""), NotSent),
        (OutcomeUnknown("it didn't answer in time"), NotSent),
        (NotSent("it refused the connection"), NotSent),
    ],
)
def test_without_a_token_nothing_was_sent(wire, token, ending):
    wire.token = token

    with pytest.raises(ending):
        pay(client_at("https://mpesa.test"))

    assert wire.posts == []


def test_one_token_serves_all_workers(shortcode, safaricom):
    for number in range(3):
        pay(shortcodes.client_of(shortcode), originator_conversation_id=f"our-id-{number}")

    assert len(requests_to(safaricom, TOKENS)) == 1
    assert len(safaricom.ledger) == 3


def test_a_token_is_encrypted_in_the_database(shortcode, safaricom):
    pay(shortcodes.client_of(shortcode))

    token = safaricom.gateway.apps["key"].token.value
    assert AccessToken.objects.get().token == token
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(t)::text FROM partners_accesstoken t")
        assert token not in cursor.fetchone()[0]
