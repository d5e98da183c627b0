"""What belongs to no single domain: people, the audit, and signs of life."""

import json
import secrets
import uuid
from decimal import Decimal
from typing import Any

import pgtrigger
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from fernet_fields import EncryptedTextField

from paymentvault.guards import append_only, never_truncated
from paymentvault.row_history import of_rows


class User(AbstractUser):
    """A member of staff."""

    class Meta(AbstractUser.Meta):
        # Names and addresses of people can't be taken out of a history again.
        triggers = of_rows(
            leaving_out=("last_login",), secrets=("password", "email", "first_name", "last_name")
        )


REFUSED = "refused"


# Whatever is added to the audit waits there for its link, also what psql adds.
waits_for_its_link = pgtrigger.Trigger(
    name="waits_for_its_link",
    when=pgtrigger.After,
    operation=pgtrigger.Insert,
    func="INSERT INTO paymentvault_auditwaiting (event_id) VALUES (NEW.id); RETURN NULL;",
)

# Nobody who adds a line chooses its time or its number, also not by psql as the application.
dated_and_numbered = pgtrigger.Trigger(
    name="dated_and_numbered",
    when=pgtrigger.Before,
    operation=pgtrigger.Insert,
    func="""
        NEW.at := clock_timestamp();
        IF NEW.id IS DISTINCT FROM currval('paymentvault_auditevent_id_seq') THEN
            RAISE EXCEPTION 'Cannot choose the number of a line in the audit';
        END IF;
        RETURN NEW;
    """,
)

# The linker takes out what it has linked, and nothing else ever goes.
waits_until_linked = pgtrigger.Trigger(
    name="waits_until_linked",
    when=pgtrigger.Before,
    operation=pgtrigger.Delete,
    func="""
        IF NOT EXISTS (SELECT FROM paymentvault_auditlink WHERE event_id = OLD.event_id) THEN
            RAISE EXCEPTION 'Cannot take line % out of the audit''s queue: it has no link',
                OLD.event_id;
        END IF;
        RETURN OLD;
    """,
)

# One link that doesn't follow the last would stop every later one.
follows_the_last = pgtrigger.Trigger(
    name="follows_the_last",
    when=pgtrigger.Before,
    operation=pgtrigger.Insert,
    declare=[("last", "RECORD")],
    func="""
        SELECT number, hash INTO last FROM paymentvault_auditlink ORDER BY number DESC LIMIT 1;
        IF NEW.number <> coalesce(last.number, 0) + 1
            OR NEW.previous <> coalesce(last.hash, repeat('0', 64)) THEN
            RAISE EXCEPTION 'Cannot add link %, which does not follow the last one', NEW.number;
        END IF;
        RETURN NEW;
    """,
)


def new_audit_key() -> str:
    return secrets.token_hex(32)


class AuditEvent(models.Model):
    """One line of what people and the system did. Append-only, also for the table's owner."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="audit_events"
    )
    source_address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=40, blank=True)
    act = models.CharField(max_length=60)
    subject = models.CharField(max_length=100, blank=True)
    about_type = models.CharField(max_length=60, blank=True)
    about_id = models.CharField(max_length=40, blank=True)
    partner_code = models.CharField(max_length=20, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                name="refused_lately",
                fields=["source_address", "-at"],
                condition=models.Q(act=REFUSED),
            ),
            # Each in the order of time, so that a filter with days reads no other days.
            models.Index(name="audit_by_time", fields=["at", "id"]),
            models.Index(name="audit_by_actor", fields=["actor", "at", "id"]),
            models.Index(name="audit_by_actor_act", fields=["actor", "act", "at", "id"]),
            models.Index(name="audit_by_partner", fields=["partner_code", "at", "id"]),
            models.Index(name="audit_by_act", fields=["act", "at", "id"]),
            models.Index(name="audit_by_partner_act", fields=["partner_code", "act", "at", "id"]),
            models.Index(name="audit_by_subject", fields=["subject", "at", "id"]),
            models.Index(name="audit_by_object", fields=["about_id", "about_type", "at", "id"]),
            models.Index(
                name="audit_by_request", fields=["request_id"], condition=~models.Q(request_id="")
            ),
            models.Index(name="audit_by_address", fields=["source_address", "at", "id"]),
        ]
        triggers = [append_only, never_truncated, dated_and_numbered, waits_for_its_link]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor} {self.act} {self.subject}".strip()


class AuditWaiting(models.Model):
    """A line that has no link in the chain yet; its writers wait for nobody."""

    event = models.OneToOneField(AuditEvent, models.PROTECT, primary_key=True)

    class Meta:
        triggers = [
            pgtrigger.Protect(name="never_changed", operation=pgtrigger.Update),
            never_truncated,
            waits_until_linked,
        ]

    def __str__(self) -> str:
        return str(self.event_id)


class AuditLink(models.Model):
    """A line's place in the chain: its hash covers the line, its place, and the link before."""

    number = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(AuditEvent, models.PROTECT, related_name="link")
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    version = models.PositiveSmallIntegerField(
        default=1, help_text="Which list of a line's columns the hash covers."
    )

    class Meta:
        ordering = ["number"]
        triggers = [append_only, never_truncated, follows_the_last]

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


