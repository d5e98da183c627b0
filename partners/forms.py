"""How staff set partners up. Secrets are write-only: never shown, and kept when left empty."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from partners.models import MifosConnection, MpesaShortcode, Partner


class WriteOnlySecrets(forms.ModelForm):
    """An empty secret keeps the saved one; changing what `proof` covers makes it void."""

    secrets: tuple[str, ...] = ()
    covered_by_proof: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.secrets:
            is_saved = bool(self.instance.pk and getattr(self.instance, name))
            field = self.fields[name]
            field.widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
            field.required = field.required and not is_saved
            self.initial.pop(name, None)
            if is_saved:
                field.help_text = f"{field.help_text} Saved; leave it empty to keep it.".strip()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        for name in self.secrets:
            if not cleaned.get(name) and self.instance.pk:
                cleaned[name] = (
                    type(self.instance)
                    .objects.values_list(name, flat=True)
                    .get(pk=self.instance.pk)
                )
        return cleaned

    def voids_proof(self) -> bool:
        """Whether something changed that the last proof was about."""
        changed = {name for name in self.changed_data if self.data.get(self.add_prefix(name))}
        changed |= set(self.changed_data) - set(self.secrets)
        return bool(changed & set(self.covered_by_proof))


class PartnerForm(forms.ModelForm):
    class Meta:
        model = Partner
        fields = ["name", "code", "is_active", "contact", "is_automatic", "min_amount",
                  "max_amount"]  # fmt: skip


class MifosConnectionForm(WriteOnlySecrets):
    secrets = ("password", "oauth_client_secret")
    covered_by_proof = (
        "host_url", "api_path", "tenant_id", "username", "password", "oauth_token_url",
        "oauth_client_id", "oauth_client_secret", "ca_bundle", "payment_type_id",
    )  # fmt: skip

    class Meta:
        model = MifosConnection
        fields = [
            "host_url", "api_path", "tenant_id", "username", "password", "oauth_token_url",
            "oauth_client_id", "oauth_client_secret", "ca_bundle", "payment_type_id", "time_zone",
            "hook_host",
        ]  # fmt: skip

    def clean_hook_host(self) -> str | None:
        host = self.cleaned_data["hook_host"]
        return host.lower() if host else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        by_oauth = cleaned.get("oauth_token_url")
        if by_oauth and not (cleaned.get("oauth_client_id") and cleaned.get("oauth_client_secret")):
            self.add_error("oauth_client_id", "OAuth2 needs the client's id and secret.")
        if not by_oauth and not (cleaned.get("username") and cleaned.get("password")):
            self.add_error("username", "Give a user name and a password, or OAuth2.")
        return cleaned

    def save(self, commit: bool = True) -> MifosConnection:
        if self.voids_proof():
            # What was tested is not what is saved now.
            self.instance.configured_at = None
            self.instance.is_on = False
        connection: MifosConnection = super().save(commit)
        return connection


class MpesaShortcodeForm(WriteOnlySecrets):
    secrets = ("consumer_key", "consumer_secret", "initiator_password", "security_credential")
    covered_by_proof = (*secrets, "initiator_name", "certificate", "environment", "shortcode")

    class Meta:
        model = MpesaShortcode
        fields = [
            "shortcode", "environment", "base_url_override", "consumer_key", "consumer_secret",
            "initiator_name", "initiator_password", "security_credential", "certificate",
            "is_active", "is_default",
        ]  # fmt: skip

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        has_password = cleaned.get("initiator_password") and cleaned.get("certificate")
        if not has_password and not cleaned.get("security_credential"):
            raise ValidationError(
                "Give the initiator's password with Safaricom's certificate, or a ready-made "
                "security credential."
            )
        return cleaned

    def save(self, commit: bool = True) -> MpesaShortcode:
        if self.voids_proof():
            self.instance.credential_proved_at = None
            self.instance.credential_set_at = timezone.now()
        shortcode: MpesaShortcode = super().save(commit)
        return shortcode
