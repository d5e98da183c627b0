"""The pretend Safaricom keeps to the contract, and goes wrong only as planned."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding

from paymentvault.sandbox.keys import make_keys
from paymentvault.sandbox.safaricom import FAULTS, STATUS_FAULTS, Safaricom
from paymentvault.sandbox.safaricom_faults import Plans, any_fault, parse
from paymentvault.sandbox.server import Answer, Server, World

AMINA, BARAKA = "254712345678", "254110345678"
DELAY_S = 0.03
OMITTED = object()


class Listener(World):
    """The partner's side of callbacks."""

    def __init__(self):
        self.heard = []
        self.came = threading.Condition()

    def handle(self, request):
        with self.came:
            self.heard.append((request.path, request.body))
            self.came.notify_all()
        return Answer(200, {"ResultCode": 0, "ResultDesc": "Accepted"})

    def results(self, count=1, path="/r"):
        """Wait for so many calls to a path and return what they said."""
        with self.came:
            self.came.wait_for(lambda: len(self._at(path)) >= count, timeout=3)
        return [json.loads(body) for body in self._at(path)]

    def _at(self, path):
        return [body for at, body in self.heard if at == path]


class Partner:
    """Speaks Daraja as our client should."""

    def __init__(self, safaricom, listener, certificate_pem, key="key", password="Safe#1"):
        self.safaricom, self.listener, self.key = safaricom, listener, key
        self.credential = encrypt(password, certificate_pem)
        self.http = requests.Session()

    def token_answer(self, secret="secret", **params):
        params = params or {"grant_type": "client_credentials"}
        url = self.safaricom + "/oauth/v1/generate"
        return self.http.get(url, params=params, auth=(self.key, secret), timeout=5)

    def sign_in(self):
        token = self.token_answer().json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        return token

    def post(self, path, body):
        return self.http.post(self.safaricom + path, json=body, timeout=5)

    def pay(self, own_id="loan-1", **changes):
        return self.post("/mpesa/b2c/v3/paymentrequest", self.order(own_id, **changes))

    def order(self, own_id="loan-1", **changes):
        order = {
            "OriginatorConversationID": own_id,
            "InitiatorName": "apiop",
            "SecurityCredential": self.credential,
            "CommandID": "BusinessPayment",
            "Amount": "500",
            "PartyA": "600992",
            "PartyB": AMINA,
            "Remarks": "Loan 7",
            "QueueTimeOutURL": self.listener + "/q",
            "ResultURL": self.listener + "/r",
            "Occassion": "loan",
        }
        return present(order | changes)

    def query(self, **changes):
        own = {"CommandID": "TransactionStatusQuery", "OriginalConversationID": "loan-1"}
        return self.post("/mpesa/transactionstatus/v1/query", self._asking({**own, **changes}))

    def balance(self, **changes):
        body = self._asking({"CommandID": "AccountBalance", **changes})
        return self.post("/mpesa/accountbalance/v1/query", body)

    def _asking(self, changes):
        question = {
            "Initiator": "apiop",
            "SecurityCredential": self.credential,
            "PartyA": "600992",
            "IdentifierType": "4",
            "Remarks": "ok",
            "QueueTimeOutURL": self.listener + "/sq",
            "ResultURL": self.listener + "/s",
        }
        return present(question | changes)


def present(fields):
    return {name: value for name, value in fields.items() if value is not OMITTED}


def encrypt(password, certificate_pem):
    key = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
    return base64.b64encode(key.encrypt(password.encode(), padding.PKCS1v15())).decode()


def parameters(body):
    items = body["Result"]["ResultParameters"]["ResultParameter"]
    return {item["Key"]: item.get("Value") for item in items}


def error(answer):
    return answer.status_code, answer.json()["errorCode"], answer.json()["errorMessage"]


def add_app(world, **changes):
    app = {
        "consumer_key": "key",
        "consumer_secret": "secret",
        "shortcode": "600992",
        "initiator": "apiop",
        "password": "Safe#1",
    }
    world.add_app(**{**app, **changes})


@pytest.fixture(scope="module")
def servers():
    """One pair for all tests, since stopping a server takes a twentieth of a second."""
    with Server(Safaricom()) as safaricom, Server(Listener()) as ours:
        yield safaricom, ours


@pytest.fixture
def world(servers):
    world = servers[0].world
    world.reset()
    world.callback_delay_s = DELAY_S
    world.gateway.token_life_s = 3599
    add_app(world)
    return world


