"""While Mifos X is away its events wait, its neighbours go on, and a person hears of it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mifos import events, tasks
from mifos.models import Event
from partners.models import MifosConnection
from tests.mifos.conftest import flat

pytestmark = pytest.mark.django_db


def process(event):
    words = events.process(str(event.pk))
    event.refresh_from_db()
    return words


@pytest.mark.lesson(11)
def test_with_mifos_away_it_waits_and_is_tried_again(heard, approved, mifos):
    event = heard(flat(approved()))
    mifos.down = True

    assert "Mifos X: the connection broke off" in process(event)
    assert (event.state, event.tries) == ("waiting", 1)

    mifos.down = False
    MifosConnection.objects.update(resting_until=None)
    process(event)
    assert event.state == "done"


def test_a_silent_server_rests_and_isn_t_asked_at_once(heard, approved, mifos, connection):
    loan_id = approved()
    mifos.down = True
    process(heard(flat(loan_id)))
    asked = len(mifos.requests)

    assert "doesn't answer" in process(heard(flat(loan_id)))
    assert len(mifos.requests) == asked
    connection.refresh_from_db()
    assert connection.failing_since and connection.last_error


@pytest.mark.parametrize("fault", ["error_500", "html_502"])
def test_one_loan_that_can_t_be_shown_doesn_t_let_the_server_rest(
    heard, approved, mifos, connection, fault
):
    broken, fine = approved(), approved(mobile="0722000222")
    mifos.plan(fault, loan_id=broken)

    process(first := heard(flat(broken)))
    process(second := heard(flat(fine)))

    assert (first.state, second.state) == ("waiting", "done")


def test_a_silent_server_lets_other_connections_go_on(
    heard, approved, connection, django_capture_on_commit_callbacks
):
    silent = MifosConnection.objects.get(pk=connection.pk)
    silent.pk, silent.host_url, silent.webhook_token_hash = None, "http://127.0.0.1:9", None
    silent.partner = type(connection.partner).objects.create(name="Umoja", code="umoja")
    silent.save()
    waiting, fine = heard(flat(1), connection=silent), heard(flat(approved()))

    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep_events()

    waiting.refresh_from_db()
    fine.refresh_from_db()
    assert (waiting.state, fine.state) == ("waiting", "done")


def test_what_waits_too_long_is_shown_to_a_person_until_it_is_done(
    heard, approved, mifos, connection, time_machine, django_capture_on_commit_callbacks
):
    event = heard(flat(approved()))
    mifos.down = True
    process(event)
    time_machine.move_to(timezone.now() + timedelta(minutes=16))

    tasks.sweep_events()

    case = connection.cases.get(kind="events_waiting")
    assert "the connection broke off" in case.words and "changed no payout" in case.words
    mifos.down = False
    Event.objects.update(due_at=timezone.now())
    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep_events()
    tasks.sweep_events()
    case.refresh_from_db()
    assert case.closed_at
