"""Celery is the doorbell and the ticker; what there is to do stands in PostgreSQL."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paymentvault.settings")

app = Celery("paymentvault")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
