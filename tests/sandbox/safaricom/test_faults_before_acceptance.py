import pytest
import requests

from tests.samples import AMINA
from tests.sandbox.safaricom.calls import error
from tests.sandbox.safaricom.faults import NOTHING_TAKEN


@pytest.mark.parametrize("fault, status, code", NOTHING_TAKEN)
def test_what_was_not_taken_may_be_sent_again(partner, world, fault, status, code):
    world.plan(AMINA, fault)

    answer = partner.pay()

    assert error(answer)[:2] == (status, code)
    assert world.ledger == []
    partner.sign_in()
    assert partner.pay().status_code == 200


def test_the_firewalls_page_takes_nothing(partner, world):
    world.plan(AMINA, "html_firewall")

    answer = partner.pay()

    assert (answer.status_code, answer.text[:5]) == (403, "<html")
    assert world.ledger == []
    assert partner.pay().status_code == 200


def test_a_response_code_other_than_zero_takes_nothing(partner, world, listener):
    world.plan(AMINA, "response_code:1")

    answer = partner.pay()

    assert (answer.status_code, answer.json()["ResponseCode"]) == (200, "1")
    world.settle()
    assert (world.ledger, listener.heard) == ([], [])


def test_a_reset_takes_nothing(partner, world):
    world.plan(AMINA, "reset")

    with pytest.raises(requests.ConnectionError, match="reset"):
        partner.pay()

    assert world.ledger == []
    assert partner.pay().status_code == 200
