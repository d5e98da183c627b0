"""The secret in a webhook's address: made, looked up by its hash, rotated with both valid."""

import hashlib
import secrets

from django.utils import timezone

from partners.models import MifosConnection

# Fineract keeps at most this much of a hook's address.
LONGEST_URL = 100


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", errors="replace")).hexdigest()


def generate(connection: MifosConnection) -> str:
    """Give the connection a new token and return its webhook URL.

    The token before it stays valid for MifosConnection.ROTATION. Raises ValueError if the
    address would be longer than Fineract can keep.
    """
    if connection.webhook_token_hash:
        connection.previous_token_hash = connection.webhook_token_hash
        connection.previous_token_until = timezone.now() + connection.ROTATION
    connection.webhook_token = secrets.token_urlsafe(18)
    connection.webhook_token_hash = hashed(connection.webhook_token)
    if len(connection.webhook_url) > LONGEST_URL:
        raise ValueError(f"{len(connection.webhook_url)} characters are too many for Mifos X.")
    # Only these: the poller and the sweepers write the others meanwhile.
    connection.save(
        update_fields=[
            "webhook_token", "webhook_token_hash", "previous_token_hash", "previous_token_until",
        ]
    )  # fmt: skip
    return connection.webhook_url


def end_previous(connection: MifosConnection) -> bool:
    """End the address before the last rotation now; False if it has ended already."""
    was_valid = connection.accepts_previous_token()
    connection.previous_token_hash = connection.previous_token_until = None
    connection.save(update_fields=["previous_token_hash", "previous_token_until"])
    return was_valid
