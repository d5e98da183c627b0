"""A disbursement by hand: checked by its maker, approved by another, made once."""

import uuid
from decimal import Decimal

import pytest
from django.test import Client

from disbursements import entry
from disbursements.holds import Hold
from disbursements.models import Disbursement
from disbursements.states import Status
from partners.models import Partner
from paymentvault.models import AuditEvent
from tests.disbursements.at_once import at_once, errors
from tests.disbursements.pages.listed import allowed
from tests.disbursements.pages.people import signed_in

NEW = "/disbursements/new/"


@pytest.fixture
def maker(amina):
    return allowed(amina, "view_disbursement", "add_disbursement")


@pytest.fixture
def browser(maker):
    return signed_in(maker)


@pytest.fixture
def answers(lender):
    return {
        "partner": "pamoja", "name": " Grace  Njeri ", "msisdn": "0722 100 200",
        "amount": "8,250", "purpose": "Refund of a fee", "loan": "A-17",
    }  # fmt: skip


def enter(browser, answers, **changes):
    """Answer, check, and press the button."""
    page = browser.post(NEW, answers | changes)
    return browser.post(NEW, answers | changes | {"once": page.context["once"]})


def test_only_who_may_enter_one_can(baraka, answers):
    browser = signed_in(allowed(baraka, "view_disbursement", "approve_disbursement"))

    assert browser.get(NEW).status_code == 403
    assert browser.post(NEW, answers | {"once": uuid.uuid4()}).status_code == 403
    assert Disbursement.objects.count() == 0


def test_answers_are_shown_for_checking_before_anything_is_made(browser, answers):
    body = browser.post(NEW, answers).content.decode()

    for words in ("Enter KES 8,250.00 to Grace Njeri?", "254 722 100 200", "Refund of a fee",
                  "Pesa Pamoja", "A-17", "No money moves yet"):  # fmt: skip
        assert words in body
    assert Disbursement.objects.count() == 0
    assert AuditEvent.objects.count() == 0


def test_it_awaits_somebody_else_and_is_on_record(browser, answers, maker):
    answer = enter(browser, answers)

    made = Disbursement.objects.get()
    assert answer.headers["Location"] == f"/disbursements/{made.pk}/"
    assert (made.status, made.origin) == (Status.AWAITING_APPROVAL, "manual")
    assert (made.client_name, made.msisdn, made.loan_account) == (
        "Grace Njeri", "254722100200", "A-17",
    )  # fmt: skip
    assert (made.amount, made.gross_amount, made.fees) == (8_250, 8_250, 0)
    assert (made.requested_by, made.approved_by, made.connection) == (maker, None, None)
    assert made.transitions.get().note == "Entered by hand: Refund of a fee"
    line = AuditEvent.objects.get(act="disbursement entered")
    assert (line.actor, line.subject) == ("amina", made.reference)
    assert line.detail["purpose"] == "Refund of a fee"
    assert (line.source_address, line.partner_code) == ("127.0.0.1", "pamoja")


def test_even_of_an_automatic_partner_it_is_never_approved_by_itself(browser, answers, lender):
    assert lender.is_automatic

    enter(browser, answers)

    assert Disbursement.objects.get().status == Status.AWAITING_APPROVAL


def test_pressed_twice_it_is_made_once(browser, answers):
    page = browser.post(NEW, answers)
    press = answers | {"once": page.context["once"]}

    browser.post(NEW, press)
    browser.post(NEW, press)

    assert Disbursement.objects.count() == 1


def test_a_request_from_another_site_makes_nothing(maker, answers):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(maker)

    assert browser.post(NEW, answers | {"once": uuid.uuid4()}).status_code == 403
    assert Disbursement.objects.count() == 0


@pytest.mark.parametrize(
    "typed", ["0722100200", "+254 722 100 200", "254722100200", "722-100-200", "0110 100 200"]
)
def test_a_number_may_be_typed_in_any_spelling(browser, answers, typed):
    enter(browser, answers, msisdn=typed)

    assert Disbursement.objects.get().msisdn in ("254722100200", "254110100200")


