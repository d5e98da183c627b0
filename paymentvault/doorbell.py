"""Ring a worker after commit. A bell that nobody hears costs nothing: the sweepers look anyway."""

import time
from functools import partial
from typing import Any

import structlog
from celery import Task
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)

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
        task.apply_async(args=args, retry=False)
    except (OperationalError, ConnectionError, TimeoutError) as error:
        _quiet_until = time.monotonic() + QUIET_AFTER_FAILURE_S
        log.warning("doorbell_unheard", task=task.name, error=type(error).__name__)
