"""A partner's own programs: keys to ask with, and where they are told."""

import base64
import secrets
import uuid
from datetime import timedelta

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from fernet_fields import EncryptedCharField

from partners.models.partner import Partner
from paymentvault.guards import never_truncated


class Scope(models.TextChoices):
    """What an API key may be used for; `partners.keys` says it in rights.

    There is none to approve, reject or retry: what a program asks for, a person decides.
    """

    PARTNERS_READ = "partners:read", "Read the partner, its settings and balances"
    DISBURSEMENTS_READ = "disbursements:read", "Read disbursements and their history"
    DISBURSEMENTS_CREATE = "disbursements:create", "Ask for disbursements, which a person decides"
    EVENTS_READ = "events:read", "Read what Mifos X sent"
    CALLBACKS_READ = "callbacks:read", "Read what M-Pesa sent"
    CONNECTION_TEST = "connection:test", "Test the connection to Mifos X"


class ApiKey(models.Model):
    """A key with which a partner's program signs in. Only its hash is kept; it is shown once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    partner = models.ForeignKey(Partner, models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=60, help_text="Which program uses it.")
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=30, choices=Scope.choices))
    allowed_networks = ArrayField(
        models.CharField(max_length=50), default=list, blank=True,
        help_text="Where it may be used from; empty lets any address in.",
    )  # fmt: skip
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="api_keys_made", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    replaces = models.OneToOneField(
        "self", models.PROTECT, null=True, related_name="replaced_by", editable=False
    )
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, editable=False)
    last_used_from = models.GenericIPAddressField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="api_keys_revoked",
        editable=False,
    )  # fmt: skip

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        triggers = [
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            never_truncated,
            pgtrigger.Protect(
                name="what_it_is_stays",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange(
                    "partner", "prefix", "sha256", "scopes", "allowed_networks", "created_by"
                ),
            ),
            pgtrigger.Protect(
                name="revoked_for_good",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    "OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at"
                ),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="revoked_by_somebody",
                condition=Q(revoked_at__isnull=True, revoked_by__isnull=True)
                | Q(revoked_at__isnull=False, revoked_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"API key {self.name} ({self.prefix})"

    @property
    def is_valid(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()


def new_signing_secret() -> str:
    """As Standard Webhooks writes one: 24 to 64 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Announcement(models.TextChoices):
    """What a partner's own system can be told of."""

    PAID = "disbursement.paid", "Paid"
    RECORDED = "disbursement.recorded", "Recorded in Mifos X"
    FAILED = "disbursement.failed", "Failed"
    HELD = "disbursement.held", "Held"


def every_announcement() -> list[str]:
    return list(Announcement.values)


class WebhookEndpoint(models.Model):
    """Where a partner's own system wants to be told what became of its disbursements."""

    ROTATION = timedelta(days=7)

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="webhook_endpoints")
    url = models.URLField("address", max_length=300)
    events = ArrayField(
        models.CharField(max_length=30, choices=Announcement.choices), default=every_announcement
    )
    is_on = models.BooleanField("switched on", default=True, editable=False)
    off_words = models.CharField(max_length=300, blank=True, editable=False)
    secret = EncryptedCharField(max_length=100, default=new_signing_secret, editable=False)
    secret_shown_at = models.DateTimeField(null=True, editable=False)
    previous_secret = EncryptedCharField(max_length=100, blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, editable=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="webhook_endpoints_made",
        editable=False,
    )  # fmt: skip
    failing_since = models.DateTimeField(null=True, editable=False)
    delivered_at = models.DateTimeField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["pk"]
        triggers = [
            pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
            never_truncated,
        ]
        constraints = [
            models.UniqueConstraint(
                name="an_address_is_told_once",
                fields=["partner", "url"],
                violation_error_message="This partner has this address already.",
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def signing_secrets(self) -> list[str]:
        """The one in force, and while it is being rotated the one before."""
        is_rotating = self.previous_secret_until and self.previous_secret_until > timezone.now()
        return [self.secret, *([self.previous_secret] if is_rotating else [])]

    @property
    def events_words(self) -> str:
        return ", ".join(Announcement(event).label for event in self.events)
