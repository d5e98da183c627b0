import json

import pytest

from tests.sandbox.mifos.calls import sent


@pytest.mark.parametrize(
    "fault, hooks, status",
    [
        ("lost_hook", 0, 200),
        ("hook_times:3", 3, 200),
        ("late_hook:0.2", 1, 200),
        ("phantom", 1, 100),
        ("parked", 1, 100),
        ("hook_failed_command", 1, 100),
    ],
)
def test_each_fault_of_an_approval_does_what_it_says(api, fault, hooks, status):
    api.listen()
    loan_id = api.pending()

    api.mifos.approve(loan_id, faults=[fault])

    assert api.mifos.settle()
    assert len(api.listener.heard) == hooks
    assert api.mifos.loans[loan_id].status == status


@pytest.mark.parametrize("fault", ["parked", "hook_failed_command"])
def test_a_parked_or_failed_approval_sends_a_hook_without_a_loan(api, fault):
    api.listen()
    expected = sent("hook_derived_loan_approve_failed_or_makerchecker_pending_1.9plus")
    loan_id = api.pending()

    api.mifos.approve(loan_id, faults=[fault])

    body = api.listener.posts()[0].json()
    assert body.keys() == expected.keys()
    assert str(loan_id) not in json.dumps(body)


def test_a_parked_approval_takes_effect_when_it_is_checked(api):
    api.listen()
    loan_id = api.pending()
    api.mifos.approve(loan_id, faults=["parked"])

    api.mifos.approve_parked(loan_id)

    assert api.mifos.loans[loan_id].status == 200
    assert any("response" in hook.json() for hook in api.listener.posts(2))


def test_an_approval_refuses_a_fault_that_does_not_exist(api):
    loan_id = api.pending()

    with pytest.raises(ValueError):
        api.mifos.approve(loan_id, faults=["reset"])

    assert api.mifos.loans[loan_id].status == 100
