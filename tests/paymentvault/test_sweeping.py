"""Two sweepers never do the same work, and one that died holds nothing up for long."""

import threading
from datetime import timedelta

import pytest
import time_machine
from celery.signals import beat_init
from django.db import connections
from django.utils import timezone

from disbursements.models import Disbursement
from disbursements.states import Status
from paymentvault.models import Heartbeat
from paymentvault.sweeping import LEASE, claim_due, is_free, leased, sweeper

MINUTE = timedelta(minutes=1)


def claim(at_most=100):
    return claim_due(Disbursement.objects.all(), at_most=at_most, again_after=MINUTE)


def at_once(act, times):
    """Run an act in as many threads, which begin together, and return what they return."""
    start, results = threading.Barrier(times), []

    def run():
        try:
            start.wait()
            results.append(act())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(times)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return results


@pytest.mark.django_db(transaction=True)
def test_two_claimers_at_once_never_share_a_row(manual):
    keys = {manual().pk for _ in range(40)}

    claimed = at_once(lambda: claim(at_most=10), times=4)

    assert sorted(pk for one in claimed for pk in one) == sorted(keys)


@pytest.mark.django_db(transaction=True)
def test_of_many_that_want_one_lease_one_gets_it(manual):
    row = manual()
    everybody_tried = threading.Barrier(8)

    def take():
        with leased(row) as taken:
            everybody_tried.wait()
            return taken

    assert sorted(at_once(take, times=8)) == [False] * 7 + [True]


def test_what_was_claimed_is_due_again_after_a_while(manual):
    row = manual()

    assert claim() == [row.pk]
    assert claim() == []
    with time_machine.travel(timezone.now() + MINUTE + timedelta(seconds=1)):
        assert claim() == [row.pk]


def test_the_longest_overdue_come_first_and_no_more_than_asked(manual):
    ago = [manual(due_at=timezone.now() - minutes * MINUTE).pk for minutes in (1, 3, 2)]

    assert claim(at_most=2) == [ago[1], ago[2]]


def test_what_is_not_due_is_left(manual):
    manual(due_at=timezone.now() + MINUTE)

    assert claim() == []


def test_a_lease_is_refused_while_another_holds_it_and_free_afterwards(manual):
    row = manual()

    with leased(row) as first, leased(row) as second:
        assert (first, second) == (True, False)

    with leased(row) as third:
        assert third


def test_the_refused_one_does_not_end_the_others_lease(manual):
    row = manual()

    with leased(row):
        with leased(row):
            pass
        assert not Disbursement.objects.filter(is_free()).exists()


def test_a_lease_ends_when_its_act_fails(manual):
    row = manual()

    with pytest.raises(ZeroDivisionError), leased(row):
        raise ZeroDivisionError

    assert Disbursement.objects.filter(is_free()).exists()


def test_the_lease_of_one_that_died_ends_by_itself(manual):
    row = manual(leased_until=timezone.now() + LEASE)

    with leased(row) as taken:
        assert not taken
    with time_machine.travel(timezone.now() + LEASE + MINUTE), leased(row) as taken:
        assert taken


def test_a_move_ends_the_lease_and_the_next_act_keeps_its_own(manual):
    row = manual(Status.AWAITING_APPROVAL)

    with leased(row):
        row.move(Status.APPROVED, by="baraka")
        mine = timezone.now() + LEASE
        Disbursement.objects.filter(pk=row.pk).update(leased_until=mine)

    row.refresh_from_db()
    assert row.leased_until == mine


@sweeper
def looks():
    return 3


@pytest.mark.lesson(17)
def test_a_sweep_leaves_a_heartbeat(db):
    assert looks() == "looks: 3"
    before = Heartbeat.objects.get()
    looks()

    after = Heartbeat.objects.get()
    assert (after.name, after.found) == ("looks", 3)
    assert after.at > before.at


@pytest.mark.lesson(17)
def test_a_sweep_that_fails_leaves_none(db):
    @sweeper
    def breaks():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks()

    assert not Heartbeat.objects.exists()


@pytest.mark.lesson(17)
@pytest.mark.django_db(transaction=True)
def test_once_beat_has_begun_each_of_its_sweeps_is_expected(settings):
    looks()
    settings.CELERY_BEAT_SCHEDULE = {"looks": {}, "reads": {}}

    responses = beat_init.send(sender=None)

    assert [error for _, error in responses if error] == []
    ran, expected = Heartbeat.objects.order_by("name")
    assert (ran.name, ran.found) == ("looks", 3)
    assert (expected.name, expected.at) == ("reads", None)
    assert expected.expected_since
