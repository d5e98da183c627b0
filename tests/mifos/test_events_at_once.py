"""The same news many times at once, through the endpoint, on threads."""

import pytest
from django.test import Client

from disbursements.models import Disbursement
from mifos import events
from mifos.models import Event
from tests.disbursements.at_once import at_once, errors
from tests.mifos.conftest import envelope, flat, headers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def by_hand(lender):
    """Nothing is sent, so that only the taking in is at work."""
    lender.is_automatic = False
    lender.save()


def test_the_same_hook_a_hundred_times_at_once_is_one_disbursement(connection, approved, by_hand):
    body, path = envelope(approved()), f"/mifos-webhook/{connection.webhook_token}/"

    def send(_):
        return [
            Client().post(path, body, content_type="application/json").status_code for _ in range(5)
        ]

    answers = at_once(send, range(20))

    assert answers == [[202] * 5] * 20
    assert Disbursement.objects.count() == 1
    assert set(Event.objects.values_list("state", flat=True)) == {"done"}


def test_one_event_is_processed_by_one_of_many(mifos, approved, heard, by_hand):
    event = heard(flat(approved()))
    mifos.slow_s = 0.1

    results = at_once(lambda _: events.process(str(event.pk)), range(12))

    assert not errors(results)
    event.refresh_from_db()
    assert (event.state, event.tries) == ("done", 1)
    assert len(mifos.requests) == 2  # the loan and its client, once


def test_an_undo_and_its_approval_at_once_leave_nothing_to_pay(mifos, approved, heard, by_hand):
    loan_id = approved()
    told = [heard(flat(loan_id)), heard(flat(loan_id), sent=headers("APPROVALUNDO"))]
    events.process(str(told[0].pk))
    mifos.undo_approval(loan_id)
    late = heard(flat(loan_id))

    results = at_once(lambda event: events.process(str(event.pk)), [told[1], late])

    assert not errors(results)
    assert Disbursement.objects.get().status == "cancelled"
