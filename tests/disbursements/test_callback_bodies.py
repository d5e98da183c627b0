"""Whatever M-Pesa posts is read or not read, and never breaks anything."""

import json
import string
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from disbursements.callback_bodies import completed_at, masked, read, utility_balance
from disbursements.msisdn import normalise
from disbursements.states import Status
from tests.samples import paid, sample

CREDENTIAL = (string.ascii_letters + string.digits + "+/") * 5 + "abcdefghijklmnopqrstuv=="
TOKEN = "0123456789abcdef" * 2


def body(**result):
    return json.dumps({"Result": {"ResultCode": 0} | result})


def with_parameters(parameters):
    return read(body(ResultParameters={"ResultParameter": parameters}))


@pytest.mark.parametrize(
    "code, as_read",
    [(0, "0"), ("0", "0"), (" 2001 ", "2001"), ("SFC_IC0003", "SFC_IC0003"), (8006, "8006"),
     (0.0, "0.0"), (False, "False"), ([0], ""), ({"a": 0}, ""), ("x" * 99, "x" * 20)],
)  # fmt: skip
def test_a_result_code_may_be_a_number_or_text(code, as_read):
    assert read(body(ResultCode=code)).code == as_read


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "0", '"Result"', "<Result>0</Result>", "{", '{"Result": []}',
     '{"Result": {}}', '{"Result": {"ResultCode": null}}', '{"Result": {"ResultCode": ""}}',
     "[" * 100_000, '{"Result":' * 5_000, '{"Result": {"ResultCode": ' + "9" * 5_000 + "}}"],
)  # fmt: skip
def test_what_holds_no_result_is_none(text):
    assert read(text) is None


def test_parameters_are_read_by_key_in_any_order():
    items = [{"Key": "B", "Value": 2}, {"Key": "A", "Value": "1"}]

    assert with_parameters(items).parameters == {"A": "1", "B": 2}
    assert with_parameters(items[::-1]).parameters == {"A": "1", "B": 2}


@pytest.mark.parametrize(
    "items, parameters",
    [
        ({"Key": "A", "Value": 1}, {"A": 1}),
        ([{"Key": "A"}], {"A": None}),
        ([{"Key": "A", "Value": 1}, {"Key": "A", "Value": 2}], {"A": 1}),
        ([{"Value": 1}, "A", None, 7, {"Key": ["A"]}], {}),
        ("A", {}),
        (None, {}),
    ],
)
def test_one_parameter_may_be_no_list_and_have_no_value(items, parameters):
    assert with_parameters(items).parameters == parameters


@pytest.mark.parametrize(
    "value, money",
    [(10, 10), (10.5, Decimal("10.5")), ("10", 10), ("10.00", 10), (-1540.0, -1540), (0, 0),
     ("", None), (None, None), ("ten", None), ("NaN", None), ("Infinity", None), (1e300, None),
     ([10], None), ("1e999999", None)],
)  # fmt: skip
def test_sums_are_numbers_or_text(value, money):
    assert with_parameters([{"Key": "Amount", "Value": value}]).money("Amount") == money


@pytest.mark.parametrize(
    "text, at",
    [
        ("06.07.2024 22:48:52", datetime(2024, 7, 6, 19, 48, 52, tzinfo=UTC)),
        ("01.01.2025 00:00:00", datetime(2024, 12, 31, 21, tzinfo=UTC)),
        ("20180223054112", datetime(2018, 2, 23, 2, 41, 12, tzinfo=UTC)),
        (20180223054112, datetime(2018, 2, 23, 2, 41, 12, tzinfo=UTC)),
        ("2024-07-06T22:48:52Z", None),
        ("32.01.2025 00:00:00", None),
        ("01.01.0001 00:00:00", None),
        ("", None),
    ],
)
def test_times_are_nairobis_in_two_formats(text, at):
    assert completed_at(with_parameters([{"Key": "FinalisedTime", "Value": text}])) == at


@pytest.mark.parametrize("form", ["0{}", "254{}", "+254{}", "{}"])
def test_a_receiver_may_be_named_in_any_form_of_the_number(sent, told, form):
    attempt = sent(msisdn="254112345678")

    told(attempt, paid(ReceiverPartyPublicName=form.format("112345678") + " - JOHN - DOE"))

    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == Status.PAID


