import time

import pytest
import requests

from paymentvault.sandbox.mifos import FAULTS
from paymentvault.sandbox.mifos_faults import CALL_FAULTS, HOOK_FAULTS
from tests.sandbox.mifos.calls import sent


@pytest.mark.parametrize(
    "fault, status, then",
    [
        ("reset", None, 200),
        ("hang_up", None, 200),
        ("error_500", 500, 200),
        ("html_502", 502, 200),
        ("reset_after_applying", None, 300),
        ("hang_up_after_applying", None, 300),
        ("error_500_after_applying", 500, 300),
        ("conflict_409", 409, 200),
        ("locked_409", 409, 200),
        ("in_flight_425", 425, 200),
        ("slow:0.1", 200, 300),
        ("parked", 200, 200),
        ("empty_200_not_applied", 200, 200),
    ],
)
def test_each_fault_of_a_call_does_what_it_says(api, fault, status, then):
    loan_id = api.approved()
    api.mifos.plan(fault, loan_id=loan_id, command="disburse")

    try:
        answered = api.disburse(loan_id).status_code
    except requests.ConnectionError:
        answered = None

    assert (answered, api.mifos.loans[loan_id].status) == (status, then)
    assert api.mifos.requests[-1].answer_status == status


def test_a_conflict_is_told_as_in_the_sample(api):
    api.mifos.plan("conflict_409", "locked_409")

    conflict, locked = (api.disburse(api.approved()) for _ in range(2))

    assert conflict.json() == sent("error_409_conflict")
    assert locked.json()["userMessageGlobalisationCode"] == "error.msg.loan.locked"


def test_after_a_lost_answer_the_same_key_tells_what_happened(api):
    loan_id = api.approved()
    api.mifos.plan("reset_after_applying", command="disburse")

    with pytest.raises(requests.ConnectionError):
        api.disburse(loan_id, key="pv-1")

    assert api.disburse(loan_id, key="pv-1").json()["changes"]["status"]["id"] == 300


def test_faults_come_one_each_in_order_and_only_where_they_are_meant(api):
    first, other = api.approved(), api.approved()
    api.mifos.plan("error_500", "html_502", loan_id=first)

    statuses = [api.get(f"/loans/{loan}").status_code for loan in (other, first, first, first)]

    assert statuses == [200, 500, 502, 200]


def test_a_fault_of_commands_waits_for_a_command(api):
    loan_id = api.approved()
    api.mifos.plan("conflict_409")

    assert api.get(f"/loans/{loan_id}").status_code == 200
    assert api.disburse(loan_id).status_code == 409


@pytest.mark.parametrize(
    "fault", ["nonsense", "slow", "slow:often", "slow:-1", "reset:1", "lost_hook"]
)
def test_a_fault_that_does_not_exist_is_refused(api, fault):
    with pytest.raises(ValueError):
        api.mifos.plan(fault)

    assert api.sandbox("/plan", {"faults": [fault]}).status_code == 400


def test_every_fault_has_a_sentence():
    assert FAULTS.keys() == CALL_FAULTS.keys() | HOOK_FAULTS.keys()
    assert all(sentence.endswith(".") for sentence in FAULTS.values())


def test_a_mifos_that_is_down_answers_nobody(api):
    api.mifos.down = True

    with pytest.raises(requests.ConnectionError):
        api.get("/offices")

    assert api.sandbox("/health", method="GET").json() == {"status": "UP"}


def test_a_slow_mifos_takes_its_time(api):
    api.mifos.slow_s = 0.2
    begun = time.monotonic()

    api.get("/offices")

    assert time.monotonic() - begun >= 0.2