@pytest.fixture
def listener(servers):
    listener = servers[1].world
    listener.heard.clear()
    return listener


@pytest.fixture
def partner(servers, world, listener):
    partner = Partner(servers[0].url, servers[1].url, world.certificate_pem)
    partner.sign_in()
    yield partner
    assert world.settle()
    partner.http.close()


# Tokens


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


# What a request must look like

LONG = "x" * 101
WRONG_FIELDS = [
    ("OriginatorConversationID", [OMITTED, "", "a b", "a/b", "x" * 129, 7, None]),
    ("InitiatorName", [OMITTED, "", 7]),
    ("SecurityCredential", [OMITTED, "", None]),
    ("CommandID", [OMITTED, "BusinessPayBill", "businesspayment"]),
    ("Amount", [OMITTED, 0, -5, 10.0, 10.5, "10.5", "10.00", "1e3", "", " 10", True, None]),
    ("PartyA", [OMITTED, "600993", 600992, "abc"]),
    ("PartyB", [OMITTED, "0712345678", "+254712345678", "254812345678", 254712345678]),
    ("Remarks", [OMITTED, "x", LONG, None]),
    ("Occassion", ["", LONG, 5]),
    ("ResultURL", [OMITTED]),
    ("QueueTimeOutURL", [OMITTED]),
    ("Occasion", ["one s"]),
    ("Initiator", ["apiop"]),
]


@pytest.mark.parametrize("name, values", WRONG_FIELDS)
def test_a_wrong_field_is_named_and_nothing_is_taken(partner, world, name, values):
    answers = [error(partner.pay(**{name: value})) for value in values]

    assert set(answers) == {(400, "400.002.02", f"Bad Request - Invalid {name}")}
    assert world.ledger == []


WRONG_URLS = [
    "ftp://vault.example/cb",
    "vault.example/cb",
    "https://",
    "https://vault.example/mpesa/cb",
    "https://m-pesa.example/cb",
    "https://safaricom.example/cb",
    "https://vault.example/cb?exec=1",
    "https://vault.example/cmd",
    "https://vault.example/sqlite",
    "https://vault.example/query",
    "https://vault.example/CB",
    7,
]


@pytest.mark.parametrize("name", ["ResultURL", "QueueTimeOutURL"])
def test_a_callback_url_that_safaricom_dislikes_is_refused(partner, name):
    answers = [error(partner.pay(**{name: url})) for url in WRONG_URLS]

    assert set(answers) == {(400, "400.002.02", "Bad Request - Invalid CallBackURL")}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"", b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(partner, body):
    answer = partner.http.post(
        partner.safaricom + "/mpesa/b2c/v3/paymentrequest",
        data=body,
        headers={"Content-Type": "application/json"},
        timeout=5,
    )

    assert error(answer) == (400, "400.002.05", "Invalid Request Payload")


def test_a_form_is_not_json(partner):
    url = partner.safaricom + "/mpesa/b2c/v3/paymentrequest"

    assert error(partner.http.post(url, data=partner.order(), timeout=5))[1] == "400.002.05"


@pytest.mark.parametrize("path", ["/mpesa/b2c/v1/paymentrequest", "/mpesa/reversal/v1/request"])
def test_other_paths_do_not_exist(partner, path):
    assert error(partner.post(path, {}))[:2] == (404, "404.001.01")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused(partner, method):
    url = partner.safaricom + "/mpesa/b2c/v3/paymentrequest"

    assert error(partner.http.request(method, url, timeout=5))[:2] == (405, "405.001")


@pytest.mark.parametrize("amount", [500, "500"])
def test_an_amount_is_a_number_or_digits(partner, world, amount):
    partner.pay(Amount=amount)

    assert [p.amount for p in world.paid_to(AMINA)] == [500]


@pytest.mark.parametrize("occassion", [OMITTED, "x", "x" * 100])
def test_occassion_may_be_left_out(partner, occassion):
    assert partner.pay(Occassion=occassion).status_code == 200


# Paying


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

    assert listener.results()[0]["Result"]["ResultCode"] == 2040
    assert [p.status for p in world.ledger] == ["Declined"]