@pytest.mark.parametrize(
    "accounts, balance",
    [
        ("Utility Account|KES|228037.00|1|2|3", Decimal("228037.00")),
        ("Working Account|KES|1|1|0|0&Utility Account|KES|-5|1|2|3", Decimal(-5)),
        (" utility account |KES|7", Decimal(7)),
        ("Utility Account|KES", None),
        ("Utility Account|KES|much", None),
        ("Utility Account|KES|1e99", None),
        ("Utility Account|KES|Infinity", None),
        ("", None),
    ],
)
def test_the_utility_accounts_usable_figure_is_the_float(accounts, balance):
    assert utility_balance(accounts) == balance


def test_what_postgresql_cannot_hold_is_replaced():
    outcome = read('{"Result": {"ResultCode": "1\\u0000", "ResultDesc": "\\ud800"}}')

    assert (outcome.code, outcome.words) == ("1\ufffd", "?")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.sampled_from(
    ["Result", "ResultCode", "ResultDesc", "ResultParameters", "ResultParameter", "Key", "Value",
     "OriginatorConversationID", "TransactionAmount"]
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS | st.text(), inner)
)


@given(st.text() | JSON.map(json.dumps) | JSON.map(lambda r: json.dumps({"Result": r})))
@example(body(ResultCode={"a": [[[[]]]]}))
def test_reading_never_fails(text):
    outcome = read(masked(text))

    if outcome:
        outcome.money("TransactionAmount")
        completed_at(outcome)
        utility_balance(outcome.text("AccountBalance"))
        normalise(outcome.text("ReceiverPartyPublicName"))
        f"{outcome.code}{outcome.words}{outcome.conversation_id}".encode()
        assert "\x00" not in outcome.code + outcome.words + outcome.originator_conversation_id


ECHO = sample("daraja/request-b2c-v3-official.json") | {"SecurityCredential": CREDENTIAL}
FORMS = {
    "JSON": json.dumps(ECHO),
    "indented": json.dumps(ECHO, indent=2),
    "inside a Result": json.dumps({"Result": {"Request": ECHO}}),
    "as text inside JSON": json.dumps({"Request": json.dumps(ECHO)}),
    "cut off": json.dumps(ECHO)[:-400],
    "slashes escaped": json.dumps(ECHO).replace("/", "\\/"),
    "unicode escapes": json.dumps(ECHO).replace("+", "\\u002b"),
    "as a form": "&".join(f"{key}={value}" for key, value in ECHO.items()),
    "percent-encoded": "SecurityCredential=" + CREDENTIAL.replace("/", "%2F"),
    "as XML": f"<SecurityCredential>{CREDENTIAL}</SecurityCredential>",
    "by key and value": json.dumps({"Key": "SecurityCredential", "Value": CREDENTIAL}),
    "in a list": json.dumps({"SecurityCredential": [CREDENTIAL]}),
    "under another name": json.dumps({"credential": CREDENTIAL}),
    "as Python writes it": str(ECHO),
}


@pytest.mark.lesson(15)
@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_a_security_credential_is_masked_in_whatever_shape_it_comes(text):
    left = masked(text)

    assert "[masked]" in left
    pieces = CREDENTIAL.replace("/", "+").split("+")
    assert not any(piece in left for piece in pieces if len(piece) > 20)


@given(st.text(st.sampled_from(string.ascii_letters + string.digits + "+/"), min_size=300),
       st.sampled_from(["SecurityCredential", "securitycredential", "x"]), JSON)  # fmt: skip
def test_masking_never_leaves_a_security_credential(credential, key, beside):
    text = json.dumps({"a": beside, "Result": [{key: credential, "b": beside}]})

    assert credential not in masked(text)


@pytest.mark.parametrize("password", ["Safaricom999!", 'with "quotes"', "a\\b"])
def test_a_password_is_masked(password):
    assert json.dumps(password)[1:-1] not in masked(json.dumps({"InitiatorPassword": password}))


def test_our_own_callback_address_is_masked():
    text = json.dumps({"ResultURL": f"https://vault.test/cb/{TOKEN}/r"})

    assert masked(text) == '{"ResultURL": "https://vault.test/cb/[masked]/r"}'


@pytest.mark.parametrize(
    "name", ["callback-b2c-success-official-2024", "callback-accountbalance-success-official"]
)
def test_masking_leaves_everything_else_as_it_came(name):
    text = json.dumps(sample(f"daraja/{name}.json"), indent=2)

    assert masked(text) == text
