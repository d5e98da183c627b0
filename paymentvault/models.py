"""What belongs to no single domain: people, the audit, and signs of life."""

import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A member of staff."""


REFUSED = "refused"


class AuditEvent(models.Model):
    """One line of what people and the system did. Append-only, also for the table's owner."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    source_address = models.GenericIPAddressField(null=True)
    act = models.CharField(max_length=60)
    subject = models.CharField(max_length=100, blank=True)
    partner_code = models.CharField(max_length=20, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                name="refused_lately",
                fields=["source_address", "-at"],
                condition=models.Q(act=REFUSED),
            )
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor} {self.act} {self.subject}".strip()


class Heartbeat(models.Model):
    """When a sweeper last ran to its end, and what it found."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()
    took_ms = models.PositiveIntegerField()
    found = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"


class KillSwitch(models.Model):
    """One row at most; while it stands, nothing is sent to M-Pesa for anybody."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    stopped_at = models.DateTimeField(auto_now_add=True)
    stopped_by = models.CharField(max_length=150)
    reason = models.CharField(max_length=300)

    class Meta:
        verbose_name_plural = "kill switch"
        constraints = [
            models.CheckConstraint(name="one_kill_switch", condition=models.Q(id=1)),
        ]

    def __str__(self) -> str:
        return f"Payouts stopped by {self.stopped_by}: {self.reason}"
