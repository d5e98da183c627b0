"""The money: one sum owed to one borrower, every try to pay it, and everything M-Pesa said."""

import hashlib
import secrets
import uuid
from decimal import Decimal
from typing import Any

import structlog
from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now, Upper
from django.dispatch import Signal
from django.utils import timezone
from fernet_fields import EncryptedCharField

from disbursements import triggers
from disbursements.states import (
    MONEY_MOVED,
    NEXT,
    AttemptStatus,
    Status,
    TransitionRefused,
)
from partners.models import (
    Announcement,
    ApiKey,
    MifosConnection,
    MpesaShortcode,
    Partner,
    WebhookEndpoint,
)

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
            moved.send(Disbursement, disbursement=self, to=to)

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
        triggers = [triggers.append_only]

    def __str__(self) -> str:
        return f"{self.old} → {self.new} by {self.by}"


def new_conversation_id() -> str:
    """36 characters that Daraja accepts, and never the same twice."""
    return str(uuid.uuid4())


def new_callback_token() -> str:
    """Lower-case hex: Daraja has refused addresses with capitals in them."""
    return secrets.token_hex(16)


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class MpesaRequest(models.Model):
    """What every request to M-Pesa has: its id, its callback address, and what M-Pesa answered."""

    originator_conversation_id = models.CharField(
        max_length=36, unique=True, default=new_conversation_id
    )
    conversation_id = models.CharField(max_length=60, blank=True)
    callback_token = EncryptedCharField(max_length=32, default=new_callback_token)
    callback_token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    answer_words = models.CharField(max_length=300, blank=True)
    answer_code = models.CharField(max_length=30, blank=True)
    result_code = models.CharField(max_length=20, blank=True)
    result_words = models.CharField(max_length=300, blank=True)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.callback_token_hash = hashed(self.callback_token)
        super().save(*args, **kwargs)

    def callback_url(self, kind: str) -> str:
        return f"{settings.PUBLIC_URL}/cb/{self.callback_token}/{kind}"


class Attempt(MpesaRequest):
    """One try to pay a disbursement, under one originator conversation ID."""

    disbursement = models.ForeignKey(Disbursement, models.PROTECT, related_name="attempts")
    shortcode = models.ForeignKey(MpesaShortcode, models.PROTECT, related_name="attempts")
    status = models.CharField(
        max_length=10, choices=AttemptStatus.choices, default=AttemptStatus.SENDING
    )
    amount_kes = models.PositiveIntegerField()
    msisdn = models.CharField(max_length=12)
    sends = models.PositiveSmallIntegerField(default=1)
    rests_until = models.DateTimeField(null=True)
    inquiries_made = models.PositiveSmallIntegerField(default=0)
    receipt = models.CharField(max_length=20, blank=True)

    class Meta:
        ordering = ["pk"]
        triggers = [
            triggers.attempt_moves,
            triggers.pays_its_disbursement,
            triggers.ids_stay,
            triggers.never_deleted,
        ]
        constraints = [
            models.UniqueConstraint(
                name="one_live_or_paid_attempt",
                fields=["disbursement"],
                condition=~Q(status=AttemptStatus.FAILED),
            ),
            models.CheckConstraint(
                name="known_attempt_status", condition=Q(status__in=AttemptStatus.values)
            ),
            models.CheckConstraint(name="attempt_pays_something", condition=Q(amount_kes__gt=0)),
        ]
        indexes = [
            models.Index(name="by_conversation_id", fields=["conversation_id"],
                         condition=~Q(conversation_id="")),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.disbursement_id}/{self.pk}"


class Inquiry(MpesaRequest):
    """A question to M-Pesa: the status of an attempt, or the balance of a shortcode."""

    class Kind(models.TextChoices):
        STATUS = "status", "Transaction status"
        BALANCE = "balance", "Account balance"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    shortcode = models.ForeignKey(MpesaShortcode, models.PROTECT, related_name="inquiries")
    attempt = models.ForeignKey(Attempt, models.PROTECT, null=True, related_name="inquiries")
    outcome = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "inquiries"
        triggers = [triggers.never_deleted]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class FloatReading(models.Model):
    """What a shortcode's utility account held at a time, as M-Pesa told it."""

    shortcode = models.ForeignKey(
        MpesaShortcode, models.PROTECT, related_name="float_readings", db_index=False
    )
    at = models.DateTimeField(default=timezone.now)
    amount = models.DecimalField(max_digits=14, decimal_places=2)

    class Meta:
        ordering = ["pk"]
        triggers = [triggers.append_only]
        indexes = [models.Index(name="latest_of_a_shortcode", fields=["shortcode", "-at"])]

    def __str__(self) -> str:
        return f"KES {self.amount:,.2f} at {self.at:%H:%M:%S}"


