"""Signatures after Standard Webhooks (standardwebhooks.com, v1): who sent it, when, and what."""

import base64
import hmac
from collections.abc import Iterable


def headers(
    webhook_id: str, *, timestamp: int, body: bytes, secrets: Iterable[str]
) -> dict[str, str]:
    """What goes with a body; signed with every secret, so that either verifies it."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
