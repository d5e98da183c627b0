"""M-Pesa's result codes, as the contract's section 5 lists them."""

import pytest

from disbursements import results
from disbursements.results import Meaning
from disbursements.states import Status
from tests.samples import paid, result

FAILURE = "callback-b2c-failure-2001-official-2024"
CONTRACT = {
    Meaning.PAID: "0",
    Meaning.FUNDS: "1",
    Meaning.AMOUNT: "2 3",
    Meaning.RECIPIENT: "4 8 7 14 2040 2051 SFC_IC0003 R002 R003",
    Meaning.CONFIGURATION: "11 18 20 21 22 2001 8006 TP40153 2006 2028 24 25 29",
    Meaning.UNKNOWN: "26 100000001 100000002 100000011 00.002.1001 15 17 19 2029 100000000 "
    "100000004 2032 2033 R000002",
}
ROWS = [(code, meaning) for meaning, codes in CONTRACT.items() for code in codes.split()]
# STK codes, inventions of the predecessor's, and what nobody has seen yet.
UNFAMILIAR = ["1001", "1019", "1032", "1037", "9", "13", "36", "", "-1", "0.0", "00", "None", "x"]


@pytest.mark.parametrize("code, meaning", ROWS)
def test_every_code_of_the_contract_has_its_meaning(code, meaning):
    assert results.of(code).meaning == meaning


def test_the_table_has_no_code_that_the_contract_lacks():
    assert results.RESULTS.keys() == {code for code, _ in ROWS}


@pytest.mark.lesson(6)
@pytest.mark.parametrize("code", UNFAMILIAR)
def test_an_unfamiliar_code_is_unknown_and_never_a_failure(code):
    assert results.of(code).meaning == Meaning.UNKNOWN


@pytest.mark.parametrize("code", [2001, "2001", " 2001 "])
def test_a_code_may_be_a_number_or_text(code):
    assert results.of(code).meaning == Meaning.CONFIGURATION


def test_every_code_has_words_for_staff():
    assert all(result.words.endswith(".") for result in results.RESULTS.values())


ENDS = {
    Meaning.FUNDS: (Status.FAILED, "funds"),
    Meaning.AMOUNT: (Status.FAILED, ""),
    Meaning.RECIPIENT: (Status.FAILED, ""),
    Meaning.CONFIGURATION: (Status.FAILED, "configuration"),
    Meaning.UNKNOWN: (Status.IN_DOUBT, ""),
}


@pytest.mark.lesson(5)
@pytest.mark.parametrize(
    "code, meaning", [row for row in ROWS if row[1] != Meaning.PAID] + [("1032", Meaning.UNKNOWN)]
)
def test_each_code_in_a_result_leads_where_its_meaning_says(sent, told, code, meaning):
    attempt = sent()

    told(attempt, result(FAILURE, code=code))

    attempt.refresh_from_db()
    assert (attempt.disbursement.status, attempt.shortcode.pause) == ENDS[meaning]


STATUS = "callback-transactionstatus-success-official"
# OFF's final and open words, and those that integrators add.
TRANSACTION_STATUS = {
    "Completed": Status.PAID,
    "completed": Status.PAID,
    "Cancelled": Status.FAILED,
    "Declined": Status.FAILED,
    "Expired": Status.FAILED,
    "Failed": Status.FAILED,
    "Rejected": Status.FAILED,
    "Initiated": Status.IN_DOUBT,
    "Authorized": Status.IN_DOUBT,
    "Pending Authorized": Status.IN_DOUBT,
    "Reversed": Status.IN_DOUBT,
    "Unheard Of": Status.IN_DOUBT,
    "": Status.IN_DOUBT,
    None: Status.IN_DOUBT,
}


def status_result(attempt, word="Completed", code=0, **changes):
    """M-Pesa's answer to a status query, with some of its parameters changed."""
    body = result(STATUS, code=code)
    ours = {
        "TransactionStatus": word, "Amount": str(attempt.amount_kes),
        "OriginatorConversationID": attempt.originator_conversation_id,
    }  # fmt: skip
    for item in body["Result"]["ResultParameters"]["ResultParameter"]:
        if item["Key"] in ours | changes:
            item["Value"] = (ours | changes)[item["Key"]]
    return body


@pytest.mark.lesson(4)
@pytest.mark.parametrize("word, status", TRANSACTION_STATUS.items())
def test_transaction_status_decides_and_not_the_result_code(sent, asked, told, word, status):
    attempt = sent(Status.IN_DOUBT)

    told(asked(attempt), status_result(attempt, word))

    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == status


@pytest.mark.lesson(4)
@pytest.mark.parametrize("code", [1, 17, 2001, 2032, 2033, "R000002", 9999])
def test_a_status_query_that_failed_says_nothing_of_the_payment(sent, asked, told, code):
    attempt = sent(Status.IN_DOUBT)

    told(asked(attempt), status_result(attempt, "Completed", code=code))

    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == Status.IN_DOUBT


def test_a_paid_result_pays(sent, told):
    attempt = sent()

    told(attempt, paid())

    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == Status.PAID
