"""What only people can settle."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from disbursements import triggers
from disbursements.models.disbursement import Disbursement
from disbursements.models.requests import Attempt
from partners.models import MifosConnection, MpesaShortcode
from paymentvault.guards import never_truncated


class Settlement(models.Model):
    """What one person says became of a payout in doubt, and that another one agrees."""

    class Outcome(models.TextChoices):
        PAID = "paid", "M-Pesa paid it"
        FAILED = "failed", "M-Pesa didn't pay it, and won't"

    class State(models.TextChoices):
        PROPOSED = "proposed", "Waits for a second person"
        CONFIRMED = "confirmed", "Confirmed"
        REFUSED = "refused", "Refused"

    disbursement = models.ForeignKey(Disbursement, models.PROTECT, related_name="settlements")
    attempt = models.ForeignKey(Attempt, models.PROTECT, related_name="settlements")
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    mpesa_receipt = models.CharField(max_length=20, blank=True)
    paid_at = models.DateTimeField(null=True)
    evidence = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="settlements_proposed"
    )
    proposed_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="settlements_decided"
    )
    decided_at = models.DateTimeField(null=True)
    decision_note = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        triggers = [triggers.never_deleted, never_truncated]
        constraints = [
            models.UniqueConstraint(
                name="one_settlement_waits", fields=["disbursement"], condition=Q(state="proposed")
            ),
            models.CheckConstraint(
                name="settled_by_two",
                condition=~Q(state="confirmed")
                | (Q(decided_by__isnull=False) & ~Q(decided_by=F("proposed_by"))),
            ),
            models.CheckConstraint(
                name="settled_as_paid_names_a_receipt",
                condition=Q(outcome="paid", paid_at__isnull=False) & ~Q(mpesa_receipt="")
                | Q(outcome="failed", mpesa_receipt="", paid_at__isnull=True),
            ),
            models.CheckConstraint(name="settlement_has_evidence", condition=~Q(evidence="")),
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.get_state_display()}"


class Case(models.Model):
    """Something that only a person can settle: what happened, whether money moved, what to do."""

    disbursement = models.ForeignKey(Disbursement, models.PROTECT, null=True, related_name="cases")
    shortcode = models.ForeignKey(MpesaShortcode, models.PROTECT, null=True, related_name="cases")
    connection = models.ForeignKey(MifosConnection, models.PROTECT, null=True, related_name="cases")
    kind = models.CharField(max_length=40)
    words = models.TextField()
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=150, blank=True)
    closing_note = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        triggers = [triggers.never_deleted, never_truncated]
        constraints = [
            models.UniqueConstraint(
                name="one_open_case_of_a_kind",
                fields=["kind", "disbursement", "shortcode", "connection"],
                condition=Q(closed_at__isnull=True),
                nulls_distinct=False,
            ),
        ]
        indexes = [
            models.Index(name="open_cases", fields=["-id"], condition=Q(closed_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.words
