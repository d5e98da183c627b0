"""The money: one sum owed to one borrower, every try to pay it, and everything M-Pesa said."""

from disbursements.models.decisions import Case, Settlement
from disbursements.models.disbursement import (
    OVER_BEFORE_PAYMENT,
    WAITING,
    Disbursement,
    Transition,
    moved,
)
from disbursements.models.programs import ApiRequest, Delivery, new_webhook_id
from disbursements.models.requests import (
    Attempt,
    Callback,
    FloatReading,
    Inquiry,
    MpesaRequest,
    hashed,
    new_callback_token,
    new_conversation_id,
)

__all__ = [
    "ApiRequest",
    "Attempt",
    "Callback",
    "Case",
    "Delivery",
    "Disbursement",
    "FloatReading",
    "Inquiry",
    "MpesaRequest",
    "OVER_BEFORE_PAYMENT",
    "Settlement",
    "Transition",
    "WAITING",
    "hashed",
    "moved",
    "new_callback_token",
    "new_conversation_id",
    "new_webhook_id",
]