def test_the_utility_account_is_spent_to_the_shilling(partner, world, listener):
    world.set_balance("600992", Decimal(700))
    for own_id in ("loan-1", "loan-2"):
        partner.pay(own_id)

    codes = [body["Result"]["ResultCode"] for body in listener.results(2)]

    assert sorted(codes) == [0, 1]
    assert world.accounts["600992"].utility == 200


# Operators


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
    assert listener.results()[0]["Result"]["ResultCode"] == 2001
    assert world.paid_to(AMINA) == []


def test_an_unknown_operator_fails(partner, listener):
    partner.pay(InitiatorName="nobody")

    assert listener.results()[0]["Result"]["ResultCode"] == 2001


def test_the_third_wrong_try_locks_the_operator_for_everything(partner, world, listener):
    good, partner.credential = partner.credential, encrypt("wrong", world.certificate_pem)
    for own_id in ("a", "b", "c"):
        partner.pay(own_id)
    partner.credential = good
    partner.pay("d")
    partner.query(OriginalConversationID="a")
    partner.balance()

    paying = [body["Result"]["ResultCode"] for body in listener.results(4)]
    asking = [body["Result"]["ResultCode"] for body in listener.results(2, "/s")]

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


# Asking


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"TransactionID": ""},
        {"TransactionID": "RECEIPT"},
        {"TransactionID": "RECEIPT", "OriginalConversationID": OMITTED},
    ],
)
def test_a_status_query_finds_a_payment_by_either_name(partner, world, listener, named):
    partner.pay()
    [payment] = world.ledger
    if named.get("TransactionID"):
        named = {**named, "TransactionID": payment.receipt}

    ack = partner.query(**named).json()

    result = listener.results(path="/s")[0]
    said = parameters(result)
    assert result["Result"]["ConversationID"] == ack["ConversationID"] != payment.conversation_id
    assert (said["ReceiptNo"], said["Amount"]) == (payment.receipt, "500")
    assert said["TransactionStatus"] == "Completed"
    assert said["OriginatorConversationID"] == "loan-1"
    assert said["ConversationID"] == payment.conversation_id


def test_a_declined_payment_is_found_with_result_code_zero(partner, listener):
    partner.pay(Amount=5)
    partner.query()

    [body] = listener.results(path="/s")

    assert body["Result"]["ResultCode"] == 0
    assert parameters(body)["TransactionStatus"] == "Declined"


@pytest.mark.parametrize(
    "named",
    [
        {"OriginalConversationID": "other"},
        {"TransactionID": "QQQ0000000"},
        {"TransactionID": "QQQ0000000", "OriginalConversationID": OMITTED},
    ],
)
def test_a_payment_that_does_not_exist_is_2032(partner, listener, named):
    partner.pay()
    partner.query(**named)

    assert listener.results(path="/s")[0]["Result"]["ResultCode"] == 2032


WRONG_IN_QUERIES = [
    ("Initiator", OMITTED),
    ("InitiatorName", "apiop"),
    ("CommandID", "BusinessPayment"),
    ("Command ID", "TransactionStatusQuery"),
    ("PartyA", "600993"),
    ("IdentifierType", "1"),
    ("IdentifierType", 4),
    ("Remarks", LONG),
    ("Remarks", OMITTED),
    ("Occassion", "two s"),
]


@pytest.mark.parametrize("name, value", WRONG_IN_QUERIES)
@pytest.mark.parametrize("ask", [Partner.query, Partner.balance])
def test_a_wrong_field_of_a_query_is_named(partner, ask, name, value):
    answer = ask(partner, **{name: value})

    assert error(answer) == (400, "400.002.02", f"Bad Request - Invalid {name}")


@pytest.mark.parametrize(
    "named",
    [
        {"OriginalConversationID": OMITTED},
        {"OriginalConversationID": ""},
        {"OriginalConversationID": "", "TransactionID": ""},
    ],
)
def test_a_status_query_must_name_a_payment(partner, named):
    answer = partner.query(**named)

    assert error(answer)[2] == "Bad Request - Invalid TransactionID"


def test_the_balance_lists_five_accounts(partner, world, listener):
    partner.pay()
    partner.balance()

    [body] = listener.results(path="/s")

    assert body["Result"]["ResultCode"] == "0"
    assert parameters(body)["AccountBalance"].split("&") == [
        "Working Account|KES|0.00|0.00|0.00|0.00",
        "Float Account|KES|0.00|0.00|0.00|0.00",
        "Utility Account|KES|999500.00|999500.00|0.00|0.00",
        "Charges Paid Account|KES|-22.40|-22.40|0.00|0.00",
        "Organization Settlement Account|KES|0.00|0.00|0.00|0.00",
    ]


