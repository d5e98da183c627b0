from datetime import date

import pytest
import requests

from tests.sandbox.mifos.calls import sent, shape


@pytest.mark.parametrize(
    "path, sample",
    [
        ("/paymenttypes", "legacydocs_paymenttype_list_response"),
        ("/offices", "legacydocs_offices_list_response"),
    ],
)
def test_reference_lists_have_the_shape_of_the_samples(api, path, sample):
    assert shape(api.get(path).json()) == shape(sent(sample))


@pytest.mark.parametrize(
    "path, sample",
    [
        ("/loanproducts", "legacydocs_loanproducts_list_response"),
        ("/clients/{client}", "legacydocs_client_get_response"),
        ("/loans/{loan}", "swagger_get_loan"),
    ],
)
def test_what_is_read_has_few_keys_that_the_samples_do_not_know(api, path, sample):
    loan_id = api.approved()
    api.disburse(loan_id)

    body = api.get(path.format(loan=loan_id, client=api.mifos.loans[loan_id].client_id)).json()

    row, known = (body[0], sent(sample)[0]) if isinstance(body, list) else (body, sent(sample))
    later = {"mobileNo", "legalForm", "clientAccountNo", "syncExpectedWithDisbursementDate"}
    flags = {
        "feeChargesAtDisbursementCharged",
        "multiDisburseLoan",
        "isTopup",
        "inArrears",
        "isNPA",
    }
    assert row.keys() - known.keys() <= later | flags


def test_a_client_without_a_number_has_no_such_key(api):
    client_id = api.mifos.add_client(mobile=None)

    assert "mobileNo" not in api.get(f"/clients/{client_id}").json()
    api.mifos.set_mobile(client_id, "+254 712 345678")
    assert api.get(f"/clients/{client_id}").json()["mobileNo"] == "+254 712 345678"


@pytest.mark.parametrize(
    "generation, given, status",
    [("1.10", None, 404), ("1.10", date(2026, 1, 5), 200), ("1.6", date(2026, 1, 5), 404)],
)
def test_the_business_date_is_there_only_when_it_is_on(start, generation, given, status):
    api = start(generation)
    api.mifos.business_date = given

    answer = api.get("/businessdate/BUSINESS_DATE")

    assert answer.status_code == status
    assert status == 404 or answer.json()["date"] == [2026, 1, 5]


def test_settings_tell_that_payments_need_a_checker(api):
    api.mifos.set_maker_checker(True)

    flags = {row["code"]: row["selected"] for row in
             api.get("/permissions?makerCheckerable=true").json()}  # fmt: skip
    settings = api.get("/configurations").json()["globalConfiguration"]

    assert flags["DISBURSE_LOAN"] and not flags["APPROVE_LOAN"]
    assert {"maker-checker": True}.items() <= {s["name"]: s["enabled"] for s in settings}.items()


def test_health_needs_no_credentials(api):
    root = f"{api.url}/fineract-provider/actuator"

    assert requests.get(f"{root}/health").json() == {"status": "UP"}
    assert requests.get(f"{root}/info").json()["build"]["version"] == "1.10.1"
