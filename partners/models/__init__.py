"""The institutions we pay for, and how to reach their Mifos X and their M-Pesa."""

from partners.models.changes import SettingsChange
from partners.models.mifos import LoanProduct, MifosConnection
from partners.models.mpesa import AccessToken, MpesaShortcode
from partners.models.partner import Partner, known_zone
from partners.models.people import PLATFORM_ROLES, Membership, Role
from partners.models.programs import (
    Announcement,
    ApiKey,
    Scope,
    WebhookEndpoint,
    every_announcement,
    new_signing_secret,
)

__all__ = [
    "AccessToken",
    "Announcement",
    "ApiKey",
    "LoanProduct",
    "Membership",
    "MifosConnection",
    "MpesaShortcode",
    "PLATFORM_ROLES",
    "Partner",
    "Role",
    "Scope",
    "SettingsChange",
    "WebhookEndpoint",
    "every_announcement",
    "known_zone",
    "new_signing_secret",
]
