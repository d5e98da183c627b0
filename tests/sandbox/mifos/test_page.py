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
