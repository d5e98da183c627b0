"""MifosClient against every generation of the pretend Mifos X."""

import base64
from datetime import date

import pytest

from mifos import client as client_module
from mifos import port
from mifos.answers import ACTIVE
from paymentvault.http import Refused

pytestmark = pytest.mark.django_db
HOOK = {"url": "https://vault.test/mifos-webhook/x/", "events": [("LOAN", "APPROVE")],
        "display_name": "Payment Vault"}  # fmt: skip


def posts(mifos):
    return [request for request in mifos.requests if request.method == "POST"]


def test_it_signs_in_and_reads_permissions(generation, mifos_client):
    identity = mifos_client.authenticate()

    assert identity.username == "vault" and identity.may("DISBURSE_LOAN")


@pytest.mark.lesson(15)
def test_a_wrong_password_never_stands_in_an_address(generation, mifos, connection):
    connection.password = "another system's"

    with pytest.raises(Refused) as refusal:
        port.client_of(connection).authenticate()

    assert refusal.value.code == "error.msg.not.authenticated"
    assert all("another" not in str(request.query) for request in mifos.requests)


@pytest.mark.parametrize("version", ["1.4", "1.10"])
def test_where_json_is_understood_the_password_stands_in_no_address(
    become, mifos, mifos_client, version
):
    become(version)
    mifos_client.authenticate()

    assert [request.query for request in posts(mifos)] == [{}]


def test_a_password_in_any_alphabet_is_sent_as_utf_8(mifos, connection):
    connection.username, connection.password = "wäñjirũ", "нет-Paßwort"

    with pytest.raises(Refused):
        port.client_of(connection).get_offices()

    encoded = mifos.requests[0].headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(encoded).decode() == "wäñjirũ:нет-Paßwort"


def test_it_reads_a_loan_and_its_client(generation, mifos_client, approved):
    loan = mifos_client.get_loan(approved(fees=500))

    assert loan.is_approved and loan.is_individual and not loan.has_tranches
    assert loan.approved_principal - loan.fees_at_disbursement == 9_500
    assert loan.net_disbursal == (9_500 if generation >= "1.6" or "1.1" in generation else None)
    assert mifos_client.get_client(loan.client_id).mobile == "0712345678"


@pytest.mark.parametrize("missing", ["absent", "zero"])
@pytest.mark.lesson(13)
def test_fees_come_from_the_charges_where_their_sum_is_missing(
    mifos_client, approved, monkeypatch, missing
):
    loan_id = approved(fees=500)
    body = mifos_client._get(f"/loans/{loan_id}", params={"associations": "charges"})
    del body["feeChargesAtDisbursementCharged"]
    if missing == "zero":
        body["feeChargesAtDisbursementCharged"] = 0

    assert client_module.answers.loan(body).fees_at_disbursement == 500


@pytest.mark.lesson(11)
def test_approved_loans_are_found_over_pages_each_once(
    generation, mifos, mifos_client, approved, monkeypatch
):
    monkeypatch.setattr(client_module, "PAGE", 2)
    wanted = [approved() for _ in range(5)]
    mifos.add_loan(mifos.add_client())
    mifos.disburse_by_staff(approved())

    assert [loan.id for loan in mifos_client.get_approved_loans()] == wanted
    assert all(request.query["limit"] == "2" for request in mifos.requests)


def test_loans_that_a_server_shouldn_t_have_listed_are_left_out(mifos, mifos_client, approved):
    found = approved()
    mifos.add_loan(mifos.add_client())
    unfiltered = mifos_client._get("/loans")["pageItems"]
    object.__setattr__(mifos_client, "_loans_page", lambda offset: unfiltered * 2)

    assert [loan.id for loan in mifos_client.get_approved_loans()] == [found]


