"""What partners' own programs ask for, and are told."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from disbursements import triggers
from disbursements.models.disbursement import Disbursement
from partners.models import Announcement, ApiKey, Partner, WebhookEndpoint
from paymentvault.guards import append_only, never_truncated


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
        triggers = [append_only, never_truncated]
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
        triggers = [triggers.what_is_told_stays, triggers.never_deleted, never_truncated]
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
