"""Polling is what makes it complete: approved loans that no hook told us about."""

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements.models import Case, Disbursement
from disbursements.states import Status
from mifos import client, polling, tasks
from partners.models import MifosConnection, Partner
from paymentvault.http import Refused
from paymentvault.models import Heartbeat
from tests.mifos.conftest import flat

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(connection):
    """Another lender's connection, to the same pretend Mifos X by another name of its host."""
    made = MifosConnection.objects.get(pk=connection.pk)
    made.host_url = made.host_url.replace("127.0.0.1", "localhost")
    made.pk, made.webhook_token_hash = None, None
    made.partner = Partner.objects.create(name="Umoja", code="umoja", is_automatic=True)
    made.save()
    return made


def poll_all():
    """Poll every connection, and count what is new."""
    return sum(polling.poll_one(connection.pk) for connection in polling.connections_to_poll())


def reads(mifos):
    return [r for r in mifos.requests if r.path.rpartition("/")[0].endswith("/loans")]


@pytest.mark.lesson(11)
def test_a_loan_whose_hook_was_lost_is_found(
    generation, connection, approved, django_capture_on_commit_callbacks
):
    loan_id = approved(fees=500)

    with django_capture_on_commit_callbacks(execute=True):
        assert tasks.poll_mifos() == "poll_mifos: 1"

    made = Disbursement.objects.get(loan_id=loan_id)
    assert (made.origin, made.status, made.amount) == ("mifos_poll", Status.APPROVED, 9_500)
    assert Heartbeat.objects.get(name="poll_mifos").found == 1
    connection.refresh_from_db()
    assert connection.polled_at


def test_what_was_there_when_it_was_first_switched_on_is_held(connection, approved):
    MifosConnection.objects.update(backlog_listed_at=None)
    old = approved()
    poll_all()
    new = approved(mobile="0722000222")

    poll_all()

    status = dict(Disbursement.objects.values_list("loan_id", "status"))
    assert status == {old: Status.HELD, new: Status.APPROVED}
    assert "before this connection was" in Disbursement.objects.get(loan_id=old).hold_words


def test_loans_approved_on_a_day_before_are_held_on_any_poll(mifos, connection):
    loan_id = mifos.add_loan(mifos.add_client())
    mifos.approve(loan_id, on=mifos.today() - timedelta(days=1))

    poll_all()

    assert Disbursement.objects.get().holds == ["before_switch_on"]


@pytest.mark.parametrize(
    "status", set(Status) - {Status.REJECTED, Status.CANCELLED, Status.RECORDED}
)
def test_a_loan_whose_disbursement_stands_isn_t_read_again(paid, mifos, status):
    paid(status)

    assert poll_all() == 0
    assert not reads(mifos)


def test_loans_that_aren_t_approved_are_left_alone(connection, mifos, approved):
    mifos.add_loan(mifos.add_client())
    mifos.disburse_by_staff(approved())

    assert poll_all() == 0
    assert not Disbursement.objects.exists()


@pytest.mark.parametrize("status", [Status.REJECTED, Status.CANCELLED])
@pytest.mark.lesson(21)
def test_a_loan_stopped_by_a_person_isn_t_made_again(paid, status):
    paid(status)

    assert poll_all() == 0
    assert Disbursement.objects.count() == 1


@pytest.mark.lesson(1)
def test_a_recorded_loan_that_is_approved_again_is_for_a_person(paid):
    disbursement = paid(Status.RECORDED)

    poll_all()
    poll_all()

    assert Disbursement.objects.get() == disbursement
    assert "nothing will be paid again" in Case.objects.get().words


def test_the_same_loan_by_hook_and_by_polling_is_one_disbursement(heard, approved):
    loan_id = approved()
    event = heard(flat(loan_id))
    poll_all()

    tasks.process_event(str(event.pk))

    event.refresh_from_db()
    assert event.disbursement == Disbursement.objects.get()


