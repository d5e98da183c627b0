"""What belongs to no single domain: people, the audit, and signs of life."""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone
from fernet_fields import EncryptedTextField


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
    """When a sweeper last ran to its end, and what it found; `at` is empty until it has."""

    name = models.CharField(max_length=60, primary_key=True)
    expected_since = models.DateTimeField(
        default=timezone.now, help_text="When beat first had it to call."
    )
    at = models.DateTimeField(null=True)
    took_ms = models.PositiveIntegerField(default=0)
    found = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}" if self.at else f"{self.name}, never yet"


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


class DoneOnce(models.Model):
    """A press of a button that was carried out; the second press of the same one finds it."""

    token = models.UUIDField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "done once"

    def __str__(self) -> str:
        return str(self.token)


class Job(models.Model):
    """Long work that a person started, can leave, and can come back to."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for a worker"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Broken off"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="jobs_started"
    )
    given = EncryptedTextField(blank=True, help_text="What it works on, as JSON; may hold secrets.")
    about = models.CharField(max_length=100, blank=True, help_text="What it belongs to.")
    came_from = models.CharField(max_length=200, blank=True, help_text="The page to go back to.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True)
    lines = models.JSONField(default=list, help_text="What came of each part, as it became known.")
    outcome = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(default=timezone.now)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                name="jobs_under_way",
                fields=["due_at"],
                condition=models.Q(state__in=["waiting", "running"]),
            ),
            models.Index(name="jobs_about", fields=["about", "-created_at"]),
            models.Index(name="jobs_of_a_person", fields=["started_by", "-created_at"]),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_over(self) -> bool:
        return self.state in (self.State.DONE, self.State.FAILED)


class JobFile(models.Model):
    """A piece of the file that a job made, in order; PostgreSQL keeps it for every web server."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="pieces")
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(name="one_piece_of_a_number", fields=["job", "number"])
        ]

    def __str__(self) -> str:
        return f"{self.job_id}/{self.number}"
