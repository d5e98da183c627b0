import pytest

from tests.sandbox.mifos.calls import code, sent, shape

BAD_DISBURSEMENTS = {
    "error.msg.parameter.unsupported": {"foo": 1},
    "validation.msg.missing.dateFormat.parameter": {"dateFormat": None},
    "validation.msg.missing.locale.parameter": {"locale": None},
    "validation.msg.invalid.dateFormat.format": {"actualDisbursementDate": "22 October 2025"},
    "validation.msg.loan.disbursement.actualDisbursementDate.cannot.be.blank": {
        "actualDisbursementDate": None
    },
    "validation.msg.loan.disbursement.receiptNumber.exceeds.max.length": {
        "receiptNumber": "x" * 51
    },
    "validation.msg.loan.disbursement.accountNumber.exceeds.max.length": {
        "accountNumber": "x" * 51
    },
    "validation.msg.loan.disbursement.externalId.exceeds.max.length": {"externalId": "x" * 101},
    "validation.msg.loan.disbursement.note.exceeds.max.length": {"note": "x" * 1001},
    "validation.msg.loan.disbursement.transactionAmount.not.greater.than.zero": {
        "transactionAmount": 0
    },
    "validation.msg.invalid.decimal.format": {"transactionAmount": "ten"},
    "error.msg.loan.disbursal.cannot.be.before.approval.date": {
        "actualDisbursementDate": "2020-01-01"
    },
    "error.msg.loan.disbursal.cannot.be.a.future.date": {"actualDisbursementDate": "2999-01-01"},
    "error.msg.loan.disburse.amount.must.be.less.than.approved.amount": {
        "transactionAmount": 11000
    },
    "error.msg.payment.type.invalid": {"paymentTypeId": 99},
}


@pytest.mark.parametrize("expected, change", BAD_DISBURSEMENTS.items())
def test_a_wrong_disbursement_is_refused_and_changes_nothing(api, expected, change):
    loan_id = api.approved()

    answer = api.disburse(loan_id, **change)

    assert code(answer) == expected
    assert answer.status_code == int(answer.json()["httpStatusCode"])
    assert (api.mifos.loans[loan_id].status, api.mifos.loans[loan_id].transactions) == (200, [])


@pytest.mark.parametrize(
    "sample, change",
    [
        ("error_400_missing_dateformat", {"dateFormat": None}),
        ("error_400_unsupported_parameter", {"foo": 1}),
        ("error_403_disburse_amount_too_big", {"transactionAmount": 11000}),
        ("error_403_disburse_before_approval", {"actualDisbursementDate": "2020-01-01"}),
        ("error_403_disburse_future_date", {"actualDisbursementDate": "2999-01-01"}),
    ],
)
def test_refusals_are_told_as_in_the_samples(api, sample, change):
    answer = api.disburse(api.approved(), **change)

    expected = sent(sample)
    assert shape(answer.json()) == shape(expected)
    top = ("developerMessage", "httpStatusCode", "defaultUserMessage")
    assert [answer.json()[name] for name in top] == [expected[name] for name in top]
    assert code(answer) == expected["errors"][0]["userMessageGlobalisationCode"]


def test_a_disbursement_in_the_wrong_state_is_told_as_in_the_sample(api):
    loan_id = api.pending()

    assert api.disburse(loan_id).json() == sent("error_400_disburse_wrong_state")
    api.mifos.approve(loan_id)
    assert api.disburse(loan_id).status_code == 200
    assert api.disburse(loan_id, externalId="other").json() == sent(
        "error_400_disburse_wrong_state"
    )


def test_an_unknown_loan_is_told_as_in_the_sample(api):
    assert api.get("/loans/99").json() == sent("error_404_loan_unknown")
    assert api.disburse(99).json() == sent("error_404_loan_unknown")


def test_a_missing_permission_is_told_as_in_the_sample(api):
    api.mifos.add_user("guest", "secret", permissions=[])
    api.auth = ("guest", "secret")

    assert api.disburse(3001).json() == sent("error_403_no_permission")


@pytest.mark.parametrize(
    "pattern, text",
    [
        ("yyyy-MM-dd", "2025-1-05"),
        ("yyyy-MM-dd", "2025-02-30"),
        ("yyyy-mm-dd", "2025-01-05"),
        ("dd MMMM yyyy", "5 January 2025"),
        ("dd MMMM yyyy", "05 Jan 2025"),
        ("dd MMMM yyyy", "05 january 2025"),
        ("dd MMMM yyyy", "2025-01-05"),
        ("dd MMM yyyy", "05 January 2025"),
    ],
)
def test_a_date_must_fit_its_java_format_to_the_letter(api, pattern, text):
    answer = api.disburse(api.approved(), dateFormat=pattern, actualDisbursementDate=text)

    assert code(answer) == "validation.msg.invalid.dateFormat.format"


def test_no_loan_is_disbursed_on_a_day_off(api):
    api.mifos.non_working_days = {api.mifos.today()}

    answer = api.disburse(api.approved())

    assert code(answer) == "error.msg.loan.application.disbursement.date.on.non.working.day"


def test_a_product_can_insist_on_the_expected_date(api):
    loan_id = api.approved()
    api.mifos.products[1].syncs_expected_date = True

    answer = api.disburse(loan_id)

    assert code(answer).startswith("error.msg.actual.disbursement.date.does.not.match")


def test_a_client_who_is_not_active_gets_nothing(api):
    loan_id = api.approved()
    api.mifos.clients[api.mifos.loans[loan_id].client_id].active = False

    assert code(api.disburse(loan_id)) == "error.msg.client.not.active.exception"


def test_an_external_id_is_unique_across_all_loans(api):
    api.disburse(api.approved())

    answer = api.disburse(api.approved())

    assert code(answer) == "validation.msg.loan.transaction.externalId.value.must.be.unique"


@pytest.mark.parametrize("data", [b"", b"{", b"[]"])
def test_a_body_that_is_not_json_is_refused_without_the_envelope(api, data):
    answer = api.call("POST", f"/loans/{api.approved()}?command=disburse", data=data,
                      headers={"Content-Type": "application/json"})  # fmt: skip

    assert answer.status_code == 400
    assert answer.json()["userMessageGlobalisationCode"] == "error.msg.invalid.request.body"
