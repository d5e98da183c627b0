import pytest

from tests.samples import AMINA
from tests.sandbox.safaricom.calls import LONG, OMITTED, error

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
        partner.payments, data=body, headers={"Content-Type": "application/json"}, timeout=5
    )

    assert error(answer) == (400, "400.002.05", "Invalid Request Payload")


def test_a_form_is_not_json(partner):
    answer = partner.http.post(partner.payments, data=partner.order(), timeout=5)

    assert error(answer)[1] == "400.002.05"


@pytest.mark.parametrize("path", ["/mpesa/b2c/v1/paymentrequest", "/mpesa/reversal/v1/request"])
def test_other_paths_do_not_exist(partner, path):
    assert error(partner.post(path, {}))[:2] == (404, "404.001.01")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused(partner, method):
    answer = partner.http.request(method, partner.payments, timeout=5)

    assert error(answer)[:2] == (405, "405.001")


@pytest.mark.parametrize("amount", [500, "500"])
def test_an_amount_is_a_number_or_digits(partner, world, amount):
    partner.pay(Amount=amount)

    assert [p.amount for p in world.paid_to(AMINA)] == [500]


@pytest.mark.parametrize("occassion", [OMITTED, "x", "x" * 100])
def test_occassion_may_be_left_out(partner, occassion):
    assert partner.pay(Occassion=occassion).status_code == 200
