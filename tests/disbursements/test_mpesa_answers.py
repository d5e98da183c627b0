"""What M-Pesa's gateway answers, and how sure each answer makes us: the contract's section 2."""

import json

import pytest

from disbursements import mpesa
from disbursements.mpesa import Accepted, Duplicate, is_configuration, understand
from paymentvault.http import Answer, NotSent, OutcomeUnknown, Refused

FIREWALL = "<html><body>Request unsuccessful. Incapsula incident ID: 7</body></html>"
APIGEE = '{"fault": {"faultstring": "Gateway Timeout"}}'
NO_PRODUCT = "Invalid API call as no apiproduct match found"


def error(status: int, code: str, words: str = "Error Occurred") -> Answer:
    body = {"requestId": "1", "errorCode": code, "errorMessage": words}
    return Answer(status, json.dumps(body))


def ack(**changes: object) -> Answer:
    body = {"ConversationID": "AG_1", "OriginatorConversationID": "a", "ResponseCode": "0"}
    return Answer(200, json.dumps(body | changes))


TABLE = {
    "invalid field": (error(400, "400.002.02", "Bad Request - Invalid PartyB"), Refused),
    "invalid payload": (error(400, "400.002.05"), Refused),
    "bad token, C2B's code": (error(400, "400.003.01"), Refused),
    "bad token": (error(401, "401.002.01"), Refused),
    "bad token, 404": (error(404, "404.001.03"), Refused),
    "no product": (error(401, "401.003.01", NO_PRODUCT), Refused),
    "no product, as text": (Answer(401, NO_PRODUCT), Refused),
    "not entitled to v3": (error(403, "403.002.1001"), Refused),
    "wrong path": (error(404, "404.001.01"), Refused),
    "wrong path, balance": (error(404, "404.002.01"), Refused),
    "wrong method": (error(405, "405.001"), Refused),
    "duplicate": (error(500, "500.002.1001", "Duplicate OriginatorConversationID."), Duplicate),
    "internal error": (error(500, "500.002.1001", "System internal error."), OutcomeUnknown),
    "maintenance": (
        error(500, "500.002.1001", "Service is currently under maintenance"),
        OutcomeUnknown,
    ),
    "internal error, reversal's": (error(500, "500.001.1001"), OutcomeUnknown),
    "internal error, balance's": (error(500, "500.003.1001"), OutcomeUnknown),
    "spike arrest": (error(500, "500.003.02", "Spike Arrest Violation"), NotSent),
    "spike arrest, 429": (error(429, "500.003.02", "System is busy."), NotSent),
    "quota": (error(500, "500.003.03", "Quota Violation"), NotSent),
    "accepted": (ack(), Accepted),
    "accepted, number": (ack(ResponseCode=0), Accepted),
    "accepted, no id of ours": (ack(OriginatorConversationID=None), Accepted),
    "other response code": (ack(ResponseCode="1"), Refused),
    "no conversation id": (ack(ConversationID=""), OutcomeUnknown),
    "no response code": (Answer(200, '{"ConversationID": "AG_1"}'), OutcomeUnknown),
    "200 with an error in it": (error(200, "500.003.02"), OutcomeUnknown),
    "200 in HTML": (Answer(200, FIREWALL), OutcomeUnknown),
    "200, empty": (Answer(200, ""), OutcomeUnknown),
    "200, a list": (Answer(200, "[]"), OutcomeUnknown),
    "200, broken off": (Answer(200, '{"ConversationID": "AG_'), OutcomeUnknown),
    "202, accepted": (Answer(202, ack().text), OutcomeUnknown),
    "redirect": (Answer(302, ""), OutcomeUnknown),
    "firewall 403": (Answer(403, FIREWALL), OutcomeUnknown),
    "firewall 503": (Answer(503, FIREWALL), OutcomeUnknown),
    "Apigee's fault": (Answer(504, APIGEE), OutcomeUnknown),
    "400, empty": (Answer(400, ""), OutcomeUnknown),
    "400, unheard code": (error(400, "400.999.99"), OutcomeUnknown),
    "400, code no text": (Answer(400, '{"errorCode": ["400.002.02"]}'), OutcomeUnknown),
    "500 after acceptance": (Answer(500, ack().text), OutcomeUnknown),
    "deeply nested": (Answer(200, "[" * 50_000), OutcomeUnknown),
}


@pytest.mark.lesson(1)
@pytest.mark.parametrize("answer, ending", TABLE.values(), ids=TABLE.keys())
def test_each_answer_of_the_gateway_makes_us_as_sure_as_the_contract_says(answer, ending):
    try:
        outcome = understand(answer)
    except Exception as raised:
        outcome = raised

    assert type(outcome) is ending


def test_a_duplicate_is_told_from_an_internal_error_by_its_message_only():
    with pytest.raises(Duplicate):
        understand(error(500, "500.001.1001", "duplicate originatorconversationid"))
    with pytest.raises(OutcomeUnknown) as raised:
        understand(error(500, "500.002.1001", "System internal error."))
    assert not isinstance(raised.value, Duplicate)


@pytest.mark.lesson(6)
def test_a_response_code_is_never_taken_for_the_result_code_of_the_same_digits():
    with pytest.raises(Refused) as raised:
        understand(ack(ResponseCode="1"))

    assert raised.value.code == "response-1"


HALTS = {
    "400.002.02": False,
    "400.002.05": False,
    "response-1": False,
    "400.003.01": True,
    "401.002.01": True,
    "404.001.03": True,
    "403.002.1001": True,
    "404.001.01": True,
    "404.002.01": True,
    "405.001": True,
    mpesa.NO_PRODUCT: True,
    mpesa.BAD_CONSUMER_KEY: True,
    mpesa.BAD_CERTIFICATE: True,
    mpesa.TOKEN_REFUSED_TWICE: True,
}


@pytest.mark.parametrize("code, halts", HALTS.items())
def test_refusals_that_all_others_would_meet_halt_the_shortcode(code, halts):
    assert is_configuration(Refused("No.", code=code)) is halts
