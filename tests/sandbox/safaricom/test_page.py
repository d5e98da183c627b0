"""What a person sees and presses on the pretend Safaricom's page."""

import html
import re
from decimal import Decimal

import pytest
import requests

from tests.samples import AMINA
from tests.sandbox.safaricom.calls import Partner, encrypt


def shown(page: str) -> dict[str, str]:
    """What the newest app's table shows to copy, by name."""
    rows = re.findall(r'<th scope="row">(.*?)</th><td><code>(.*?)</code>', page)
    return {html.unescape(name): html.unescape(value) for name, value in reversed(rows)}


@pytest.fixture
def press(daraja, world):
    def pressed(path, **form):
        return requests.post(f"{daraja.url}{path}", data=form, timeout=5).text

    return pressed


def test_what_an_app_made_on_the_page_shows_is_enough_to_pay(daraja, press, listener, world):
    page = press("/app")

    values = shown(page)
    pem = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1]
    maker = Partner(values["Address instead of Safaricom's"], listener.url, pem)
    maker.key = values["Consumer key"]
    token = maker.token_answer(values["Consumer secret"]).json()["access_token"]
    maker.http.headers["Authorization"] = f"Bearer {token}"
    credential = encrypt(values["Initiator password"], pem)
    answer = maker.pay(
        PartyA=values["Shortcode"], InitiatorName=values["Initiator name"],
        SecurityCredential=credential,
    )  # fmt: skip
    maker.http.close()
    assert answer.status_code == 200 and world.settle()
    [payment] = world.ledger
    assert (payment.shortcode, payment.status) == (values["Shortcode"], "Completed")
    assert values["Environment"] == "Sandbox"


def test_each_app_has_values_of_its_own_and_a_million_shillings(press, world):
    first, second = shown(press("/app")), shown(press("/app"))

    for name in ("Shortcode", "Consumer key", "Consumer secret", "Initiator password"):
        assert first[name] != second[name]
    assert world.accounts[second["Shortcode"]].utility == 1_000_000


def test_the_certificate_can_be_downloaded(daraja, world):
    answer = requests.get(f"{daraja.url}/certificate.cer", timeout=5)

    assert answer.text == world.certificate_pem
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_float_is_taken_away_and_added(press, world):
    assert "is empty now" in press("/float/take", shortcode="600992")
    assert world.accounts["600992"].utility == 0

    page = press("/float/add", shortcode="600992")
    assert world.accounts["600992"].utility == Decimal(1_000_000)
    assert "Shortcode 600992, float KES 1,000,000" in page


def test_payments_are_listed_with_what_became_of_them(partner, world, daraja):
    world.plan(AMINA, "normal", "result:2040")
    partner.pay("one")
    partner.pay("two")
    assert world.settle()

    listed = requests.get(f"{daraja.url}/ledger", timeout=5).text

    assert listed.index("Declined, 2040") < listed.index(">Paid<")
    assert world.ledger[0].receipt in listed and world.ledger[1].receipt not in listed
    assert listed.count(AMINA) == 2


@pytest.mark.parametrize("mobile", ["0712 345 678", "254712345678", "+254 712 345678"])
def test_the_next_payout_to_a_number_meets_the_fault_chosen(press, partner, mobile):
    press("/plan", mobile=mobile, fault="quota")

    assert partner.pay().json()["errorCode"] == "500.003.03"
    assert partner.pay().status_code == 200


@pytest.mark.parametrize(
    "path, form",
    [
        ("/plan", {"mobile": "12", "fault": "quota"}),
        ("/plan", {"mobile": "0712345678", "fault": "typo"}),
        ("/float/add", {"shortcode": "1"}),
        ("/float/take", {}),
    ],
)
def test_a_form_filled_in_wrongly_is_answered_with_a_sentence(press, path, form):
    assert "That did not work" in press(path, **form)


def test_looking_is_no_request_to_daraja(press, daraja, world):
    requests.get(daraja.url, timeout=5)
    press("/app")

    assert world.requests == []


def test_what_is_no_part_of_the_page_is_still_refused_by_daraja(daraja):
    answer = requests.get(f"{daraja.url}/nothing", timeout=5)

    assert answer.json()["errorCode"] == "404.001.01"
