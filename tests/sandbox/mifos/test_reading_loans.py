from datetime import timedelta

import pytest

from paymentvault.sandbox.mifos_generation import GENERATIONS
from tests.sandbox.mifos.calls import code, sent


def test_an_approved_loan_shows_what_the_wire_shows(api):
    loan_id = api.approved(principal=10000, fees=500)

    loan = api.get(f"/loans/{loan_id}?associations=all").json()

    assert loan["status"] == sent("hook_captured_loan_approve_flat_2025-10-22")["changes"]["status"]
    assert (loan["approvedPrincipal"], loan["netDisbursalAmount"]) == (10000, 9500)
    assert loan["charges"][0]["chargeTimeType"]["code"] == "chargeTimeType.disbursement"
    day = api.mifos.today() - timedelta(days=2)
    assert loan["timeline"]["approvedOnDate"] == [day.year, day.month, day.day]
    assert "summary" not in loan
    assert None not in loan.values()


def test_transfer_charges_also_lower_the_net_sum(api):
    loan_id = api.approved(principal=10000, fees=500, transfer_charges=200)

    loan = api.get(f"/loans/{loan_id}?associations=charges").json()

    assert loan["netDisbursalAmount"] == 9300
    modes = [charge["chargePaymentMode"]["code"] for charge in loan["charges"]]
    assert modes == ["chargepaymentmode.regular", "chargepaymentmode.accounttransfer"]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_net_sum_is_told_since_1_6(start, generation):
    api = start(generation)

    loan = api.get(f"/loans/{api.approved()}").json()

    assert ("netDisbursalAmount" in loan) == (generation not in ("1.3", "1.4"))


def test_associations_come_only_when_asked_for(api):
    loan_id = api.approved(fees=100)
    api.disburse(loan_id)

    bare = api.get(f"/loans/{loan_id}").json()
    full = api.get(f"/loans/{loan_id}?associations=transactions").json()

    assert "transactions" not in bare
    kinds = [each["type"]["code"].split(".")[1] for each in full["transactions"]]
    assert kinds == ["disbursement", "repaymentAtDisbursement"]
    assert full["transactions"][0]["paymentDetailData"]["receiptNumber"] == "TJM7XXXXXX"


def test_a_group_loan_names_no_client(api):
    loan_id = api.mifos.add_loan(None)

    loan = api.get(f"/loans/{loan_id}").json()

    assert not {"clientId", "clientName"} & loan.keys()
    assert loan["loanType"]["value"] == "Group"


@pytest.mark.parametrize(
    "generation, query, found",
    [
        ("1.10", "status=200", 1),
        ("1.10", "sqlSearch=l.loan_status_id=200", 3),
        ("1.8", "status=200", 3),
        ("1.8", "sqlSearch=l.loan_status_id=200", 1),
        ("1.4", "sqlSearch=l.loan_status_id in (200)", 1),
        ("1.4", "sqlSearch=l.loan_status_id in (100, 200)", 3),
    ],
)
def test_a_filter_that_the_version_does_not_know_is_ignored(start, generation, query, found):
    api = start(generation)
    client_id = api.mifos.add_client()
    loans = [api.mifos.add_loan(client_id) for _ in range(3)]
    api.mifos.approve(loans[1])

    answer = api.get(f"/loans?{query}").json()

    assert answer["totalFilteredRecords"] == len(answer["pageItems"]) == found


def test_a_status_in_words_is_a_500(api):
    answer = api.get("/loans?status=approved")

    assert answer.status_code == 500
    assert "Exception" in answer.json()


def test_a_list_is_walked_page_by_page(api):
    client_id = api.mifos.add_client()
    loans = [api.mifos.add_loan(client_id) for _ in range(5)]

    page = api.get("/loans?offset=1&limit=2&orderBy=id&sortOrder=DESC").json()

    assert [loan["id"] for loan in page["pageItems"]] == [loans[3], loans[2]]
    assert page["totalFilteredRecords"] == 5


def test_a_field_outside_the_known_ones_is_refused(api):
    answer = api.get(f"/loans/{api.approved()}?fields=id,clientName")

    assert code(answer) == "error.msg.parameter.unsupported"


def test_the_template_is_the_servers_own_view_of_the_disbursal(api):
    loan_id = api.approved(fees=500)

    answer = api.get(f"/loans/{loan_id}/transactions/template?command=disburse").json()

    assert (answer["amount"], answer["netDisbursalAmount"]) == (10000, 9500)
    assert 26 in {option["id"] for option in answer["paymentTypeOptions"]}