def test_a_locked_balance_query_says_so_in_its_parameters(partner, world, listener):
    world.lock_initiator("600992")
    partner.balance()

    [body] = listener.results(path="/s")

    assert body["Result"]["ResultCode"] == 8006
    assert parameters(body)["ErrorMsg"] == "API Password is locked. "


# Faults before anything is taken

NOTHING_TAKEN = [
    ("error_500", 500, "500.002.1001"),
    ("spike_arrest", 500, "500.003.02"),
    ("quota", 500, "500.003.03"),
    ("token_expired", 401, "401.002.01"),
    ("refused:400.002.02", 400, "400.002.02"),
    ("refused:403.002.1001", 403, "403.002.1001"),
    ("refused:404.001.03", 404, "404.001.03"),
]


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


# Faults after acceptance: all are paid once, and all spent their id


def broken_off(partner):
    with pytest.raises(requests.ConnectionError):
        partner.pay()


def says_500(partner):
    assert error(partner.pay()) == (500, "500.002.1001", "System internal error.")


def says_html(partner):
    answer = partner.pay()
    assert (answer.status_code, answer.text[:5]) == (200, "<html")


def accepts(partner):
    assert partner.pay().json()["ResponseCode"] == "0"


PAID = [
    ("answer_lost", broken_off, [0]),
    ("answer_lost_no_callback", broken_off, []),
    ("reset_after_acceptance", broken_off, [0]),
    ("error_500_after_acceptance", says_500, [0]),
    ("html_after_acceptance", says_html, [0]),
    ("slow:0.2", accepts, [0]),
    ("lost_callback", accepts, []),
    ("late_callback:0.3", accepts, [0]),
    ("reordered_callback", accepts, [0]),
    ("double_callback", accepts, [0, 0]),
    ("callback_before_answer", accepts, [0]),
    ("callback_before_answer+double_callback", accepts, [0, 0]),
    ("contradicting_callback", accepts, [0, 2]),
    ("contradicting_failure_first", accepts, [2, 0]),
    ("wrong_amount", accepts, [0]),
    ("wrong_number", accepts, [0]),
    ("queue_timeout_then_success", accepts, [0]),
    ("queue_timeout_only", accepts, []),
    ("error_500_after_acceptance+lost_callback", says_500, []),
    ("normal", accepts, [0]),
]


@pytest.mark.parametrize("fault, answer, codes", PAID)
def test_what_was_accepted_is_paid_once(partner, world, listener, fault, answer, codes):
    world.plan(AMINA, fault)

    answer(partner)

    world.settle()
    assert [body["Result"]["ResultCode"] for body in listener.results(0)] == codes
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
        partner.http.post(
            partner.safaricom + "/mpesa/b2c/v3/paymentrequest", json=partner.order(), timeout=0.1
        )

    assert listener.results()[0]["Result"]["ResultCode"] == 0


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

    assert [path for path, _ in listener.heard] == ["/q", "/r"]
    assert listener.results(path="/q") == [partner.order()]


def test_a_garbage_callback_is_no_json(partner, world, listener):
    world.plan(AMINA, "garbage_callback")
    partner.pay()
    world.settle()

    [(_, body)] = listener.heard
    assert body == b"<Result>0</Result>"
    assert len(world.paid_to(AMINA)) == 1


# Faults by which M-Pesa declines


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


# Faults of status queries


@pytest.mark.parametrize(
    "fault, code, status",
    [
        ("not_found", 2032, None),
        ("pending", 0, "Pending Authorized"),
        ("result_code_zero_but_failed", 0, "Declined"),
    ],
)
def test_a_status_query_can_mislead(partner, world, listener, fault, code, status):
    world.plan_status(AMINA, fault)
    partner.pay()
    partner.query()

    [body] = listener.results(path="/s")

    assert body["Result"]["ResultCode"] == code
    assert status is None or parameters(body)["TransactionStatus"] == status


def test_a_status_fault_passes(partner, world, listener):
    world.plan_status(AMINA, "spike_arrest", "lost_callback")
    partner.pay()

    answers = [partner.query().status_code for _ in range(3)]

    assert answers == [500, 200, 200]
    world.settle()
    assert len(listener.results(path="/s")) == 1


