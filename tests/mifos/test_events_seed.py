"""The loan-approval JSON, whose figures are compared with the loan and never paid from."""

import pytest

from disbursements.models import Disbursement
from disbursements.states import Status
from mifos import events
from mifos.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(heard, connection, approved):
    """The JSON as kept, interpreted; returns the loan's disbursement."""

    def act(**changes):
        loan_id = approved(fees=500)
        body = {
            "eventType": "loan_approved", "partnerId": str(connection.partner_id),
            "loanId": str(loan_id), "clientId": "11", "clientPhone": "254712345678",
            "clientName": "Amina Otieno", "loanAmount": 10_000, "productId": "1",
            "productName": "Biashara Loan", "approvedAt": "2026-10-22T08:00:00Z",
            "webhookToken": "[masked]",
        }  # fmt: skip
        event = heard(body | changes, sent={}, form=Event.Form.SEED)
        events.process(str(event.pk))
        return Disbursement.objects.filter(loan_id=loan_id).first()

    return act


@pytest.mark.parametrize(
    "same",
    [
        {}, {"loanAmount": 9_500}, {"loanAmount": "10000.00"}, {"loanAmount": 10000.0},
        {"clientPhone": "0712 345 678"}, {"clientPhone": "+254712345678"}, {"clientId": 11},
        {"clientName": "A. Otieno"},
    ],
    ids=str,
)  # fmt: skip
def test_what_agrees_with_the_loan_is_taken_in(told, same):
    made = told(**same)

    assert (made.status, made.amount) == (Status.APPROVED, 9_500)


@pytest.mark.parametrize(
    "other, what",
    [
        ({"loanAmount": 90_000}, "sum"),
        ({"loanAmount": 10_000.01}, "sum"),
        ({"clientPhone": "254799999999"}, "phone number"),
        ({"clientPhone": "nobody"}, "phone number"),
        ({"clientId": "12"}, "client"),
    ],
    ids=str,
)
@pytest.mark.lesson(9)
def test_what_disagrees_is_held_with_the_loan_s_own_figures(told, other, what):
    made = told(**other)

    assert (made.status, made.holds) == (Status.HELD, ["payload_disagrees"])
    assert what in made.hold_words
    assert (made.amount, made.msisdn, made.client_id) == (9_500, "254712345678", 11)


def test_a_loan_that_isn_t_approved_is_not_taken_in(heard, told, mifos):
    loan_id = mifos.add_loan(mifos.add_client())

    assert told(loanId=str(loan_id)) is None
    assert "not approved yet" in Event.objects.get().outcome
