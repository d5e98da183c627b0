"""What is paid to a borrower, and each of its moves."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now, Upper
from django.dispatch import Signal
from django.utils import timezone

from disbursements import triggers
from disbursements.states import MONEY_MOVED, NEXT, AttemptStatus, Status, TransitionRefused
from partners.models import MifosConnection, Partner
from paymentvault.guards import append_only, never_truncated

if TYPE_CHECKING:
    from disbursements.models.requests import Attempt

log = structlog.get_logger(__name__)

# Sent with `disbursement` and `to`, inside the transaction of every move.
moved = Signal()

WAITING = [
    Status.APPROVED,
    Status.SENDING,
    Status.SENT,
    Status.IN_DOUBT,
    Status.FAILED,
    Status.PAID,
]
OVER_BEFORE_PAYMENT = [Status.CANCELLED, Status.REJECTED]


class Disbursement(models.Model):
    """One sum owed to one borrower, with its whole history. Amounts are KES."""

    class Origin(models.TextChoices):
        MIFOS_WEBHOOK = "mifos_webhook", "Mifos X webhook"
        MIFOS_POLL = "mifos_poll", "Found by polling Mifos X"
        MANUAL = "manual", "Entered by hand"
        API = "api", "API"

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="disbursements")
    connection = models.ForeignKey(
        MifosConnection, models.PROTECT, null=True, related_name="disbursements"
    )
    origin = models.CharField(max_length=15, choices=Origin.choices)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.RECEIVED)

    loan_id = models.BigIntegerField(null=True)
    loan_account = models.CharField(max_length=50, blank=True)
    approval_number = models.PositiveSmallIntegerField(
        default=1, help_text="Which approval of the loan this is; it grows when one is undone."
    )
    approved_on = models.DateField(null=True)
    is_approval_over = models.BooleanField(default=False)
    is_stopped_by_person = models.BooleanField(default=False)
    product_id = models.BigIntegerField(null=True)
    product_name = models.CharField(max_length=100, blank=True)
    client_id = models.BigIntegerField(null=True)
    client_name = models.CharField(max_length=200, blank=True)
    msisdn = models.CharField("MSISDN", max_length=12, blank=True)
    gross_amount = models.DecimalField(max_digits=14, decimal_places=2)
    fees = models.DecimalField(max_digits=14, decimal_places=2, default=Decimal(0))
    amount = models.DecimalField("sum to pay", max_digits=14, decimal_places=2)
    facts_read_at = models.DateTimeField()

    holds = models.JSONField(default=list, blank=True)
    purpose = models.CharField(
        max_length=300, blank=True, help_text="What one that was entered by hand is for."
    )
    hold_words = models.TextField(blank=True)
    released_holds = models.JSONField(default=list, blank=True)
    waits_for = models.CharField(max_length=300, blank=True)
    failure_words = models.CharField(max_length=300, blank=True)
    failure_code = models.CharField(max_length=20, blank=True)

    mpesa_receipt = models.CharField(max_length=20, blank=True)
    paid_at = models.DateTimeField(null=True)
    recorded_at = models.DateTimeField(null=True)
    recording_tries = models.PositiveSmallIntegerField(default=0)
    recording_key_number = models.PositiveSmallIntegerField(default=1)
    recording_error = models.CharField(max_length=300, blank=True)
    recording_error_code = models.CharField(max_length=120, blank=True)
    recording_is_parked = models.BooleanField(default=False)

    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="requested"
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="approved"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    approved_at = models.DateTimeField(
        null=True, help_text="When it was let go last: approved, released or retried."
    )
    status_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        permissions = [
            ("approve_disbursement", "Can approve, reject, release, cancel and retry"),
            ("settle_disbursement", "Can settle a disbursement in doubt"),
            ("export_disbursement", "Can export disbursements"),
        ]
        triggers = [
            triggers.disbursement_moves,
            triggers.every_move_has_history,
            triggers.facts_stay,
            triggers.receipt_stays,
            triggers.never_deleted,
            never_truncated,
        ]
        constraints = [
            models.CheckConstraint(name="known_status", condition=Q(status__in=Status.values)),
            models.CheckConstraint(
                name="amounts_add_up",
                condition=Q(gross_amount=F("amount") + F("fees"), fees__gte=0),
            ),
            models.CheckConstraint(
                name="only_a_positive_amount_is_payable",
                condition=Q(amount__gt=0)
                | Q(status__in=[Status.RECEIVED, Status.HELD, Status.CANCELLED, Status.REJECTED]),
            ),
            models.CheckConstraint(
                name="only_a_whole_msisdn_is_payable",
                condition=Q(msisdn__regex=r"^254[17][0-9]{8}$")
                | Q(status__in=[Status.RECEIVED, Status.HELD, Status.CANCELLED, Status.REJECTED]),
            ),
            models.CheckConstraint(
                name="paid_has_a_receipt",
                condition=Q(status__in=MONEY_MOVED, paid_at__isnull=False) & ~Q(mpesa_receipt="")
                | ~Q(status__in=MONEY_MOVED) & Q(mpesa_receipt="", paid_at__isnull=True),
            ),
            models.CheckConstraint(
                name="held_says_why", condition=~Q(status=Status.HELD) | ~Q(hold_words="")
            ),
            models.CheckConstraint(
                name="maker_is_not_checker",
                condition=Q(approved_by__isnull=True)
                | Q(requested_by__isnull=True)
                | ~Q(approved_by=F("requested_by")),
            ),
            models.UniqueConstraint(
                name="a_receipt_pays_one_disbursement",
                fields=["mpesa_receipt"],
                condition=~Q(mpesa_receipt=""),
            ),
            models.UniqueConstraint(
                name="one_disbursement_per_loan_approval",
                fields=["connection", "loan_id", "approval_number"],
            ),
            models.UniqueConstraint(
                name="one_live_or_paid_disbursement_per_loan",
                fields=["connection", "loan_id"],
                condition=~Q(status__in=OVER_BEFORE_PAYMENT),
            ),
        ]
        indexes = [
            models.Index(name="waiting_and_due", fields=["status", "due_at"],
                         condition=Q(status__in=WAITING)),
            models.Index(name="newest_of_a_partner", fields=["partner", "-id"]),
            models.Index(name="by_msisdn", fields=["msisdn", "-id"]),
            models.Index(name="by_loan", fields=["loan_id", "-id"]),
            models.Index(name="by_account", fields=["loan_account", "-id"],
                         condition=~Q(loan_account="")),
            models.Index(name="newest_in_a_state", fields=["status", "-id"]),
            models.Index(name="by_origin", fields=["origin", "-id"]),
            models.Index(name="largest_first", fields=["-amount", "-id"]),
            models.Index(name="entered_in_time", fields=["created_at"]),
            models.Index(name="paid_in_time", fields=["paid_at"],
                         condition=Q(paid_at__isnull=False)),
            # Those that Mifos X must still be told of, among the many that nobody waits for.
            models.Index(name="paid_not_recorded", fields=["status_at"],
                         condition=Q(status=Status.PAID, connection__isnull=False)),
            GinIndex(OpClass(Upper("client_name"), name="gin_trgm_ops"), name="by_name"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.reference

    @property
    def reference(self) -> str:
        return f"DSB-{self.pk}"

    @property
    def external_id(self) -> str:
        """Our mark on the transaction in Mifos X, which is unique there across all loans."""
        return f"pv-{self.loan_id}-{self.approval_number}-{self.pk}"

    @property
    def amount_kes(self) -> int:
        """What M-Pesa is asked to pay: whole shillings, rounded down."""
        return int(self.amount)

    def move(self, to: Status, *, by: str, note: str = "", **changes: Any) -> None:
        """Move to another status and write the history row, or raise TransitionRefused.

        The UPDATE names the status we believe the row has, so of two workers that
        try the same move exactly one succeeds.
        """
        was = Status(self.status)
        if to not in NEXT[was]:
            raise TransitionRefused(f"{self.reference}: {was.label} → {to.label}")

        now = timezone.now()
        # Whoever worked at it in the old state need not keep the next act waiting.
        changes = {"due_at": now, "leased_until": None, "waits_for": "", **changes}
        # One that never reached M-Pesa goes back to approved, by the approval that it has.
        if to == Status.APPROVED and was != Status.SENDING:
            changes["approved_at"] = now
        with transaction.atomic():
            updated = Disbursement.objects.filter(pk=self.pk, status=was).update(
                status=to, status_at=now, **changes
            )
            if not updated:
                raise TransitionRefused(f"{self.reference} left {was.label} before us")
            self.transitions.create(old=was, new=to, by=by, note=note)
            self.refresh_from_db()
            moved.send(Disbursement, disbursement=self, was=was, to=to, by=by, note=note)

        log.info("moved", disbursement_id=self.pk, was=was.value, to=to.value, by=by)

    def live_attempt(self) -> "Attempt | None":
        return self.attempts.exclude(status=AttemptStatus.FAILED).first()


class Transition(models.Model):
    """One line of history."""

    disbursement = models.ForeignKey(Disbursement, models.PROTECT, related_name="transitions")
    old = models.CharField(max_length=20)
    new = models.CharField(max_length=20)
    by = models.CharField(max_length=150)
    note = models.TextField(blank=True)
    # PostgreSQL's clock: a trigger compares it with the transaction's beginning.
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["pk"]
        triggers = [append_only, never_truncated]

    def __str__(self) -> str:
        return f"{self.old} → {self.new} by {self.by}"
