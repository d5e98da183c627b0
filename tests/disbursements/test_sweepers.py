"""Sweepers find what no bell rang for, never the same row twice at once, and leave a heartbeat."""

from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements import tasks
from disbursements.models import Attempt, Callback, Case, Disbursement, Inquiry
from disbursements.states import Status
from paymentvault import doorbell
from paymentvault.models import Heartbeat
from tests.disbursements.at_once import at_once, errors
from tests.samples import paid

SWEEPERS = [tasks.sweep_approved, tasks.sweep_sending, tasks.sweep_unanswered,
            tasks.sweep_callbacks, tasks.sweep_failed, tasks.sweep_overdue,
            tasks.read_balances]  # fmt: skip
LONG_AGO = timezone.now() - timedelta(hours=2)


@pytest.fixture
def rung(monkeypatch) -> list[object]:
    """What a bell was rung for, with nobody hearing it."""
    heard: list[object] = []
    monkeypatch.setattr(doorbell, "ring", lambda task, *args: heard.extend(args))
    return heard


@pytest.mark.lesson(17)
@pytest.mark.parametrize("sweep", SWEEPERS, ids=lambda s: s.name.rpartition(".")[2])
def test_each_sweeper_leaves_a_heartbeat(db, settings, sweep):
    name = sweep.name.rpartition(".")[2]

    sweep()
    sweep()

    assert Heartbeat.objects.get().name == name
    assert sweep.name in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}


def due_callbacks(sent):
    attempt = sent()
    return [attempt.callbacks.create(kind="r", body="{}").pk for _ in range(30)]


CLAIMS = {
    tasks.sweep_approved: lambda manual, sent: [manual().pk for _ in range(30)],
    tasks.sweep_unanswered: lambda manual, sent: [manual(Status.IN_DOUBT).pk for _ in range(30)],
    tasks.sweep_callbacks: lambda manual, sent: due_callbacks(sent),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sweep", CLAIMS, ids=lambda s: s.name.rpartition(".")[2])
def test_sweepers_at_once_never_claim_the_same_row(manual, sent, rung, sweep):
    due = CLAIMS[sweep](manual, sent)

    ended = at_once(lambda _: sweep(), range(6))

    assert errors(ended) == []
    assert sorted(rung) == sorted(due)


def test_what_was_claimed_is_due_again_if_nobody_worked_at_it(manual, rung):
    row = manual()
    tasks.sweep_approved()
    tasks.sweep_approved()
    assert rung == [row.pk]

    Disbursement.objects.update(due_at=timezone.now())
    tasks.sweep_approved()
    assert rung == [row.pk, row.pk]


def test_what_somebody_works_at_is_left_alone(manual, rung):
    manual(leased_until=timezone.now() + timedelta(seconds=9))

    tasks.sweep_approved()

    assert rung == []


@pytest.mark.django_db(transaction=True)
def test_losing_every_bell_loses_nothing(manual, shortcode, safaricom, calls_back, monkeypatch):
    """Approved, sent, silent, asked, answered: each step found by a sweeper alone."""
    disbursement = manual()
    safaricom.plan(disbursement.msisdn, "lost_callback")

    tasks.sweep_approved()
    assert Disbursement.objects.get().status == Status.SENT
    Disbursement.objects.update(due_at=timezone.now())
    tasks.sweep_unanswered()
    safaricom.settle()
    with monkeypatch.context() as deaf:
        deaf.setattr(doorbell, "ring", lambda *_: None)
        calls_back(Inquiry.objects.get(), safaricom.callbacks[-1].body)
    tasks.sweep_callbacks()

    assert Disbursement.objects.get().status == Status.PAID
    assert not Callback.objects.filter(state="waiting").exists()


def test_sending_for_too_long_becomes_doubt(sent):
    attempt = sent(Status.SENDING, attempt="sending", status_at=LONG_AGO)
    fresh = sent(Status.SENDING)

    tasks.sweep_sending()

    attempt.refresh_from_db()
    fresh.disbursement.refresh_from_db()
    assert (attempt.disbursement.status, attempt.status) == (Status.IN_DOUBT, "unknown")
    assert attempt.disbursement.due_at <= timezone.now()
    assert fresh.disbursement.status == Status.SENDING


@pytest.mark.django_db(transaction=True)
def test_two_that_put_it_in_doubt_write_one_line_of_history(sent):
    attempt = sent(Status.SENDING, status_at=LONG_AGO)

    ended = at_once(lambda _: tasks.sweep_sending(), range(4))

    assert errors(ended) == []
    assert attempt.disbursement.transitions.count() == 1


@pytest.mark.parametrize(
    "status, changes, is_overdue",
    [
        (Status.APPROVED, {}, True),
        (Status.APPROVED, {"status_at": timezone.now()}, False),
        (Status.HELD, {}, False),
        # Without a loan system there is nothing to record it in.
        (Status.PAID, {}, False),
    ],
)
def test_what_waits_too_long_is_put_before_a_person(manual, status, changes, is_overdue):
    manual(status, **({"status_at": LONG_AGO} | changes))

    tasks.sweep_overdue()
    tasks.sweep_overdue()

    assert Case.objects.filter(kind="overdue").count() == is_overdue


def test_a_payment_that_mifos_does_not_show_is_put_before_a_person(manual, connection):
    manual(Status.PAID, connection=connection, loan_id=1, status_at=LONG_AGO)

    tasks.sweep_overdue()

    assert "never pay it again" in Case.objects.get().words


def test_trying_in_vain_for_long_is_waiting_too(sent):
    attempt = sent(Status.APPROVED, attempt="not_sent")
    Attempt.objects.filter(pk=attempt.pk).update(created_at=LONG_AGO)

    tasks.sweep_overdue()

    assert Case.objects.get().disbursement == attempt.disbursement


def test_an_overdue_case_that_was_closed_is_opened_anew_whatever_else_is_open(manual):
    row = manual(status_at=LONG_AGO)
    Case.objects.create(kind="overdue", words="x", disbursement=row, closed_at=LONG_AGO)
    Case.objects.create(kind="other", words="x", disbursement=row)

    tasks.sweep_overdue()

    assert Case.objects.filter(kind="overdue", closed_at=None).exists()


def test_balances_are_asked_for_but_not_with_a_refused_credential(shortcode, safaricom):
    tasks.read_balances()
    type(shortcode).objects.update(pause="configuration", paused_at=LONG_AGO, pause_reason="No.")
    tasks.read_balances()

    assert Inquiry.objects.filter(kind="balance").count() == 1


@pytest.mark.lesson(3)
def test_a_callback_is_processed_although_no_bell_rang(sent, calls_back):
    attempt = sent()
    calls_back(attempt, paid())
    assert Callback.objects.get().state == "waiting"

    tasks.process_callback(Callback.objects.get().pk)

    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == Status.PAID
