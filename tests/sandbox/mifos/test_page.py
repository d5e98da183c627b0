import html
import re

import pytest
import requests

from paymentvault.sandbox.server import Answer, Server, World

AMINAS = {"name": "Amina", "mobile": "0712345678", "amount": "7000"}


def test_a_person_creates_and_approves_a_loan_on_the_page(api):
    form = {"name": "<b>Chege</b>", "mobile": "0733000000", "amount": "7000", "fees": "100"}

    page = requests.post(f"{api.url}/new", data=form)
    listed = requests.get(f"{api.url}/list").text

    assert "was created" in page.text
    assert "&lt;b&gt;Chege&lt;/b&gt;" in listed and "<b>Chege" not in listed + page.text
    assert ("7,000" in listed, "Approved" in listed) == (True, True)


@pytest.mark.parametrize(
    "act, then", [("undo_approval", 100), ("disburse_by_staff", 300), ("reset", 200)]
)
def test_the_buttons_of_a_loan_do_what_they_say_and_no_more(api, act, then):
    loan_id = api.approved()

    requests.post(f"{api.url}/loan/{loan_id}/{act}")

    assert api.mifos.loans[loan_id].status == then


def test_a_fault_of_recording_is_chosen_on_the_page(api):
    requests.post(f"{api.url}/new", data=AMINAS | {"fault": "conflict_409"})

    assert api.disburse(max(api.mifos.loans), transactionAmount=7000).status_code == 409


@pytest.mark.parametrize("amount", ["", "ten", "0"])
def test_a_form_filled_in_wrongly_is_answered_with_a_sentence(api, amount):
    page = requests.post(f"{api.url}/new", data={"name": "Amina", "amount": amount})

    assert "That did not work" in page.text
    assert api.mifos.loans == {}


class Safaricom(World):
    def __init__(self):
        self.planned = []

    def handle(self, request):
        if request.path == "/_sandbox/faults":
            return Answer(200, {"b2c": {"no_float": "The account is empty.", "odd:CODE": "x."}})
        self.planned.append(request.json())
        return Answer(200, {})


def test_faults_of_mpesa_are_passed_on_to_the_other_server(api):
    safaricom = Safaricom()
    with Server(safaricom) as other:
        api.mifos.safaricom_url = other.url
        page = requests.get(api.url).text
        requests.post(f"{api.url}/new", data=AMINAS | {"mpesa_fault": "no_float"})

    assert "The account is empty." in page and "CODE" not in page
    assert safaricom.planned == [{"msisdn": "254712345678", "faults": ["no_float"]}]


def test_without_the_other_server_its_faults_are_not_offered(api):
    api.mifos.safaricom_url = f"{api.listener.url}/nowhere"
    api.listener.status = 404

    assert "mpesa_fault" not in requests.get(api.url).text


def cells(page):
    """What the page shows to copy, by name."""
    rows = re.findall(r'<th scope="row">(.*?)</th><td><code>(.*?)</code>', page)
    return {html.unescape(name): html.unescape(value) for name, value in rows}


def test_a_user_made_on_the_page_signs_in_with_what_it_shows(api):
    api.mifos.reset()

    page = requests.post(f"{api.url}/user").text

    shown = cells(page)
    assert "The user payment-vault was created. Its password never expires." in page
    answer = requests.get(
        f"{shown['Address of the server']}{shown['Path of the API']}/loanproducts",
        headers={"Fineract-Platform-TenantId": shown["Tenant"]},
        auth=(shown["User name"], shown["Password"]),
        timeout=5,
    )
    assert answer.status_code == 200


def test_each_user_made_there_has_another_name(api):
    for _ in range(3):
        requests.post(f"{api.url}/user", timeout=5)

    assert len(api.mifos.users) == 4
    assert len({user.password for user in api.mifos.users.values()}) == 4


def test_a_loan_may_wait_until_it_is_approved_on_the_page(api):
    created = requests.post(f"{api.url}/new", data=AMINAS | {"then": "wait"}, timeout=5).text
    [loan] = api.mifos.loans.values()

    assert "It waits for approval." in created and loan.status == 100
    assert f'aria-label="Approve: loan {loan.id}"' in requests.get(f"{api.url}/list").text


def test_a_fault_of_the_approval_needs_the_approval(api):
    form = AMINAS | {"then": "wait", "fault": "lost_hook"}

    page = requests.post(f"{api.url}/new", data=form, timeout=5).text

    assert "approve it at once" in page and api.mifos.loans == {}


def test_the_receipt_is_shown_once_the_loan_is_active(api):
    loan_id = api.approved()
    api.mifos.disburse_by_staff(loan_id, receipt="TJM7ABCDEF")

    assert "TJM7ABCDEF" in requests.get(f"{api.url}/list").text


def test_the_title_says_whose_it_is(api, monkeypatch):
    monkeypatch.setattr(api.mifos, "lender", "Jamii <Microfinance>")

    page = requests.get(api.url).text

    assert "<h1>Pretend Mifos X of Jamii &lt;Microfinance&gt;</h1>" in page
