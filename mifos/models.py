"""The inbox: one row for each delivery of Mifos X's, as it arrived."""

import uuid

import pgtrigger
from django.db import models
from django.utils import timezone

from disbursements.models import Disbursement
from partners.models import MifosConnection
from paymentvault.guards import never_truncated


class Event(models.Model):
    """One delivery, kept before anyone interprets it; its token is masked."""

    class Form(models.TextChoices):
        NATIVE = "native", "Hook of Mifos X"
        SEED = "seed", "loan-approval JSON"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DONE = "done", "Processed"
        IGNORED = "ignored", "Ignored"
        UNREADABLE = "unreadable", "Unreadable"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(MifosConnection, models.PROTECT, related_name="events")
    form = models.CharField(max_length=10, choices=Form.choices)
    received_at = models.DateTimeField(auto_now_add=True)
    source_address = models.GenericIPAddressField(null=True)
    headers = models.JSONField(default=dict)
    content_type = models.CharField(max_length=100, blank=True)
    body = models.TextField()

    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    outcome = models.TextField(blank=True)
    entity = models.CharField(max_length=40, blank=True)
    action = models.CharField(max_length=40, blank=True)
    loan_id = models.BigIntegerField(null=True)
    disbursement = models.ForeignKey(Disbursement, models.PROTECT, null=True, related_name="events")
    processed_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-received_at"]
        triggers = [
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            never_truncated,
            pgtrigger.Protect(
                name="what_arrived_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "body", "headers", "received_at", "source_address", "connection", "form"
                ),
            ),
        ]
        indexes = [
            models.Index(name="events_waiting", fields=["due_at"],
                         condition=models.Q(state="waiting")),
            models.Index(name="events_newest", fields=["connection", "-received_at"]),
            models.Index(name="events_in_time", fields=["-received_at", "-id"]),
            models.Index(name="events_in_a_state", fields=["state", "-received_at"]),
            models.Index(name="events_of_a_loan", fields=["loan_id", "-received_at"]),
            models.Index(name="events_of_an_act", fields=["action", "-received_at"]),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"event {self.pk}"
