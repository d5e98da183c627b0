"""The institutions we pay for."""

import uuid
from decimal import Decimal
from zoneinfo import available_timezones

import pgtrigger
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q

from paymentvault.guards import never_truncated
from paymentvault.row_history import of_rows


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
    in_use_since = models.DateTimeField(
        null=True, editable=False,
        help_text="When its connection was first switched on or its first disbursement made: from "
        "then on settings that can move money wait for a second person.",
    )  # fmt: skip
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        triggers = [
            pgtrigger.Trigger(
                name="in_use_for_good",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.in_use_since IS NOT NULL"),
                func="NEW.in_use_since = OLD.in_use_since; RETURN NEW;",
            ),
            *of_rows(leaving_out=("created_at", "updated_at")),
            never_truncated,
        ]
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
