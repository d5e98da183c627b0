"""What M-Pesa is asked, and what it calls back."""

import hashlib
import secrets
import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from fernet_fields import EncryptedCharField

from disbursements import triggers
from disbursements.models.disbursement import Disbursement
from disbursements.states import AttemptStatus
from partners.models import MpesaShortcode
from paymentvault.guards import append_only, never_truncated


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
            never_truncated,
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
        triggers = [triggers.never_deleted, never_truncated]

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
        triggers = [append_only, never_truncated]
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
        triggers = [triggers.what_arrived_stays, triggers.never_deleted, never_truncated]
        indexes = [
            models.Index(name="callbacks_waiting", fields=["due_at"], condition=Q(state="waiting")),
            models.Index(name="callbacks_in_a_state", fields=["state", "-id"]),
        ]

    def __str__(self) -> str:
        return f"callback {self.pk}"
