from datetime import timedelta

import pytest

from tests.sandbox.mifos.calls import code, sent, shape


def test_a_disbursement_answers_and_keeps_what_was_sent(api):
    loan_id = api.approved()

    answer = api.disburse(loan_id)

    expected = sent("disburse_response_1.9plus")
    assert shape(answer.json()) == shape(expected)
    assert answer.json()["changes"]["status"] == expected["changes"]["status"]
    paid = api.mifos.loans[loan_id].transactions[0]
    assert (paid["receipt_number"], paid["external_id"], paid["amount"]) == (
        "TJM7XXXXXX", "pv-3198-1", 10000)  # fmt: skip
    assert api.mifos.loans[loan_id].notes == ["M-Pesa B2C TJM7XXXXXX"]


def test_before_1_9_a_disbursement_has_no_transaction_id(start):
    api = start("1.8")

    answer = api.disburse(api.approved()).json()

    assert "subResourceId" not in answer
    assert answer["changes"]["transactionAmount"] == 10000


@pytest.mark.parametrize(
    "pattern, python", [("yyyy-MM-dd", "%Y-%m-%d"), ("dd MMMM yyyy", "%d %B %Y"),
                        ("dd MMM yyyy", "%d %b %Y")],
)  # fmt: skip
def test_the_known_java_formats_are_read(api, pattern, python):
    text = api.mifos.today().strftime(python)

    answer = api.disburse(api.approved(), dateFormat=pattern, actualDisbursementDate=text)

    assert answer.status_code == 200


def test_today_is_the_business_date_when_there_is_one(api):
    loan_id = api.approved()
    today = api.mifos.today()
    api.mifos.business_date = today - timedelta(days=1)

    late = api.disburse(loan_id, actualDisbursementDate=today.isoformat())

    assert code(late) == "error.msg.loan.disbursal.cannot.be.a.future.date"
    assert api.disburse(loan_id).status_code == 200


def test_payment_details_without_a_payment_type_are_lost_in_silence(api):
    loan_id = api.approved()

    answer = api.disburse(loan_id, paymentTypeId=None)

    assert "receiptNumber" not in answer.json()["changes"]
    assert api.mifos.loans[loan_id].receipts == []


def test_posting_less_than_was_approved_shrinks_the_loan(api):
    loan_id = api.approved(principal=10000)

    api.disburse(loan_id, transactionAmount=9500)

    assert api.get(f"/loans/{loan_id}").json()["principal"] == 9500


def test_a_loan_in_tranches_takes_a_second_payment(api):
    loan_id = api.approved(tranches=True)

    first = api.disburse(loan_id, transactionAmount=None, externalId="one")
    again = api.disburse(loan_id, transactionAmount=None, externalId="one")
    second = api.disburse(loan_id, transactionAmount=None, externalId="two")
    third = api.disburse(loan_id, transactionAmount=None, externalId="three")

    assert [a.status_code for a in (first, again, second, third)] == [200, 400, 200, 400]
    assert [t.amount for t in api.mifos.loans[loan_id].transactions] == [5000, 5000]


@pytest.mark.parametrize("generation, status", [("1.4", 400), ("1.6", 200)])
def test_a_net_sum_in_the_request_is_known_since_1_6(start, generation, status):
    api = start(generation)

    assert api.disburse(api.approved(), netDisbursalAmount=9000).status_code == status
