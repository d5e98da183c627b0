import time

import pytest
import requests

from tests.samples import AMINA
from tests.sandbox.safaricom.calls import error, parameters, result_codes
from tests.sandbox.safaricom.faults import PAID


@pytest.mark.parametrize("fault, answer, codes", PAID)
def test_what_was_accepted_is_paid_once(partner, world, listener, fault, answer, codes):
    world.plan(AMINA, fault)

    answer(partner)

    world.settle()
    assert result_codes(listener, 0) == codes
    assert len(world.paid_to(AMINA)) == 1
    assert error(partner.pay())[2] == "Duplicate OriginatorConversationID."


def test_a_callback_can_come_before_its_answer(partner, world, listener):
    world.plan(AMINA, "callback_before_answer")

    partner.pay()

    assert len(listener.heard) == 1


def test_normally_the_answer_comes_first(partner, world, listener):
    world.callback_delay_s = 0.2

    partner.pay()

    assert listener.heard == []


def test_a_slow_answer_is_slow(partner, world):
    world.plan(AMINA, "slow:0.3")
    started = time.monotonic()

    partner.pay()

    assert time.monotonic() - started >= 0.3


def test_a_client_that_gave_up_on_a_slow_answer_is_called_back(partner, world, listener):
    world.plan(AMINA, "slow:0.3")

    with pytest.raises(requests.ReadTimeout):
        partner.http.post(partner.payments, json=partner.order(), timeout=0.1)

    assert result_codes(listener) == [0]


def test_a_late_callback_is_late(partner, world, listener):
    world.plan(AMINA, "late_callback:0.3")
    partner.pay()
    started = time.monotonic()

    listener.results()

    assert time.monotonic() - started >= 0.25


def test_a_double_callback_says_the_same_twice(partner, world, listener):
    world.plan(AMINA, "double_callback")
    partner.pay()

    first, second = listener.results(2)

    assert first == second


def test_a_wrong_amount_is_only_in_the_callback(partner, world, listener):
    world.plan(AMINA, "wrong_amount")
    partner.pay()

    assert parameters(listener.results()[0])["TransactionAmount"] == 501
    assert world.ledger[0].amount == 500


def test_a_wrong_number_is_only_in_the_callback(partner, world, listener):
    world.plan(AMINA, "wrong_number")
    partner.pay()

    named = parameters(listener.results()[0])["ReceiverPartyPublicName"]
    assert named.startswith("0712345679 - ")
    assert world.ledger[0].msisdn == AMINA


def test_a_queue_timeout_echoes_the_request_and_its_credential(partner, world, listener):
    world.plan(AMINA, "queue_timeout_then_success")
    partner.pay()

    listener.results()

    assert [request.path for request in listener.heard] == ["/q", "/r"]
    assert listener.results(path="/q") == [partner.order()]


def test_a_garbage_callback_is_no_json(partner, world, listener):
    world.plan(AMINA, "garbage_callback")
    partner.pay()
    world.settle()

    [callback] = listener.heard
    assert callback.body == b"<Result>0</Result>"
    assert len(world.paid_to(AMINA)) == 1


@pytest.mark.parametrize("code, sent", [("17", 17), ("SFC_IC0003", "SFC_IC0003"), ("2051", 2051)])
def test_a_planned_result_declines(partner, world, listener, code, sent):
    world.plan(AMINA, f"result:{code}")
    partner.pay()

    result = listener.results()[0]["Result"]

    assert result["ResultCode"] == sent
    assert "ResultParameters" not in result
    assert [p.status for p in world.ledger] == ["Declined"]
    assert world.accounts["600992"].utility == 1_000_000


@pytest.mark.parametrize(
    "fault, code", [("result_as_object", 2040), ("result:8+result_as_object", 8)]
)
def test_a_failures_parameter_can_be_no_list(partner, world, listener, fault, code):
    world.plan(AMINA, fault)
    partner.pay()

    result = listener.results()[0]["Result"]

    assert result["ResultCode"] == code
    assert result["ResultParameters"]["ResultParameter"]["Key"] == "BOCompletedTime"
    assert world.paid_to(AMINA) == []
