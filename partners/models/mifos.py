"""How we reach a partner's Mifos X, and what it lends."""

from collections.abc import Collection
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pgtrigger
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Concat, Lower
from django.utils import timezone
from fernet_fields import EncryptedCharField

from partners import addresses
from partners.models.partner import Partner, known_zone
from paymentvault.guards import never_truncated
from paymentvault.row_history import of_rows


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
        triggers = [
            # Whoever switches it on, by whatever way, puts the partner in use.
            pgtrigger.Trigger(
                name="switched_on_is_in_use",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                condition=pgtrigger.Condition("NEW.is_on"),
                func="""
                    UPDATE partners_partner SET in_use_since = now()
                        WHERE id = NEW.partner_id AND in_use_since IS NULL;
                    RETURN NULL;
                """,
            ),
            *of_rows(
                leaving_out=(
                    "payment_types", "products_listed_at", "last_test", "last_tested_at",
                    "last_tested_by", "backlog_listed_at", "polled_at", "failing_since",
                    "resting_until", "leased_until", "last_error", "updated_at",
                ),
                secrets=("webhook_token_hash", "previous_token_hash"),
            ),
            never_truncated,
        ]  # fmt: skip
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
        """Say what is wrong, which the constraint itself couldn't; other partners go unnamed."""
        excluded = set(exclude or ())
        if not excluded & {"host_url", "api_path", "tenant_id"} and self.is_taken():
            words = (
                "This tenant of this Mifos X is already connected, for another partner. Two "
                "connections would pay each loan twice. Whoever runs Payment Vault can tell which."
            )
            raise ValidationError({"host_url": words})
        super().validate_constraints(exclude=excluded | {"tenant_id"})

    def is_taken(self) -> bool:
        """Whether another partner's connection is to the same tenant."""
        at = addresses.server(self.host_url) + addresses.path(self.api_path)
        rows = MifosConnection.objects.alias(
            at=Lower(Concat("host_url", "api_path")), tenant=Lower("tenant_id")
        )
        found = rows.filter(at=at.lower(), tenant=self.tenant_id.strip().lower())
        return found.exclude(pk=self.pk).exists()

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
