import json
from datetime import date

import pytest


def test_everything_can_be_set_up_over_http(api):
    api.sandbox("/reset")
    api.sandbox("/users", {"username": "robot", "password": "secret", "permissions": ["READ_LOAN"]})
    client_id = api.sandbox("/clients", {"name": "Baraka", "mobile": "0722000000"}).json()["id"]
    loan = api.sandbox("/loans", {"client_id": client_id, "principal": 5000}).json()["id"]

    api.sandbox(f"/loans/{loan}/approve", {"faults": ["lost_hook"]})
    api.sandbox(f"/loans/{loan}/disburse_by_staff", {"receipt": "TJM1"})

    row = api.sandbox("/loans", method="GET").json()["loans"][0]
    assert (row["id"], row["status"], row["receipts"]) == (loan, 300, ["TJM1"])
    assert (row["mobile"], row["transactions"][0]["amount"]) == ("0722000000", 5000)
    assert api.get(f"/loans/{loan}").status_code == 200


@pytest.mark.parametrize("act, then", [("undo_approval", 100), ("disburse_by_staff", 300)])
def test_staff_act_over_http(api, act, then):
    loan_id = api.approved()

    api.sandbox(f"/loans/{loan_id}/{act}")

    assert api.mifos.loans[loan_id].status == then
    assert api.sandbox(f"/loans/{loan_id}/reject").status_code == (200 if then == 100 else 400)


@pytest.mark.parametrize(
    "path, body",
    [
        ("/set", {"nonsense": 1}),
        ("/loans", {"nonsense": 1}),
        ("/loans/3001/approve", {"faults": ["nonsense"]}),
        ("/clients", {"age": 3}),
        ("/set", []),
    ],
)
def test_a_control_that_is_misspelt_is_a_400(api, path, body):
    assert api.sandbox(path, body).status_code == 400


def test_settings_are_set_over_http(api):
    api.sandbox("/set", {"slow_s": 0.01, "maker_checker": True, "business_date": "2026-01-05"})

    assert (api.mifos.slow_s, api.mifos.maker_checker) == (0.01, True)
    assert api.mifos.today() == date(2026, 1, 5)


def test_the_ledger_tells_what_was_asked_without_credentials(api):
    api.disburse(api.approved())

    text = api.sandbox("/requests", method="GET").text

    assert json.loads(text)["requests"][-1]["answer_status"] == 200
    assert json.loads(text)["requests"][-1]["body"]["receiptNumber"] == "TJM7XXXXXX"
    assert "Basic" not in text