class Callback(models.Model):
    """One delivery of M-Pesa's, as it arrived, with secrets masked."""

    class Kind(models.TextChoices):
        RESULT = "r", "Result"
        TIMEOUT = "t", "Queue time-out"
        STATUS = "s", "Status result"
        BALANCE = "b", "Balance result"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DONE = "done", "Processed"
        UNMATCHED = "unmatched", "Unmatched"
        UNREADABLE = "unreadable", "Unreadable"

    kind = models.CharField(max_length=1, choices=Kind.choices)
    attempt = models.ForeignKey(Attempt, models.PROTECT, null=True, related_name="callbacks")
    inquiry = models.ForeignKey(Inquiry, models.PROTECT, null=True, related_name="callbacks")
    received_at = models.DateTimeField(auto_now_add=True)
    source_address = models.GenericIPAddressField(null=True)
    body = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    outcome = models.CharField(max_length=500, blank=True)
    processed_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        triggers = [triggers.what_arrived_stays, triggers.never_deleted]
        indexes = [
            models.Index(name="callbacks_waiting", fields=["due_at"], condition=Q(state="waiting")),
            models.Index(name="callbacks_in_a_state", fields=["state", "-id"]),
        ]

    def __str__(self) -> str:
        return f"callback {self.pk}"


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
        triggers = [triggers.never_deleted]
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
        triggers = [triggers.never_deleted]
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


class ApiRequest(models.Model):
    """A disbursement that was asked for through the API, and the first answer to it.

    The idempotency key never expires: as long as this row stands, which is for good, the same
    request gets the same answer, and nothing is made twice.
    """

    partner = models.ForeignKey(Partner, models.PROTECT, related_name="api_requests")
    idempotency_key = models.CharField(max_length=255)
    body_sha256 = models.CharField(max_length=64)
    own_reference = models.CharField(max_length=60, blank=True)
    api_key = models.ForeignKey(ApiKey, models.PROTECT, null=True, related_name="requests")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="api_requests"
    )
    disbursement = models.OneToOneField(Disbursement, models.PROTECT, related_name="api_request")
    answer = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        triggers = [triggers.append_only]
        constraints = [
            models.UniqueConstraint(
                name="an_idempotency_key_asks_once", fields=["partner", "idempotency_key"]
            ),
            models.CheckConstraint(
                name="asked_for_by_a_key_or_a_person",
                condition=Q(api_key__isnull=False, user__isnull=True)
                | Q(api_key__isnull=True, user__isnull=False),
            ),
        ]
        indexes = [
            models.Index(name="by_own_reference", fields=["partner", "own_reference"],
                         condition=~Q(own_reference="")),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.idempotency_key} → {self.disbursement_id}"


def new_webhook_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


class Delivery(models.Model):
    """One thing that a partner's own system is told, until it takes it or we give up."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        GIVEN_UP = "given_up", "Given up"

    TEST = "webhook.test"

    webhook_id = models.CharField(max_length=40, unique=True, default=new_webhook_id)
    # Of the endpoint; a list of one partner's needs it in the index.
    partner = models.ForeignKey(Partner, models.PROTECT, related_name="deliveries")
    endpoint = models.ForeignKey(WebhookEndpoint, models.PROTECT, related_name="deliveries")
    type = models.CharField(max_length=30)
    disbursement = models.ForeignKey(
        Disbursement, models.PROTECT, null=True, related_name="deliveries"
    )
    # As it is signed, byte for byte.
    payload = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    tries = models.PositiveSmallIntegerField(default=0)
    last_status = models.PositiveSmallIntegerField(null=True)
    last_words = models.CharField(max_length=300, blank=True)
    last_tried_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(default=timezone.now)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "deliveries"
        triggers = [triggers.what_is_told_stays, triggers.never_deleted]
        constraints = [
            models.CheckConstraint(
                name="delivered_has_a_time",
                condition=Q(state="delivered", delivered_at__isnull=False)
                | ~Q(state="delivered") & Q(delivered_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(name="deliveries_due", fields=["endpoint", "due_at"],
                         condition=Q(state="waiting")),
            models.Index(name="deliveries_of_a_partner", fields=["partner", "-id"]),
            models.Index(name="deliveries_in_a_state", fields=["partner", "state", "-id"]),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.type} {self.webhook_id}"

    @property
    def type_words(self) -> str:
        return "Test" if self.type == self.TEST else Announcement(self.type).label
