import pytest

from tests.samples import AMINA
from tests.sandbox.safaricom.calls import LONG, OMITTED, Partner, error, parameters, result_codes


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

    assert result_codes(listener, path="/s") == [2032]


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
