"""A partner's webhook endpoints: made, switched, and their secrets rotated. All is audited."""

from typing import Any

from django import forms
from django.db import IntegrityError, transaction
from django.utils import timezone

from partners.forms import Audited, web_address
from partners.models import Announcement, Partner, WebhookEndpoint, new_signing_secret
from paymentvault import audit
from paymentvault.models import User

# Each is told of everything, and one that hangs takes a worker's time.
MOST_OF_A_PARTNER = 5


class EndpointRefused(Exception):
    """Why it isn't done, in words for whoever asked."""


class EndpointForm(Audited):
    events = forms.MultipleChoiceField(
        label="Tell it when a disbursement is",
        choices=Announcement.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one."},
    )

    class Meta:
        model = WebhookEndpoint
        fields = ["url", "events"]
        help_texts = {
            "url": "Of the partner's own system, such as https://core.lender.co.ke/webhooks. "
            "It answers 2xx within 15 seconds, and works afterwards.",
        }

    def clean_url(self) -> str:
        url = web_address(self.cleaned_data["url"])
        others = self.instance.partner.webhook_endpoints.exclude(pk=self.instance.pk)
        if others.filter(url=url).exists():
            raise forms.ValidationError("This partner has this address already.")
        return url

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        there = self.instance.partner.webhook_endpoints.count()
        if self.instance._state.adding and there >= MOST_OF_A_PARTNER:
            self.add_error(None, f"A partner has at most {MOST_OF_A_PARTNER}. Change one of them.")
        return cleaned


@transaction.atomic
def save(form: EndpointForm, *, by: User) -> WebhookEndpoint:
    """Save a valid form. Raises EndpointRefused where another one was a moment faster."""
    endpoint: WebhookEndpoint = form.instance
    is_new = endpoint._state.adding
    if is_new:
        endpoint.made_by = by
    try:
        with transaction.atomic():
            form.save()
    except IntegrityError as error:
        raise EndpointRefused("This partner has this address already.") from error
    _audit("added" if is_new else "changed", endpoint, by, **form.changes())
    return endpoint


@transaction.atomic
def reveal(endpoint: WebhookEndpoint, *, by: User) -> str:
    """The secret, to the first who asks; whoever needs it again rotates it."""
    fresh = WebhookEndpoint.objects.filter(pk=endpoint.pk, secret_shown_at=None)
    if not fresh.update(secret_shown_at=timezone.now()):
        raise EndpointRefused("It was shown already, and is never shown twice. Rotate it.")
    _audit("secret shown", endpoint, by)
    return str(WebhookEndpoint.objects.values_list("secret", flat=True).get(pk=endpoint.pk))


@transaction.atomic
def rotate(endpoint: WebhookEndpoint, *, by: User, keep_old: bool, reason: str = "") -> None:
    """A new secret, to be shown once; for a while the old one signs too, unless it is lost."""
    locked = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    until = timezone.now() + WebhookEndpoint.ROTATION if keep_old else None
    locked.previous_secret = locked.secret if keep_old else ""
    locked.previous_secret_until = until
    locked.secret, locked.secret_shown_at = new_signing_secret(), None
    locked.save(
        update_fields=["secret", "secret_shown_at", "previous_secret", "previous_secret_until",
                       "updated_at"]
    )  # fmt: skip
    _audit("secret rotated", endpoint, by, old_one_signs_until=str(until or ""), reason=reason)


@transaction.atomic
def switch(endpoint: WebhookEndpoint, *, on: bool, by: User, reason: str = "") -> None:
    """What waits goes on waiting while it is off, and is sent when it is on again."""
    others = WebhookEndpoint.objects.filter(pk=endpoint.pk).exclude(is_on=on)
    words = "" if on else f"{by} switched it off: {reason}"[:300]
    if not others.update(is_on=on, off_words=words, failing_since=None):
        raise EndpointRefused("It is so already.")
    _audit("switched on" if on else "switched off", endpoint, by, reason=reason)


def of(partner: Partner) -> list[WebhookEndpoint]:
    return list(partner.webhook_endpoints.all())


def _audit(what: str, endpoint: WebhookEndpoint, by: User, **detail: Any) -> None:
    audit.record(f"webhook endpoint {what}", by=by.get_username(), subject=endpoint,
                 partner_code=endpoint.partner.code, **detail)  # fmt: skip
