"""The states of a disbursement, the moves between them, and how each is shown.

Code, tests, the database's trigger and the help page all read NEXT.
"""

from django.db import models


class Status(models.TextChoices):
    RECEIVED = "received", "Received"
    HELD = "held", "Held"
    AWAITING_APPROVAL = "awaiting_approval", "Awaiting approval"
    APPROVED = "approved", "Approved"
    SENDING = "sending", "Sending"
    SENT = "sent", "Sent"
    IN_DOUBT = "in_doubt", "In doubt"
    PAID = "paid", "Paid"
    RECORDED = "recorded", "Recorded"
    FAILED = "failed", "Failed"
    REJECTED = "rejected", "Rejected"
    CANCELLED = "cancelled", "Cancelled"


S = Status

NEXT: dict[Status, set[Status]] = {
    S.RECEIVED: {S.HELD, S.AWAITING_APPROVAL, S.APPROVED},
    # A hold is released by a person; who may approve large sums decides where it goes.
    S.HELD: {S.APPROVED, S.AWAITING_APPROVAL, S.CANCELLED},
    S.AWAITING_APPROVAL: {S.APPROVED, S.HELD, S.REJECTED, S.CANCELLED},
    # Held again when the re-read before sending finds something changed.
    S.APPROVED: {S.SENDING, S.HELD, S.CANCELLED},
    # Back to approved only if the request provably never reached M-Pesa. Paid and failed
    # directly: a callback may beat the HTTP answer.
    S.SENDING: {S.SENT, S.PAID, S.FAILED, S.IN_DOUBT, S.APPROVED},
    S.SENT: {S.PAID, S.FAILED, S.IN_DOUBT},
    # Only M-Pesa's own evidence, or two people, lead out of doubt.
    S.IN_DOUBT: {S.PAID, S.FAILED},
    # A new attempt: by a person, or for an allow-listed transient code.
    S.FAILED: {S.APPROVED, S.CANCELLED},
    S.PAID: {S.RECORDED},
    S.RECORDED: set(),
    S.REJECTED: set(),
    S.CANCELLED: set(),
}

FINAL = {status for status, following in NEXT.items() if not following}

# No request has left for M-Pesa, or it provably failed: whoever stops it here stops the money.
UNPAID = {S.RECEIVED, S.HELD, S.AWAITING_APPROVAL, S.APPROVED, S.FAILED}
# A request may be with M-Pesa.
MOVING = {S.SENDING, S.SENT, S.IN_DOUBT}
MONEY_MOVED = {S.PAID, S.RECORDED}

TONE = {
    S.RECEIVED: "wait",
    S.HELD: "warn",
    S.AWAITING_APPROVAL: "wait",
    S.APPROVED: "busy",
    S.SENDING: "busy",
    S.SENT: "busy",
    S.IN_DOUBT: "warn",
    S.PAID: "ok",
    S.RECORDED: "ok",
    S.FAILED: "bad",
    S.REJECTED: "bad",
    S.CANCELLED: "wait",
}


class AttemptStatus(models.TextChoices):
    SENDING = "sending", "Sending"
    NOT_SENT = "not_sent", "Not sent"
    SENT = "sent", "Accepted by M-Pesa"
    UNKNOWN = "unknown", "Unknown"
    PAID = "paid", "Paid"
    FAILED = "failed", "Failed"


A = AttemptStatus

ATTEMPT_NEXT: dict[AttemptStatus, set[AttemptStatus]] = {
    A.SENDING: {A.NOT_SENT, A.SENT, A.UNKNOWN, A.PAID, A.FAILED},
    # The same id goes again; or M-Pesa says after all that it has it.
    A.NOT_SENT: {A.SENDING, A.UNKNOWN, A.PAID, A.FAILED},
    A.SENT: {A.UNKNOWN, A.PAID, A.FAILED},
    A.UNKNOWN: {A.PAID, A.FAILED},
    # Whatever comes later opens a case.
    A.PAID: set(),
    A.FAILED: set(),
}


class TransitionRefused(Exception):
    """The move isn't in the table, or somebody else moved the row first."""