class AuditKey(models.Model):
    """One row: what the audit's marks of phone numbers are made with.

    It is kept here, encrypted like other secrets, since it must outlive SECRET_KEY and every
    Fernet key: a mark of years ago is still compared with a number of today.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    key = EncryptedTextField(default=new_audit_key, editable=False)

    class Meta:
        triggers = [pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
                    never_truncated]  # fmt: skip
        constraints = [models.CheckConstraint(name="one_audit_key", condition=Q(id=1))]

    def __str__(self) -> str:
        return "the audit's key"


class ExactNumbers(json.JSONDecoder):
    """Sums as they were written: 5.00, not 5.0."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "parse_float": Decimal})


class RowChange(models.Model):
    """What a row of a partner's settings was and became, written by a trigger of the database."""

    at = models.DateTimeField()
    act = models.CharField(max_length=10)
    about_type = models.CharField("kind of row", max_length=60)
    about_id = models.CharField("number of the row", max_length=40)
    partner_code = models.CharField("partner", max_length=20)
    changes = models.JSONField(decoder=ExactNumbers)
    actor = models.CharField("person", max_length=150)
    request_id = models.CharField(max_length=40)
    database_role = models.CharField(max_length=63)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(name="rows_by_time", fields=["at", "id"]),
            models.Index(name="rows_by_partner", fields=["partner_code", "at", "id"]),
            models.Index(name="rows_by_object", fields=["about_id", "about_type", "at", "id"]),
        ]
        triggers = [append_only, never_truncated]

    def __str__(self) -> str:
        return f"{self.about_type} {self.about_id} {self.act} at {self.at:%Y-%m-%d %H:%M}"


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


class TokenGrant(models.Model):
    """What a person's program was given: short-lived access tokens, as long as this stands.

    It ends with the session that it was given from, and with the password that was in force.
    Of its refresh token only a hash is kept.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="token_grants")
    session_sha256 = models.CharField(max_length=64)
    refresh_sha256 = models.CharField(max_length=64)
    # Of the password, as Django's sessions keep it: another password ends the tokens.
    auth_hash = models.CharField(max_length=64, default="")
    # Whether the session had shown it; who needs one later gets nothing by older tokens.
    has_second_factor = models.BooleanField(default=False)
    # When the person last confirmed who they are, before the tokens were given.
    confirmed_at = models.DateTimeField(null=True)
    source_address = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    refreshed_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(name="grants_of_a_session", fields=["session_sha256"]),
        ]

    def __str__(self) -> str:
        return f"tokens of {self.user}"


class AllowedNetwork(models.Model):
    """A network that requests may go to although it is private, or at ports of its own.

    One person proposes it, another confirms it; either kind of person may withdraw it alone.
    """

    network = models.CharField(max_length=43)
    ports = ArrayField(models.PositiveIntegerField())
    reason = models.CharField(max_length=300)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="networks_proposed"
    )
    proposed_at = models.DateTimeField(auto_now_add=True)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="networks_confirmed"
    )
    confirmed_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="networks_withdrawn"
    )
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        permissions = [("confirm_allowednetwork", "Can confirm allowed networks")]
        triggers = [
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            never_truncated,
            pgtrigger.Protect(
                name="what_was_proposed_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "network", "ports", "reason", "proposed_by", "proposed_at"
                ),
            ),
            pgtrigger.Protect(
                name="withdrawn_for_good",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.withdrawn_at IS NOT NULL"),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="confirmed_by_a_second_person",
                condition=Q(confirmed_by__isnull=True, confirmed_at__isnull=True)
                | Q(confirmed_at__isnull=False)
                & Q(confirmed_by__isnull=False)
                & ~Q(confirmed_by=F("proposed_by")),
            ),
            models.CheckConstraint(
                name="withdrawn_by_somebody",
                condition=Q(withdrawn_by__isnull=True, withdrawn_at__isnull=True)
                | Q(withdrawn_by__isnull=False, withdrawn_at__isnull=False),
            ),
            models.UniqueConstraint(
                name="a_network_is_allowed_once",
                fields=["network"],
                condition=Q(withdrawn_at__isnull=True),
                violation_error_message="This network is in the list already.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.network}, {'port' if len(self.ports) == 1 else 'ports'} {self.ports_words}"

    @property
    def ports_words(self) -> str:
        return ", ".join(map(str, self.ports))

    @property
    def is_in_force(self) -> bool:
        return self.confirmed_at is not None and self.withdrawn_at is None
