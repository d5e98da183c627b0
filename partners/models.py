"""The institutions we pay for, and how to reach their Mifos X and their M-Pesa."""

import base64
import secrets
import uuid
from collections.abc import Collection
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Concat, Lower
from django.utils import timezone
from fernet_fields import EncryptedCharField, EncryptedTextField

from partners import addresses


def known_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError(f"{name} is not a time zone such as Africa/Nairobi.")


class Partner(models.Model):
    """A lender whose approved loans we pay out."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    code = models.CharField(
        max_length=20,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9-]{2,20}\Z", "Use a-z, 0-9 and -, at least two.")],
    )
    is_active = models.BooleanField(default=True)
    contact = models.CharField(
        max_length=200, blank=True, help_text="Whom to call when something is wrong."
    )
    is_automatic = models.BooleanField(
        "automatic disbursement",
        default=False,
        help_text="Off: every loan waits for a person to approve its payout.",
    )
    min_amount = models.DecimalField(
        "smallest disbursement, KES",
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text="Empty: no limit of the partner's own.",
    )
    max_amount = models.DecimalField(
        "largest disbursement, KES",
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0))],
        help_text="Empty: no limit of the partner's own. 0: nothing is paid.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="partner_limits_in_order",
                condition=Q(min_amount__isnull=True)
                | Q(max_amount__isnull=True)
                | Q(min_amount__lte=F("max_amount")),
                violation_error_message="The smallest sum is larger than the largest.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What somebody may do; `partners.access` says it in rights."""

    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator (maker)"
    APPROVER = "approver", "Approver (checker)"
    PARTNER_ADMINISTRATOR = "partner_administrator", "Partner administrator"
    ADMINISTRATOR = "administrator", "Administrator, of the platform"
    AUDITOR = "auditor", "Auditor, of the platform"


PLATFORM_ROLES = [Role.ADMINISTRATOR, Role.AUDITOR]


