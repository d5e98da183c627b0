from decimal import Decimal

import pytest
import requests

from paymentvault.sandbox.safaricom import FAULTS
from tests.samples import AMINA
from tests.sandbox.safaricom.calls import BARAKA, error


@pytest.fixture
def lever(partner):
    def pull(name, body=None):
        method = "GET" if body is None else "POST"
        url = f"{partner.safaricom}/_sandbox/{name}"
        return requests.request(method, url, json=body, timeout=5)

    return pull


def test_an_app_can_be_added_from_outside(partner, world, lever):
    app = {
        "consumer_key": "k3",
        "consumer_secret": "s3",
        "shortcode": "600111",
        "initiator": "op",
        "password": "pw",
        "utility_balance": "12.50",
        "products": ["b2c"],
    }

    assert lever("apps", app).status_code == 200
    partner.key = "k3"
    assert partner.token_answer(secret="s3").status_code == 200
    assert world.accounts["600111"].utility == Decimal("12.50")


def test_faults_can_be_planned_from_outside(partner, lever):
    lever("plan", {"msisdn": AMINA, "faults": ["quota"]})
    lever("plan_status", {"msisdn": AMINA, "faults": ["spike_arrest"]})
    lever("random", {"seed": 1, "share": 1, "faults": ["error_500"]})

    assert error(partner.pay())[1] == "500.003.03"
    assert partner.pay().status_code == 200
    assert error(partner.query())[1] == "500.003.02"
    assert error(partner.pay("loan-2", PartyB=BARAKA))[1] == "500.002.1001"


def test_balances_tokens_and_numbers_can_be_changed_from_outside(partner, world, lever):
    lever("balance", {"shortcode": "600992", "utility": 70})
    lever("unregistered", {"msisdns": [BARAKA]})
    lever("expire_tokens", {})

    assert partner.pay().status_code == 401
    assert world.accounts["600992"].utility == 70
    assert world.unregistered == {BARAKA}


def test_what_happened_can_be_read_from_outside(partner, world, lever):
    partner.pay()
    world.settle()

    [payment] = lever("ledger").json()["payments"]

    assert payment["originator_conversation_id"] == "loan-1"
    assert (payment["status"], payment["amount"]) == ("Completed", 500)
    assert payment["at"] == world.ledger[0].at.isoformat()
    assert [r["answer_status"] for r in lever("requests").json()["requests"]] == [200, 200]
    assert [c["status"] for c in lever("callbacks").json()["callbacks"]] == [200]


def test_the_certificate_health_and_faults_can_be_read_from_outside(world, lever):
    assert lever("certificate").text == world.certificate_pem
    assert lever("health").json() == {"ok": True}
    assert lever("faults").json()["b2c"] == FAULTS


def test_the_world_can_be_reset_from_outside(partner, world, lever):
    partner.pay()

    lever("reset", {})

    assert (world.ledger, world.apps, world.requests) == ([], {}, [])


@pytest.mark.parametrize(
    "name, body, status",
    [
        ("plan", {"msisdn": AMINA, "faults": ["typo"]}, 400),
        ("plan", {}, 400),
        ("apps", {"consumer_key": "k"}, 400),
        ("balance", {"shortcode": "1", "utility": 5}, 400),
        ("balance", {"shortcode": "600992", "utility": "much"}, 400),
        ("nothing", {}, 404),
    ],
)
def test_a_wrong_lever_says_so(lever, name, body, status):
    answer = lever(name, body)

    assert answer.status_code == status
    assert answer.json()["error"]
