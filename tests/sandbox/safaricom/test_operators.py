import base64

import pytest

from paymentvault.sandbox.keys import make_keys
from tests.samples import AMINA
from tests.sandbox.safaricom.calls import encrypt, result_codes


@pytest.mark.parametrize(
    "credential",
    [
        lambda pem: encrypt("wrong", pem),
        lambda pem: encrypt(base64.b64encode(b"Safe#1").decode(), pem),
        lambda pem: encrypt("Safe#1", make_keys().certificate_pem),
        lambda pem: "Safe#1",
        lambda pem: "####",
    ],
)
def test_a_wrong_credential_is_accepted_and_then_fails(partner, world, listener, credential):
    partner.credential = credential(world.certificate_pem)

    ack = partner.pay()

    assert ack.json()["ResponseCode"] == "0"
    assert result_codes(listener) == [2001]
    assert world.paid_to(AMINA) == []


def test_an_unknown_operator_fails(partner, listener):
    partner.pay(InitiatorName="nobody")

    assert result_codes(listener) == [2001]


def test_the_third_wrong_try_locks_the_operator_for_everything(partner, world, listener):
    good, partner.credential = partner.credential, encrypt("wrong", world.certificate_pem)
    for own_id in ("a", "b", "c"):
        partner.pay(own_id)
    partner.credential = good
    partner.pay("d")
    partner.query(OriginalConversationID="a")
    partner.balance()

    paying = result_codes(listener, 4)
    asking = result_codes(listener, 2, "/s")

    assert sorted(paying) == [2001, 2001, 2001, 8006]
    assert asking == [8006, 8006]


def test_a_right_try_forgives_the_wrong_ones(partner, world):
    good, bad = partner.credential, encrypt("wrong", world.certificate_pem)
    for number, partner.credential in enumerate([bad, bad, good, bad, bad]):
        partner.pay(f"loan-{number}")
    partner.credential = good
    partner.pay("last")

    bad_ones = [p.originator_conversation_id for p in world.ledger if p.result_code == "2001"]
    assert bad_ones == ["loan-0", "loan-1", "loan-3", "loan-4"]
    assert len(world.paid_to(AMINA)) == 2


def test_a_locked_operator_can_be_unlocked(partner, world):
    world.lock_initiator("600992")
    partner.pay("a")
    world.unlock_initiator("600992")
    partner.pay("b")

    assert [p.result_code for p in world.ledger] == ["8006", "0"]
