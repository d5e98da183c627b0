"""What every sweeper does: claim rows so that two never do the same work, and leave a heartbeat."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from celery import Task
from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from paymentvault import doorbell
from paymentvault.models import Heartbeat

# What one sweep takes at most; the rest is there for the next.
AT_ONCE = 200

# Longer than any single act: fetching a token, sending, refused, once more, each at its limit.
LEASE = timedelta(seconds=240)


def is_free() -> Q:
    """Nobody holds the row, or its holder died."""
    return Q(leased_until__isnull=True) | Q(leased_until__lt=timezone.now())


@contextmanager
def leased(row: models.Model) -> Iterator[bool]:
    """Take a row for a while and give it back; False if somebody else has it."""
    rows = type(row)._default_manager.filter(pk=row.pk)
    until = timezone.now() + LEASE
    taken = bool(rows.filter(is_free()).update(leased_until=until))
    try:
        yield taken
    finally:
        # Only our own: a move to another state ends the lease, and another act may hold it now.
        if taken:
            rows.filter(leased_until=until).update(leased_until=None)


def claim_due(due: models.QuerySet[Any], *, at_most: int, again_after: timedelta) -> list[Any]:
    """Claim due rows by moving their `due_at` on, skipping what another sweeper has locked.

    The caller rings a worker for each primary key that is returned; should that worker die,
    the row is due again after `again_after`.
    """
    now = timezone.now()
    with transaction.atomic():
        keys = list(
            due.filter(due_at__lte=now)
            .order_by("due_at")
            .select_for_update(skip_locked=True, of=("self",), no_key=True)
            .values_list("pk", flat=True)[:at_most]
        )
        due.model._default_manager.filter(pk__in=keys).update(due_at=now + again_after)
    return keys


def ring_for_due(
    task: "Task[Any, Any]", due: models.QuerySet[Any], *, again_after: timedelta
) -> int:
    """Claim what is due and ring a worker for each; returns how many."""
    found = claim_due(due, at_most=AT_ONCE, again_after=again_after)
    for pk in found:
        doorbell.ring(task, str(pk) if isinstance(pk, UUID) else pk)
    return len(found)


def expect_sweeps() -> None:
    """From now on each sweep that beat calls is missed when it doesn't run, the first time too."""
    rows = [Heartbeat(name=name) for name in settings.CELERY_BEAT_SCHEDULE]
    Heartbeat.objects.bulk_create(rows, ignore_conflicts=True)


def sweeper(act: Callable[[], int]) -> Callable[[], str]:
    """Make a sweep of a function that returns how many rows it found."""

    @functools.wraps(act)
    def sweep() -> str:
        began = time.monotonic()
        found = act()
        Heartbeat.objects.update_or_create(
            name=act.__name__,
            defaults={
                "at": timezone.now(),
                "took_ms": int((time.monotonic() - began) * 1000),
                "found": found,
            },
        )
        return f"{act.__name__}: {found}"

    return sweep
