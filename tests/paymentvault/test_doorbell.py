"""The bell rings after commit, and a broker that is away costs nobody more than a moment."""

import secrets
import time

import pytest
import redis
from celery import Celery
from django.conf import settings as ours
from django.db import transaction

from paymentvault import doorbell
from tests.paymentvault.test_sweeping import at_once
from tests.paymentvault.wire import Wire, closed_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def not_quiet(monkeypatch):
    monkeypatch.setattr(doorbell, "_quiet_until", 0.0)


def task_at(broker):
    """A task of an application with our settings and that broker."""
    app = Celery("bell", broker=broker, set_as_current=False)
    name = f"bell-{secrets.token_hex(4)}"
    app.conf.broker_transport_options = ours.CELERY_BROKER_TRANSPORT_OPTIONS | {"client_name": name}
    app.conf.task_default_queue = name

    @app.task(name="bell.task")
    def look(number):
        """Nobody runs it."""

    return look


@pytest.fixture
def task():
    made = task_at(ours.REDIS_URL)
    yield made
    store = redis.Redis.from_url(ours.REDIS_URL)
    store.delete(*store.keys(f"*{made.app.conf.task_default_queue}*"), "nothing")


def waiting(task):
    return redis.Redis.from_url(ours.REDIS_URL).llen(task.app.conf.task_default_queue)


def seconds_for(task):
    began = time.monotonic()
    doorbell.ring(task, 1)
    return time.monotonic() - began


def test_it_rings_after_commit_and_not_before(task):
    with transaction.atomic():
        doorbell.ring(task, 1)
        assert waiting(task) == 0

    assert waiting(task) == 1


def test_it_does_not_ring_after_a_rollback(task):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        doorbell.ring(task, 1)
        raise ZeroDivisionError

    assert waiting(task) == 0


def test_outside_a_transaction_it_rings_at_once(task):
    doorbell.ring(task, 1)

    assert waiting(task) == 1


def test_a_connection_that_was_cut_meanwhile_is_made_anew(task):
    doorbell.ring(task, 1)
    store = redis.Redis.from_url(ours.REDIS_URL)
    for client in store.client_list():
        if client["name"] == task.app.conf.task_default_queue:
            store.client_kill_filter(_id=client["id"])

    doorbell.ring(task, 2)

    assert waiting(task) == 2


def test_many_that_ring_at_once_do_not_wait_for_each_other(task):
    started = time.monotonic()

    at_once(lambda: doorbell.ring(task, 1), times=30)

    assert waiting(task) == 30
    assert time.monotonic() - started < 2


def test_tasks_that_run_in_place_may_ring_as_deep_as_they_like(task):
    """As in tests: a bell that rings while another one does must not wait for its connection."""
    task.app.conf.task_always_eager = True
    seen = []

    @task.app.task(name="bell.deep")
    def deep(left):
        seen.append(left)
        if left:
            doorbell.ring(deep, left - 1)

    doorbell.ring(deep, 20)

    assert len(seen) == 21


def test_a_broker_that_is_down_costs_a_moment_once():
    with closed_port() as port:
        task = task_at(f"redis://127.0.0.1:{port}/0")

        first, *others = [seconds_for(task) for _ in range(20)]

    assert first < 1.5
    assert sum(others) < 0.1


def test_a_broker_that_accepts_and_never_answers_costs_a_moment_once():
    with Wire(lambda c: time.sleep(3)) as black_hole:
        task = task_at(black_hole.url.replace("http", "redis") + "/0")

        first, *others = [seconds_for(task) for _ in range(20)]

    assert first < 1.5
    assert sum(others) < 0.1


def test_a_broker_whose_name_is_unknown_costs_a_moment_once():
    task = task_at("redis://nobody.invalid:6379/0")

    assert seconds_for(task) < 1.5
    assert seconds_for(task) < 0.1


def test_a_broker_that_refuses_to_write_is_only_a_bell_unheard():
    def refuses(connection):
        while connection.recv(65536):
            connection.sendall(b"-MISCONF can't write\r\n")

    with Wire(refuses) as full:
        doorbell.ring(task_at(full.url.replace("http", "redis") + "/0"), 1)

    assert doorbell._quiet_until > time.monotonic()


def test_it_tries_again_after_a_while(task, monkeypatch):
    monkeypatch.setattr(doorbell, "_quiet_until", time.monotonic() + 0.2)
    doorbell.ring(task, 1)
    time.sleep(0.25)

    doorbell.ring(task, 2)

    assert waiting(task) == 1


def test_workers_keep_their_own_patience(task):
    kept = task.app.connection_for_read().transport_options

    assert "socket_timeout" not in kept
    assert "max_retries" not in kept
