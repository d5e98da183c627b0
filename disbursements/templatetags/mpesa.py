"""What pages of any app show of a shortcode."""

from django import template

from disbursements import initiator_password
from partners.models import MpesaShortcode

register = template.Library()

TONES = {"ok": "ok", "warning": "warn", "failed": "bad", "skipped": "wait"}
LABELS = {"ok": "Passed", "warning": "Look", "failed": "Failed", "skipped": "Skipped"}


@register.filter
def password_age(shortcode: MpesaShortcode) -> initiator_password.Age:
    return initiator_password.age_of(shortcode)


@register.filter
def test_verdict(shortcode: MpesaShortcode) -> str:
    """The worst of the last test's steps: failed, warning or ok; "" if it was never tested."""
    told = {step["result"] for step in shortcode.last_test}
    return next((result for result in ("failed", "warning", "ok") if result in told), "")


@register.filter
def is_changed_since_test(shortcode: MpesaShortcode) -> bool:
    tested_at = shortcode.last_tested_at
    return bool(tested_at and shortcode.credential_set_at > tested_at)


@register.filter
def result_tone(result: str) -> str:
    return TONES.get(result, "wait")


@register.filter
def result_label(result: str) -> str:
    return LABELS.get(result, result)
