"""Celery is the doorbell and the ticker; what there is to do stands in PostgreSQL."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, import_modules

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paymentvault.settings")

app = Celery("paymentvault")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@import_modules.connect(sender=app, weak=False)
def refuse_to_start_unsafely(**_: Any) -> None:
    """Of worker and beat; Celery raises what handlers of this signal raise, unlike of others."""
    from paymentvault.checks import refuse_unsafe_settings

    refuse_unsafe_settings()


@beat_init.connect(weak=False)
def expect_what_beat_calls(**_: Any) -> None:
    """Beat ticks without PostgreSQL too: Celery logs what this handler raises, and goes on."""
    from django.db import connection

    from paymentvault.sweeping import expect_sweeps

    try:
        expect_sweeps()
    finally:
        connection.close()