WRONG = [
    ({"msisdn": "020 123456"}, "msisdn", "not one Kenyan mobile number"),
    ({"msisdn": "0722100200/0733100200"}, "msisdn", "not one Kenyan mobile number"),
    ({"msisdn": ""}, "msisdn", "This field is required"),
    ({"amount": "8250.50"}, "amount", "M-Pesa pays whole shillings. Enter 8250 or 8251."),
    ({"amount": "9"}, "amount", "M-Pesa pays between KES 10 and KES 250,000"),
    ({"amount": "250001"}, "amount", "M-Pesa pays between"),
    ({"amount": "0"}, "amount", "M-Pesa pays between"),
    ({"amount": "-5"}, "amount", "greater than or equal to 0"),
    ({"amount": "1e400"}, "amount", "no more than 14 digits"),
    ({"amount": "much"}, "amount", "Enter a sum in shillings"),
    ({"amount": "NaN"}, "amount", "Enter a sum in shillings"),
    ({"purpose": "  "}, "purpose", "This field is required"),
    ({"name": " "}, "name", "This field is required"),
    ({"partner": "nobody"}, "partner", "Choose one of the partners"),
    ({"partner": "asleep"}, "partner", "only active ones pay out"),
    ({"loan": "x" * 51}, "loan", "at most 50"),
]


@pytest.mark.parametrize("with_token", [False, True])
@pytest.mark.parametrize("changes, field, words", WRONG)
def test_a_wrong_answer_is_told_beside_its_field_and_makes_nothing(
    browser, answers, changes, field, words, with_token
):
    Partner.objects.create(name="Asleep", code="asleep", is_active=False)
    token = {"once": uuid.uuid4()} if with_token else {}

    answer = browser.post(NEW, answers | changes | token)

    assert answer.status_code == 422
    error = answer.content.decode().partition(f'id="id_{field}_error"')[2].partition("</div>")[0]
    assert words in error
    assert "Refund of a fee" in answer.content.decode() or "purpose" in changes
    assert Disbursement.objects.count() == 0


def test_change_leads_back_to_the_form_with_everything_still_there(browser, answers):
    answer = browser.post(NEW, answers | {"once": uuid.uuid4(), "change": "yes"})

    body = answer.content.decode()
    assert "<h1>New disbursement</h1>" in body
    for typed in ('value="0722 100 200"', 'value="8,250"', "Refund of a fee", "selected"):
        assert typed in body
    assert Disbursement.objects.count() == 0


def test_what_the_partners_rules_forbid_is_foretold_and_held(browser, answers, lender):
    Partner.objects.filter(pk=lender.pk).update(max_amount=5_000)

    page = browser.post(NEW, answers)
    enter(browser, answers)

    words = "KES 8,250.00 is above the partner's largest disbursement, KES 5,000.00."
    assert words.replace("'", "&#x27;") in page.content.decode()
    made = Disbursement.objects.get()
    assert (made.status, made.holds) == (Status.HELD, [Hold.ABOVE_PARTNER_MAX])
    assert made.hold_words == words
    assert made.transitions.get().note == f"Entered by hand: Refund of a fee {words}"


def test_the_same_sum_to_the_same_number_within_a_day_is_held(browser, answers):
    enter(browser, answers)
    first = Disbursement.objects.get()

    enter(browser, answers)

    second = Disbursement.objects.latest("pk")
    assert (second.status, second.holds) == (Status.HELD, [Hold.LOOKS_LIKE_DUPLICATE])
    assert first.reference in second.hold_words


def test_it_is_held_beside_a_loan_that_pays_the_same(browser, answers, take_in):
    loan = take_in(phone="0722100200", gross=Decimal(8_250), fees=Decimal(0))

    enter(browser, answers)

    assert loan.reference in Disbursement.objects.latest("pk").hold_words


def test_a_loan_is_held_beside_one_by_hand_that_pays_the_same(browser, answers, take_in):
    enter(browser, answers)

    loan = take_in(phone="0722100200", gross=Decimal(8_250), fees=Decimal(0))

    assert loan.holds == [Hold.LOOKS_LIKE_DUPLICATE]


@pytest.mark.django_db(transaction=True)
def test_of_the_same_entered_by_many_at_once_one_is_not_held(lender, maker):
    asked = entry.Entry(lender, "Grace", "254722100200", Decimal(8_250), "Refund")

    made = at_once(lambda _: entry.enter(asked, by=maker), range(8))

    assert errors(made) == []
    statuses = list(Disbursement.objects.values_list("status", flat=True))
    assert sorted(statuses) == [Status.AWAITING_APPROVAL] + [Status.HELD] * 7