class Membership(models.Model):
    """A role that somebody has at a partner, or across the platform."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    partner = models.ForeignKey(
        Partner, models.PROTECT, null=True, blank=True, related_name="memberships",
        help_text="Empty only for the platform's own roles.",
    )  # fmt: skip
    role = models.CharField(max_length=25, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="a_role_is_given_once",
                fields=["user", "partner", "role"],
                nulls_distinct=False,
                violation_error_message="This person has that role already.",
            ),
            models.CheckConstraint(
                name="a_role_is_a_partners_or_the_platforms",
                condition=Q(role__in=PLATFORM_ROLES, partner__isnull=True)
                | (~Q(role__in=PLATFORM_ROLES) & Q(partner__isnull=False)),
                violation_error_message="A platform's role has no partner; every other needs one.",
            ),
        ]

    def __str__(self) -> str:
        where = f" at {self.partner}" if self.partner_id else ""
        return f"{self.user}: {self.get_role_display()}{where}"


class MifosConnection(models.Model):
    """How we reach a partner's Mifos X, and how its hooks reach us."""

    ROTATION = timedelta(days=7)

    partner = models.OneToOneField(Partner, models.PROTECT, related_name="mifos")
    host_url = models.URLField(help_text="Such as https://mifos.example.co.ke")
    api_path = models.CharField(max_length=100, default="/fineract-provider/api/v1")
    tenant_id = models.CharField(max_length=100, default="default")
    username = models.CharField(max_length=100, blank=True)
    password = EncryptedCharField(max_length=200, blank=True)
    oauth_token_url = models.URLField(blank=True)
    oauth_client_id = models.CharField(max_length=200, blank=True)
    oauth_client_secret = EncryptedCharField(max_length=500, blank=True)
    ca_bundle = models.TextField(
        blank=True, help_text="PEM certificates to trust, for a server with a self-signed one."
    )
    payment_type_id = models.PositiveIntegerField(
        null=True, blank=True, help_text="Mifos X's payment type for M-Pesa."
    )
    time_zone = models.CharField(
        max_length=50, default="Africa/Nairobi", validators=[known_zone],
        help_text="The tenant's time zone in Mifos X, which decides what its today is.",
    )  # fmt: skip

    payment_types = models.JSONField(
        default=list, editable=False, help_text="Those that Mifos X listed last: id, name, is_cash."
    )
    products_listed_at = models.DateTimeField(null=True, editable=False)

    configured_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_test = models.JSONField(default=list, editable=False)
    last_tested_at = models.DateTimeField(null=True, editable=False)
    last_tested_by = models.CharField(max_length=150, blank=True, editable=False)

    is_on = models.BooleanField("switched on", default=False, editable=False)
    switched_on_at = models.DateTimeField(null=True, editable=False)
    backlog_listed_at = models.DateTimeField(null=True, editable=False)
    polled_at = models.DateTimeField(null=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    resting_until = models.DateTimeField(null=True, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, editable=False)

    webhook_token = EncryptedCharField(max_length=64, blank=True, editable=False)
    webhook_token_hash = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001
    previous_token_hash = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001
    previous_token_until = models.DateTimeField(null=True, editable=False)
    hook_host = models.CharField(  # noqa: DJ001 -- unique among those that have one
        max_length=100, null=True, blank=True, unique=True,
        help_text="A host name of its own, for Fineract 1.5 and 1.6, which drop a hook's path.",
    )  # fmt: skip
    hook_id = models.PositiveIntegerField(null=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "Mifos X connection"
        constraints = [
            models.CheckConstraint(
                name="switched_on_only_when_configured",
                condition=Q(is_on=False) | Q(configured_at__isnull=False),
            ),
            # Two partners would each pay every loan of a tenant they share. Databases of
            # Fineract look its tenants up whatever their capitals.
            models.UniqueConstraint(
                Lower(Concat("host_url", "api_path")),
                Lower("tenant_id"),
                name="one_connection_per_mifos_tenant",
                violation_error_message="This tenant of this Mifos X is already connected.",
            ),
        ]

    def __str__(self) -> str:
        return f"Mifos X of {self.partner_id and self.partner}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        # The database compares what is written, so the same address is written the same way.
        self.host_url = addresses.server(self.host_url)
        self.api_path = addresses.path(self.api_path)
        self.tenant_id = self.tenant_id.strip()
        super().save(*args, **kwargs)

    def validate_constraints(self, exclude: Collection[str] | None = None) -> None:
        """Name the partner that has the tenant, which the constraint itself couldn't."""
        excluded = set(exclude or ())
        if not excluded & {"host_url", "api_path", "tenant_id"} and (other := self.same()):
            words = (
                f"This tenant of this Mifos X is already connected, for {other.partner}. Two "
                "connections would pay each loan twice."
            )
            raise ValidationError({"host_url": words})
        super().validate_constraints(exclude=excluded | {"tenant_id"})

    def same(self) -> "MifosConnection | None":
        """Another partner's connection to the same tenant."""
        at = addresses.server(self.host_url) + addresses.path(self.api_path)
        rows = MifosConnection.objects.alias(
            at=Lower(Concat("host_url", "api_path")), tenant=Lower("tenant_id")
        )
        found = rows.filter(at=at.lower(), tenant=self.tenant_id.strip().lower())
        return found.exclude(pk=self.pk).select_related("partner").first()

    @property
    def base_url(self) -> str:
        return self.host_url.rstrip("/") + "/" + self.api_path.strip("/")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def webhook_url(self) -> str:
        """At most 100 characters and with a slash at the end: Fineract demands both."""
        if self.hook_host:
            return f"https://{self.hook_host}/"
        if not self.webhook_token:
            return ""
        return f"{settings.PUBLIC_URL}/mifos-webhook/{self.webhook_token}/"

    def accepts_previous_token(self) -> bool:
        return bool(self.previous_token_until and self.previous_token_until > timezone.now())


class LoanProduct(models.Model):
    """A loan product as Mifos X listed it, and whether its loans may be paid without a person.

    Where the partner's automatic disbursement is on, a loan of a product that is switched off, or
    outside the product's sums, waits for a person's approval.
    """

    connection = models.ForeignKey(MifosConnection, models.PROTECT, related_name="products")
    product_id = models.BigIntegerField()
    name = models.CharField(max_length=100)
    is_automatic = models.BooleanField("paid automatically", default=False)
    min_amount = models.DecimalField(
        "from, KES", max_digits=12, decimal_places=2, null=True, blank=True,
        validators=[MinValueValidator(Decimal(0))],
    )  # fmt: skip
    max_amount = models.DecimalField(
        "up to, KES", max_digits=12, decimal_places=2, null=True, blank=True,
        validators=[MinValueValidator(Decimal(0))],
    )  # fmt: skip
    is_listed = models.BooleanField(
        default=True, editable=False, help_text="Mifos X named it when it was last asked."
    )

    class Meta:
        ordering = ["name", "product_id"]
        constraints = [
            models.UniqueConstraint(
                name="one_row_per_loan_product", fields=["connection", "product_id"]
            ),
            models.CheckConstraint(
                name="product_limits_in_order",
                condition=Q(min_amount__isnull=True)
                | Q(max_amount__isnull=True)
                | Q(min_amount__lte=F("max_amount")),
                violation_error_message="The smallest sum is larger than the largest.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


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
        triggers = [pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete)]
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
