"""Ring a worker after commit. A bell that nobody hears costs nothing: the sweepers look anyway."""

import time
from functools import partial
from typing import Any

import structlog
from celery import Task
from django.db import transaction
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

# Whoever waits for an answer must not wait for a broker that is away. Workers, which have
# nothing else to do, keep the patience of the settings.
IMPATIENT = {"max_retries": 0, "socket_connect_timeout": 0.5, "socket_timeout": 0.5}
# After a failed publish, don't let every request wait for its own time-out.
QUIET_AFTER_FAILURE_S = 5.0
_quiet_until = 0.0


def ring(task: "Task[Any, Any]", *args: Any) -> None:
    """Queue a task once the transaction is committed; never raises when the broker is away."""
    transaction.on_commit(partial(_publish, task, args))


def _publish(task: "Task[Any, Any]", args: tuple[Any, ...]) -> None:
    global _quiet_until
    if time.monotonic() < _quiet_until:
        return
    try:
        # A connection of its own, for a millisecond: one from a pool may have died meanwhile, and
        # a pool that is used up would keep the caller waiting.
        with task.app.connection_for_write(transport_options=IMPATIENT) as connection:
            task.apply_async(args=args, connection=connection, retry=False)  # type: ignore[call-arg]
    except (KombuError, RedisError, OSError) as error:
        _quiet_until = time.monotonic() + QUIET_AFTER_FAILURE_S
        log.warning("doorbell_unheard", task=task.name, error=type(error).__name__)
