import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sandbox.mifos.calls import paid_today


def test_the_same_key_gets_the_same_answer_and_pays_once(api):
    loan_id = api.approved()
    first = api.disburse(loan_id, key="pv-1")

    again = api.disburse(loan_id, key="pv-1")

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["x-served-from-cache"] == "true"
    assert "x-served-from-cache" not in first.headers


def test_the_loan_is_no_part_of_the_key(api):
    first, other = api.approved(), api.approved()
    api.disburse(first, key="pv-1")

    answer = api.disburse(other, key="pv-1", externalId="other")

    assert answer.json()["loanId"] == first
    assert api.mifos.loans[other].status == 200


def test_a_failure_is_kept_under_its_key(api):
    loan_id = api.pending()
    api.disburse(loan_id, key="pv-1")
    api.mifos.approve(loan_id)

    again = api.disburse(loan_id, key="pv-1")

    assert (again.status_code, again.headers["x-served-from-cache"]) == (400, "true")
    assert api.disburse(loan_id, key="pv-2").status_code == 200


def test_a_key_of_more_than_fifty_letters_is_a_500(api):
    assert api.disburse(api.approved(), key="x" * 51).status_code == 500
    assert api.disburse(api.approved(), key="x" * 50).status_code == 200


def test_a_key_in_flight_is_a_425_with_the_request_in_it(api):
    loan_id = api.approved()
    api.mifos.plan("slow:0.4", command="disburse")

    with ThreadPoolExecutor() as pool:
        slow = pool.submit(api.disburse, loan_id, key="pv-1")
        time.sleep(0.15)
        meanwhile = api.disburse(loan_id, key="pv-1")

    assert (meanwhile.status_code, meanwhile.json()) == (425, paid_today(api.mifos))
    assert slow.result().status_code == 200


@pytest.mark.parametrize("generation, oauth", [("1.8", False), ("1.10", True)])
def test_a_key_is_ignored_by_old_versions_and_with_oauth(start, generation, oauth):
    api = start(generation)
    loan_id = api.approved()
    if oauth:
        api.mifos.use_oauth = True
        form = {"grant_type": "password", "username": "robot", "password": "secret"}
        token = api.token(**form).json()["access_token"]
        api.auth, api.headers = None, api.headers | {"Authorization": f"Bearer {token}"}

    api.disburse(loan_id, key="pv-1")

    assert api.disburse(loan_id, key="pv-1").status_code == 400


@pytest.mark.parametrize("generation", ["1.4", "1.10"])
def test_of_many_payers_at_once_one_pays(start, generation):
    api = start(generation)
    loan_id = api.approved()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: api.disburse(loan_id, externalId=f"pv-{n}"), range(8)))

    assert sorted(a.status_code for a in answers) == [200] + [400] * 7
    assert len(api.mifos.loans[loan_id].transactions) == 1