def test_a_loan_that_can_t_be_read_doesn_t_keep_the_others_back(mifos, mifos_client, approved):
    good = approved()
    rows = [{"id": 1, "status": None}, *mifos_client._get("/loans")["pageItems"], "nonsense"]
    object.__setattr__(mifos_client, "_loans_page", lambda offset: rows)
    found = []

    with pytest.raises(Refused, match="2 loans in its list can't be read"):
        found.extend(loan.id for loan in mifos_client.get_approved_loans())

    assert found == [good]


def test_it_reads_products_payment_types_and_offices(generation, mifos_client):
    assert [p.name for p in mifos_client.get_loan_products()] == ["Biashara Loan", "Elimu Loan"]
    assert {t.id: t.is_cash for t in mifos_client.get_payment_types()}[26] is False
    assert [office.name for office in mifos_client.get_offices()] == ["Head Office"]


def test_a_server_without_a_business_date_has_none(generation, mifos_client):
    assert mifos_client.get_business_date() is None


@pytest.mark.parametrize("version", ["1.8", "1.10", "1.11"])
def test_the_business_date_is_read(become, mifos, mifos_client, version):
    become(version)
    mifos.business_date = date(2026, 10, 21)

    assert mifos_client.get_business_date() == date(2026, 10, 21)


@pytest.mark.parametrize("version, told", [("1.3", ""), ("1.10", "1.10.1"), ("1.11", "1.11.0")])
def test_the_version_is_told_where_it_is_to_be_had(become, mifos_client, version, told):
    become(version)

    assert mifos_client.get_version() == told


@pytest.mark.lesson(12)
def test_a_disbursal_is_gross_with_its_receipt_and_a_plain_date(
    generation, mifos, approved, disburse
):
    loan_id = approved(fees=500)

    assert disburse(loan_id).status_id == ACTIVE

    [transaction] = mifos.loans[loan_id].transactions
    assert (transaction.amount, transaction.receipt_number) == (10_000, "TJM7XXXXXX")
    assert transaction.account_number == "254712345678"
    assert mifos.loans[loan_id].approved_principal == 10_000
    sent = posts(mifos)[-1]
    assert sent.body["actualDisbursementDate"] == mifos.today().isoformat()
    assert (sent.body["dateFormat"], sent.headers["idempotency-key"]) == ("yyyy-MM-dd", "pv-1")


def test_an_approval_note_and_a_status_can_be_written(generation, mifos, mifos_client, disburse):
    loan_id = mifos.add_loan(mifos.add_client())

    assert mifos_client.approve_loan(loan_id, on=mifos.today(), note="Ours").status_id == 200
    mifos_client.add_note(loan_id, "Seen")
    marks = {"receipt": "TJM7XXXXXX", "external_id": f"pv-{loan_id}-1"}
    assert not mifos_client.update_loan_status(loan_id, **marks)
    disburse(loan_id)
    assert mifos_client.update_loan_status(loan_id, **marks)
    assert mifos.loans[loan_id].notes == ["Ours", "Seen", "M-Pesa B2C TJM7XXXXXX"]


def test_a_receipt_that_the_server_dropped_is_noted(mifos, mifos_client, approved, disburse):
    loan_id = approved()
    disburse(loan_id)
    mifos.loans[loan_id].transactions[0].details.clear()

    assert mifos_client.update_loan_status(
        loan_id, receipt="TJM7XXXXXX", external_id=f"pv-{loan_id}-1"
    )

    assert mifos.loans[loan_id].notes[-1] == "Paid by M-Pesa, receipt TJM7XXXXXX."


def test_hooks_are_created_listed_changed_and_deleted(generation, mifos, mifos_client, live_server):
    here = HOOK | {"url": f"{live_server.url}/mifos-webhook/a-token-of-22-letters-/"}
    hook_id = mifos_client.create_hook(**here)
    assert mifos_client.get_hooks()[0].url == here["url"]

    mifos_client.update_hook(hook_id, **(here | {"events": [("LOAN", "REJECT")]}))
    [hook] = mifos_client.get_hooks()
    assert hook.is_active and hook.events == (("LOAN", "REJECT"),)

    mifos_client.delete_hook(hook_id)
    assert mifos_client.get_hooks() == []
