"""Real hooks over HTTP from each Fineract version, flat or envelope, before the commit or after."""

import pytest
from django.utils import timezone

from disbursements.models import Disbursement
from mifos import connections, tasks
from mifos.models import Event
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def online(generation, connection, lender, live_server, settings, mifos):
    """Mifos X's hook points here; nothing is sent to M-Pesa by itself."""
    lender.is_automatic = False
    lender.save()
    settings.PUBLIC_URL = live_server.url
    connections.register_hook(connection, by="amina")
    # The portal itself has another name.
    settings.PUBLIC_URL = "https://vault.test"
    connection.hook_host = live_server.thread.host
    connection.save(update_fields=["hook_host"])
    return connection


def sweep():
    Event.objects.update(due_at=timezone.now())
    tasks.sweep_events()


def taken_in(loan_id):
    sweep()
    return Disbursement.objects.filter(loan_id=loan_id).first()


def test_an_approval_is_taken_in(online, mifos):
    loan_id = mifos.add_loan(mifos.add_client(), fees=500)

    mifos.approve(loan_id)

    made = until(lambda: taken_in(loan_id))
    assert (made.amount, made.status) == (9_500, "awaiting_approval")
    assert until(lambda: mifos.deliveries)[0].status == 202


def test_its_undoing_stops_it(online, mifos):
    loan_id = mifos.add_loan(mifos.add_client())
    mifos.approve(loan_id)
    made = until(lambda: taken_in(loan_id))

    mifos.undo_approval(loan_id)

    assert until(lambda: sweep() or Disbursement.objects.filter(pk=made.pk, status="cancelled"))


@pytest.mark.parametrize("fault", ["phantom", "parked", "hook_failed_command"])
def test_what_is_no_approval_makes_nothing(online, mifos, fault):
    loan_id = mifos.add_loan(mifos.add_client())
    mifos.approve(loan_id, faults=[fault])

    assert mifos.settle()
    for _ in range(8):
        sweep()

    assert not Disbursement.objects.exists()
    assert not Event.objects.exclude(state__in=["ignored", "waiting"]).exists()
