"""A partner's M-Pesa B2C numbers, and the tokens of their Daraja apps."""

from datetime import date, timedelta

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from fernet_fields import EncryptedCharField, EncryptedTextField

from partners.models.partner import Partner
from paymentvault.guards import never_truncated
from paymentvault.row_history import of_rows


class MpesaShortcode(models.Model):
    """A partner's B2C number at Safaricom, and the credentials to pay from it."""

    class Environment(models.TextChoices):
        SANDBOX = "sandbox", "Sandbox"
        PRODUCTION = "production", "Production"

    class Pause(models.TextChoices):
        NONE = "", "Not paused"
        CONFIGURATION = "configuration", "Credentials or configuration refused"
        FUNDS = "funds", "Not enough float"
        PERSON = "person", "Paused by a person"

    BASE_URLS = {
        Environment.SANDBOX: "https://sandbox.safaricom.co.ke",
        Environment.PRODUCTION: "https://api.safaricom.co.ke",
    }
    PASSWORD_LIFE = timedelta(days=90)

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="shortcodes")
    shortcode = models.CharField(max_length=10, validators=[RegexValidator(r"^[0-9]{5,7}\Z")])
    environment = models.CharField(
        max_length=10, choices=Environment.choices, default=Environment.SANDBOX
    )
    base_url_override = models.URLField(blank=True, help_text="Only for tests.")
    consumer_key = EncryptedCharField(max_length=200)
    consumer_secret = EncryptedCharField(max_length=200)
    initiator_name = models.CharField(max_length=100)
    initiator_password = EncryptedCharField(max_length=200, blank=True)
    security_credential = EncryptedTextField(
        blank=True, help_text="A ready-made one from the Daraja portal, instead of the password."
    )
    certificate = models.TextField(
        blank=True, help_text="Safaricom's PEM certificate, which encrypts the password."
    )
    is_active = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False)

    pause = models.CharField(
        max_length=15, choices=Pause.choices, default=Pause.NONE, blank=True, editable=False
    )
    paused_at = models.DateTimeField(null=True, editable=False)
    pause_reason = models.CharField(max_length=300, blank=True, editable=False)
    credential_proved_at = models.DateTimeField(null=True, editable=False)
    credential_set_at = models.DateTimeField(default=timezone.now, editable=False)
    password_set_at = models.DateTimeField(default=timezone.now, editable=False)
    last_test = models.JSONField(default=list, editable=False)
    last_tested_at = models.DateTimeField(null=True, editable=False)
    last_tested_by = models.CharField(max_length=150, blank=True, editable=False)
    utility_balance = models.DecimalField(
        max_digits=14, decimal_places=2, null=True, editable=False
    )
    balance_at = models.DateTimeField(null=True, editable=False)
    balance_when_paused = models.DecimalField(
        max_digits=14, decimal_places=2, null=True, editable=False
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "M-Pesa shortcode"
        ordering = ["partner", "shortcode"]
        triggers = [
            *of_rows(
                leaving_out=(
                    "last_test", "last_tested_at", "last_tested_by", "utility_balance",
                    "balance_at", "balance_when_paused", "credential_proved_at", "updated_at",
                ),
            ),
            never_truncated,
        ]  # fmt: skip
        constraints = [
            models.UniqueConstraint(
                name="a_shortcode_belongs_to_one_partner",
                fields=["environment", "shortcode"],
                violation_error_message="This shortcode is already set up.",
            ),
            models.UniqueConstraint(
                name="one_default_shortcode_per_partner",
                fields=["partner"],
                condition=Q(is_default=True),
                violation_error_message="The partner already has a default shortcode.",
            ),
            models.CheckConstraint(
                name="a_pause_has_a_time_and_a_reason",
                condition=Q(pause="", paused_at__isnull=True)
                | (~Q(pause="") & Q(paused_at__isnull=False) & ~Q(pause_reason="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shortcode} ({self.get_environment_display()})"

    @property
    def base_url(self) -> str:
        return self.base_url_override or self.BASE_URLS[self.Environment(self.environment)]

    @property
    def is_paused(self) -> bool:
        return bool(self.pause)

    @property
    def password_ends_on(self) -> date:
        """Safaricom lets an initiator's password expire, and then refuses every payout."""
        return timezone.localdate(self.password_set_at + self.PASSWORD_LIFE)


class AccessToken(models.Model):
    """A remote system's bearer token, shared by all workers, fetched by one at a time.

    Safaricom invalidates the previous token whenever it issues one, so two workers that both
    fetch would take each other's away.
    """

    credential_hash = models.CharField(max_length=64, primary_key=True)
    token = EncryptedTextField(blank=True)
    expires_at = models.DateTimeField(null=True)
    fetching_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"token {self.credential_hash[:8]}"