# Plans


def test_each_request_meets_its_own_fault_and_then_none(partner, world):
    world.plan(AMINA, "error_500", "normal", "quota")

    answers = [partner.pay(f"loan-{n}").status_code for n in range(5)]

    assert answers == [500, 200, 500, 200, 200]


def test_a_plan_is_for_one_number(partner, world):
    world.plan(AMINA, "error_500")

    assert partner.pay(PartyB=BARAKA).status_code == 200


def test_a_refused_field_uses_up_no_fault(partner, world):
    world.plan(AMINA, "quota")
    partner.pay(Amount="x")

    assert error(partner.pay())[1] == "500.003.03"


@pytest.mark.parametrize(
    "fault",
    [
        "",
        "typo",
        "reset+typo",
        "late_callback",
        "late_callback:soon",
        "slow:-1",
        "reset:1",
        "result:",
    ],
)
def test_an_unknown_fault_is_an_error(world, fault):
    with pytest.raises(ValueError):
        world.plan(AMINA, fault)


def test_every_fault_of_the_table_can_be_planned():
    assert len(any_fault()) == len(FAULTS) - 1
    assert all(parse(fault).parts for fault in any_fault())
    assert all(parse(fault, STATUS_FAULTS).parts for fault in STATUS_FAULTS)


def test_every_fault_of_the_table_is_tested_here():
    tested = [fault for fault, *_ in PAID + NOTHING_TAKEN]
    tested += ["html_firewall", "response_code", "reset", "garbage_callback"]
    tested += ["result", "result_as_object"]

    names = {part.partition(":")[0] for fault in tested for part in fault.split("+")}

    assert names == {key.partition(":")[0] for key in FAULTS}


def test_chance_is_the_same_for_the_same_seed_in_any_order():
    def met(numbers):
        plans = Plans()
        plans.at_random(7, 0.5, any_fault())
        return {number: [plans.next(number) for _ in range(4)] for number in numbers}

    numbers = [str(n) for n in range(100)]

    assert met(numbers) == met(reversed(numbers))


def test_chance_meets_about_its_share():
    plans = Plans()
    plans.at_random(7, 0.25, any_fault())

    met = [bool(plans.next(str(n)).parts) for n in range(1000)]

    assert 200 < sum(met) < 300


def test_a_planned_number_is_left_alone_by_chance(partner, world):
    world.plan_at_random(7, 1.0, "error_500")
    world.plan(AMINA, "normal")

    answers = [partner.pay("a"), partner.pay("b"), partner.pay("c", PartyB=BARAKA)]

    assert [answer.status_code for answer in answers] == [200, 200, 500]


# What the world remembers


def test_every_request_is_kept_with_what_it_got(partner, world):
    world.plan(AMINA, "answer_lost")
    broken_off(partner)
    partner.pay("loan-2", Amount=0)

    kept = [(r.method, r.path, r.answer_status) for r in world.requests]

    payments = "/mpesa/b2c/v3/paymentrequest"
    assert kept == [
        ("GET", "/oauth/v1/generate", 200),
        ("POST", payments, None),
        ("POST", payments, 400),
    ]
    assert world.requests[1].body == partner.order()


def test_every_callback_is_kept_with_what_it_got(partner, world):
    partner.pay("loan-1")
    partner.pay("loan-2", ResultURL="http://127.0.0.1:1/r")
    world.settle()

    kept = {d.url: (d.status, bool(d.error)) for d in world.callbacks}

    heard, deaf = partner.listener + "/r", "http://127.0.0.1:1/r"
    assert kept == {heard: (200, False), deaf: (None, True)}


def test_a_reset_forgets_all_and_stops_callbacks(partner, world, listener):
    world.plan(AMINA, "late_callback:0.2")
    partner.pay()

    world.reset()

    world.settle()
    assert (world.ledger, world.requests, world.callbacks, listener.heard) == ([], [], [], [])
    assert partner.token_answer().status_code == 400


# The levers over HTTP


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


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
def test_alone_it_says_when_it_is_ready_and_stops_cleanly(wanted):
    command = [sys.executable, "-m", "paymentvault.sandbox.safaricom", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        url = process.stdout.readline().removeprefix("ready ").strip()
        health = requests.get(url + "/_sandbox/health", timeout=5)
        process.send_signal(wanted)

        assert (health.status_code, process.wait(timeout=5)) == (200, 0)
