from tests.sandbox.mifos.calls import sent


def test_a_parked_payment_answers_200_and_does_nothing_until_checked(api):
    loan_id = api.approved()
    api.mifos.set_maker_checker(True)

    answer = api.disburse(loan_id)

    assert answer.status_code == 200
    assert answer.json().keys() == sent("command_response_makerchecker_parked_1.9plus").keys()
    assert api.mifos.loans[loan_id].status == 200
    api.mifos.approve_parked(loan_id)
    assert api.mifos.loans[loan_id].receipts == ["TJM7XXXXXX"]


def test_before_1_9_a_parked_payment_does_not_say_so(start):
    api = start("1.8")
    api.mifos.set_maker_checker(True)

    assert api.disburse(api.approved()).json().keys() == {"commandId", "resourceId"}


def test_a_checker_approves_over_the_api(api):
    loan_id = api.approved()
    api.mifos.plan("parked", command="disburse")
    parked = api.disburse(loan_id).json()["commandId"]
    api.mifos.add_user("maker", "secret", permissions=["DISBURSE_LOAN"])

    denied = api.post(f"/makercheckers/{parked}?command=approve", auth=("maker", "secret"))
    answer = api.post(f"/makercheckers/{parked}?command=approve")

    assert denied.status_code == 403
    assert answer.json()["changes"]["status"]["id"] == 300
    assert api.post(f"/makercheckers/{parked}?command=approve").status_code == 404
