"""The age of an initiator's password, which Safaricom ends after 90 days."""

from dataclasses import dataclass
from datetime import date

from django.utils import timezone

from partners.models import MpesaShortcode

WARN_DAYS_BEFORE = 14
WHAT_TO_DO = (
    "Safaricom ends an initiator's password after 90 days and then refuses every payout. Change "
    "it there, then replace it here."
)


@dataclass(frozen=True)
class Age:
    """How long the password lasts yet, in words and as a tone."""

    words: str
    tone: str
    ends_on: date

    @property
    def advice(self) -> str:
        return "" if self.tone == "ok" else WHAT_TO_DO


def age_of(shortcode: MpesaShortcode, *, today: date | None = None) -> Age:
    """A ready-made security credential holds the same password, and ends with it."""
    ends_on = shortcode.password_ends_on
    left = (ends_on - (today or timezone.localdate())).days
    if left < 0:
        return Age(f"ended {_days(-left)} ago", "bad", ends_on)
    if left == 0:
        return Age("ends today", "bad", ends_on)
    return Age(f"{_days(left)} left", "warn" if left <= WARN_DAYS_BEFORE else "ok", ends_on)


def _days(number: int) -> str:
    return f"{number} day{'' if number == 1 else 's'}"
