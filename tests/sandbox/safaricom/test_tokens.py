import re

import requests

from tests.sandbox.safaricom.calls import add_app, error


def test_a_token_is_28_characters_and_lives_an_hour(partner):
    body = partner.token_answer().json()

    assert re.fullmatch(r"[A-Za-z0-9]{28}", body["access_token"])
    assert body["expires_in"] == 3599


def test_a_wrong_secret_gets_400_and_no_body(partner):
    answer = partner.token_answer(secret="guess")

    assert (answer.status_code, answer.content) == (400, b"")


def test_a_wrong_grant_type_is_refused(partner):
    assert error(partner.token_answer(grant_type="password"))[:2] == (400, "400.008.02")


def test_a_token_request_without_basic_is_refused(partner):
    answer = requests.get(
        partner.safaricom + "/oauth/v1/generate?grant_type=client_credentials", timeout=5
    )

    assert error(answer)[:2] == (400, "400.008.01")


def test_a_new_token_ends_the_one_before(partner, world):
    old = partner.http.headers["Authorization"]
    partner.sign_in()
    partner.http.headers["Authorization"] = old

    assert error(partner.pay())[:2] == (401, "401.002.01")
    assert world.ledger == []


def test_tokens_expire(partner, world):
    world.gateway.token_life_s = 0
    token = partner.sign_in()

    answer = partner.pay()

    expected = f"Error Occurred - Invalid Access Token - {token}"
    assert error(answer) == (401, "401.002.01", expected)


def test_expired_tokens_can_be_renewed(partner, world):
    world.expire_tokens()
    before = partner.pay().status_code
    partner.sign_in()

    assert (before, partner.pay().status_code) == (401, 200)


def test_a_token_carries_the_products_of_its_time(partner, world):
    add_app(world, consumer_key="key2", products=("b2c",))
    partner.key = "key2"
    partner.sign_in()
    add_app(world, consumer_key="key2")

    answer = partner.balance()

    assert answer.status_code == 401
    assert "Invalid API call as no apiproduct match found" in answer.text
    partner.sign_in()
    assert partner.balance().status_code == 200
