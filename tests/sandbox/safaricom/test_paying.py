import re
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from tests.samples import AMINA
from tests.sandbox.safaricom.calls import BARAKA, error, parameters, result_codes


def test_the_answer_only_accepts(partner):
    body = partner.pay("loan-1").json()

    assert re.fullmatch(r"AG_\d{8}_[0-9a-f]{20}", body.pop("ConversationID"))
    assert body == {
        "OriginatorConversationID": "loan-1",
        "ResponseCode": "0",
        "ResponseDescription": "Accept the service request successfully.",
    }


def test_a_success_callback_says_what_was_paid(partner, world, listener):
    ack = partner.pay().json()

    [body] = listener.results()

    [payment] = world.paid_to(AMINA)
    assert re.fullmatch(r"[A-Z][A-Z0-9]{9}", payment.receipt)
    assert body["Result"] | {"ResultParameters": ...} == {
        "ResultType": 0,
        "ResultCode": 0,
        "ResultDesc": "The service request is processed successfully.",
        "OriginatorConversationID": "loan-1",
        "ConversationID": ack["ConversationID"],
        "TransactionID": payment.receipt,
        "ResultParameters": ...,
        "ReferenceData": body["Result"]["ReferenceData"],
    }


def test_a_success_callback_has_safaricoms_parameters(partner, world, listener):
    partner.pay()

    said = parameters(listener.results()[0])

    [payment] = world.paid_to(AMINA)
    assert re.fullmatch(r"0712345678 - [A-Z]+ [A-Z]+", said.pop("ReceiverPartyPublicName"))
    assert said == {
        "TransactionAmount": 500,
        "TransactionReceipt": payment.receipt,
        "TransactionCompletedDateTime": f"{payment.at:%d.%m.%Y %H:%M:%S}",
        "B2CUtilityAccountAvailableFunds": 999_500.0,
        "B2CWorkingAccountAvailableFunds": 0.0,
        "B2CRecipientIsRegisteredCustomer": "Y",
        "B2CChargesPaidAccountAvailableFunds": -22.4,
    }


def test_times_are_nairobis(partner, world):
    partner.pay()

    assert world.ledger[0].at.utcoffset().total_seconds() == 3 * 3600


def test_an_id_is_good_for_one_payment(partner, world):
    partner.pay("loan-1")

    again = error(partner.pay("loan-1", PartyB=BARAKA))

    assert again == (500, "500.002.1001", "Duplicate OriginatorConversationID.")
    assert len(world.ledger) == 1


def test_an_id_is_spent_by_a_failure_too(partner, world):
    partner.pay("loan-1", Amount=5)

    assert error(partner.pay("loan-1"))[2] == "Duplicate OriginatorConversationID."
    assert world.paid_to(AMINA) == []


def test_of_many_requests_with_one_id_at_once_one_is_taken(partner, world):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: partner.pay("loan-1").status_code, range(16)))

    assert sorted(answers) == [200] + [500] * 15
    assert len(world.paid_to(AMINA)) == 1


@pytest.mark.parametrize("amount, code", [(9, 2), (250_001, 3), (200_000, 1)])
def test_an_amount_outside_mpesas_rules_fails_later(partner, world, listener, amount, code):
    world.set_balance("600992", 100_000)
    ack = partner.pay(Amount=amount)

    result = listener.results()[0]["Result"]

    assert (ack.status_code, result["ResultCode"]) == (200, code)
    assert "ResultParameters" not in result
    assert re.fullmatch(r"[A-Z][A-Z0-9]{9}", result["TransactionID"])
    assert world.accounts["600992"].utility == 100_000


@pytest.mark.parametrize("amount", [10, 250_000])
def test_the_limits_themselves_are_paid(partner, world, amount):
    partner.pay(Amount=amount)

    assert [p.amount for p in world.paid_to(AMINA)] == [amount]


def test_an_unregistered_number_is_not_paid(partner, world, listener):
    world.unregistered.add(AMINA)
    partner.pay()

    assert result_codes(listener) == [2040]
    assert [p.status for p in world.ledger] == ["Declined"]


def test_the_utility_account_is_spent_to_the_shilling(partner, world, listener):
    world.set_balance("600992", Decimal(700))
    for own_id in ("loan-1", "loan-2"):
        partner.pay(own_id)

    codes = result_codes(listener, 2)

    assert sorted(codes) == [0, 1]
    assert world.accounts["600992"].utility == 200