@pytest.mark.parametrize("spoil", [{"host_url": "http://127.0.0.1:9"}, {"password": "wrong"}])
def test_a_connection_that_fails_doesn_t_keep_others_from_theirs(
    connection, other, approved, spoil
):
    for name, value in spoil.items():
        setattr(connection, name, value)
    connection.save()
    loan_id = approved()

    poll_all()

    assert Disbursement.objects.get(loan_id=loan_id).connection == other
    connection.refresh_from_db()
    assert connection.last_error and not connection.polled_at


def test_a_fault_of_ours_with_one_doesn_t_keep_others_from_theirs(
    connection, other, approved, monkeypatch
):
    approved()
    take_in = polling._take_in
    monkeypatch.setattr(polling, "_take_in", lambda c, i: take_in(c, i) if c == other else 1 / 0)

    assert poll_all() == 1
    assert Disbursement.objects.get().connection == other


def test_a_loan_that_can_t_be_read_doesn_t_keep_others_from_being_found(
    connection, mifos, approved, monkeypatch
):
    broken, fine = approved(), approved(mobile="0722000222")
    read = polling.port.read_facts

    def unreadable(connection, loan_id):
        if loan_id == broken:
            raise Refused("It can't be read.", code="unreadable")
        return read(connection, loan_id)

    monkeypatch.setattr(polling.port, "read_facts", unreadable)

    poll_all()

    assert Disbursement.objects.get().loan_id == fine
    connection.refresh_from_db()
    assert connection.last_error == "It can't be read."


def test_a_loan_that_mifos_can_t_show_doesn_t_keep_others_from_being_found(
    connection, mifos, approved
):
    broken, fine = approved(), approved(mobile="0722000222")
    mifos.plan("error_500", loan_id=broken)

    poll_all()

    assert Disbursement.objects.get().loan_id == fine
    connection.refresh_from_db()
    assert connection.last_error and not connection.resting_until and not connection.polled_at


def test_a_server_that_rests_is_left_alone_and_its_error_stays(connection, mifos):
    MifosConnection.objects.update(
        resting_until=timezone.now() + timedelta(seconds=20), last_error="It broke off."
    )

    poll_all()

    connection.refresh_from_db()
    assert (connection.last_error, mifos.requests) == ("It broke off.", [])


@pytest.mark.parametrize("off", ["connection", "partner"])
def test_what_is_off_isn_t_polled(connection, mifos, approved, off):
    approved()
    rows = MifosConnection.objects if off == "connection" else Partner.objects
    rows.update(**({"is_on": False} if off == "connection" else {"is_active": False}))

    assert poll_all() == 0
    assert not mifos.requests


def test_a_client_s_strange_name_doesn_t_keep_others_from_being_found(mifos, connection):
    for name in ("Ami\x00na", "Baraka \ud800"):
        loan_id = mifos.add_loan(mifos.add_client(name=name, mobile=None), principal=10_000)
        mifos.approve(loan_id, faults=["lost_hook"])

    assert poll_all() == 2


def test_a_connection_that_is_never_polled_to_its_end_opens_a_case_that_closes_by_itself(
    connection, mifos
):
    MifosConnection.objects.update(switched_on_at=timezone.now() - timedelta(hours=1))
    polling.show_what_is_late()
    case = Case.objects.get(kind="poll_late")
    poll_all()

    polling.show_what_is_late()

    case.refresh_from_db()
    assert case.closed_at and "not paid" in case.words


def test_a_server_that_ignores_the_offset_is_not_asked_for_ever(connection, mifos, monkeypatch):
    page = [{"id": n, "status": {"id": 300}, "principal": 1} for n in range(client.PAGE)]
    asked = []
    monkeypatch.setattr(
        client.MifosClient, "_loans_page", lambda _, offset: asked.append(offset) or page
    )

    assert poll_all() == 0
    assert len(asked) == 2
