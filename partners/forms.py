"""How staff set partners up. Secrets are write-only: never shown, and kept when left empty."""

import base64
import binascii
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_domain_name
from django.db import models
from django.http.request import validate_host
from django.utils import timezone

from partners import addresses, pem
from partners.models import LoanProduct, MifosConnection, MpesaShortcode, Partner
from paymentvault import networks
from paymentvault.forms import ToldOfClashes

BY_OAUTH = {
    "oauth_client_id": "OAuth2 needs the client's id.",
    "oauth_client_secret": "OAuth2 needs the client's secret.",
}
BY_PASSWORD = {
    "username": "Give a user name, or OAuth2.",
    "password": "Give a password, or OAuth2.",
}


# Whoever sets these decides who reads what is sent.
WHERE = ("host_url", "oauth_token_url", "ca_bundle")
MOVED = "The address changed: type this again, for the new server."
OTHER_CA = "The CA bundle changed: type this again, which goes to whom it vouches for."


class PemField(forms.CharField):
    """Text whose line ends don't count: browsers send their own."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.to_python(initial or "") != self.to_python(data or "")


class Audited(forms.ModelForm):
    """Can tell what it changed."""

    @cached_property
    def changed_data(self) -> list[str]:
        """Of the model's fields: what else a form has is no setting."""
        return [name for name in super().changed_data if name in (self._meta.fields or ())]

    def changes(self) -> dict[str, Any]:
        """Each changed field with its old and new value; long and secret ones as "changed"."""
        return {name: self._change(name) for name in self.changed_data}

    def written(self) -> list[str]:
        """What to write of a row that exists; workers write its other columns meanwhile."""
        return [*self._meta.fields, "updated_at"]  # type: ignore[misc]

    def save(self, commit: bool = True) -> Any:
        row = super().save(commit and self.instance._state.adding)
        if commit and not self.instance._state.adding:
            row.save(update_fields=self.written())
        return row

    def _change(self, name: str) -> Any:
        if isinstance(self._meta.model._meta.get_field(name), models.TextField):
            return "changed"
        old, new = self.initial.get(name), self.cleaned_data.get(name)
        return {"from": _plain(old), "to": _plain(new)}


class WriteOnlySecrets(Audited):
    """An empty secret keeps the saved one; changing what `proof` covers makes it void."""

    secrets: tuple[str, ...] = ()
    covered_by_proof: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()
    """The columns that say that it works."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cleared: set[str] = set()
        self.kept: set[str] = set()
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
            if self.instance.pk and not cleaned.get(name) and name not in self.errors:
                cleaned[name] = (
                    type(self.instance)
                    .objects.values_list(name, flat=True)
                    .get(pk=self.instance.pk)
                )
                # By what was understood: spaces alone are typed, and nothing.
                if cleaned[name]:
                    self.kept.add(name)
        return cleaned

    def voids_proof(self) -> bool:
        """Whether something changed that the last proof was about."""
        return bool({*self.changed_data, *self.cleared} & {*self.covered_by_proof})

    def void_proof(self) -> None:
        raise NotImplementedError

    def written(self) -> list[str]:
        return [*super().written(), *(self.proof if self.voids_proof() else ())]

    def save(self, commit: bool = True) -> Any:
        if self.voids_proof():
            self.void_proof()
        return super().save(commit)

    def changes(self) -> dict[str, Any]:
        told = super().changes() | dict.fromkeys(sorted(self.cleared), "cleared")
        return told | (self.ended_by_it() if self.instance.pk and self.voids_proof() else {})

    def ended_by_it(self) -> dict[str, Any]:
        """What the audit says of a proof that is void."""
        raise NotImplementedError

    def _change(self, name: str) -> Any:
        return "changed" if name in self.secrets else super()._change(name)

    def _show_fingerprints(self, name: str) -> None:
        if saved := self.initial.get(name):
            field = self.fields[name]
            field.help_text = f"{field.help_text} Saved: SHA-256 {pem.fingerprints(saved)}".strip()


# Words that stand where a partner's code stands in an address.
NOT_CODES = ("new",)


class PartnerForm(Audited):
    """Automatic disbursement isn't here: switching it is an act of its own."""

    class Meta:
        model = Partner
        fields = ["name", "code", "contact", "min_amount", "max_amount", "is_active"]
        labels = {"is_active": "Active"}
        help_texts = {
            "name": "As your staff call it.",
            "code": "Short, for addresses and exports: a-z, 0-9 and -, such as pamoja.",
            "min_amount": "A smaller sum is held for a person. Empty: no limit of the partner's "
            "own.",
            "max_amount": "A larger sum is held for a person. Empty: no limit of the partner's "
            "own. 0: nothing is paid.",
            "is_active": "Off: nothing is polled, and each loan is held.",
        }

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if code in NOT_CODES:
            raise ValidationError("The portal uses this word itself. Choose another.")
        return code


class WhyForm(forms.Form):
    """The reason for what may wait for a second person."""

    reason = forms.CharField(
        label="Why", required=False, max_length=300,
        help_text="For the second person, where the change waits for one. Kept in the audit.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip

    @property
    def why(self) -> str:
        return str(self.cleaned_data.get("reason", ""))


class SaysWhy(WhyForm, forms.ModelForm):
    """A row's form that asks why, once its partner is in use."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        row = self.instance
        if not (row if isinstance(row, Partner) else row.partner).in_use_since:
            del self.fields["reason"]


class PartnerPageForm(ToldOfClashes, SaysWhy, PartnerForm):
    pass


class MifosConnectionForm(WriteOnlySecrets):
    secrets = ("password", "oauth_client_secret")
    covered_by_proof = (
        "host_url", "api_path", "tenant_id", "username", "password", "oauth_token_url",
        "oauth_client_id", "oauth_client_secret", "ca_bundle", "payment_type_id",
    )  # fmt: skip
    proof = ("configured_at", "is_on")
    was_on = False

    class Meta:
        model = MifosConnection
        fields = [
            "host_url", "api_path", "tenant_id", "username", "password", "oauth_token_url",
            "oauth_client_id", "oauth_client_secret", "ca_bundle", "payment_type_id", "time_zone",
            "hook_host",
        ]  # fmt: skip
        field_classes = {"ca_bundle": PemField}
        labels = {
            "host_url": "Address of the server",
            "api_path": "Path of the API",
            "tenant_id": "Tenant",
            "username": "User name",
            "payment_type_id": "Payment type for M-Pesa",
            "oauth_token_url": "Address that gives tokens",
            "oauth_client_id": "Client id",
            "oauth_client_secret": "Client secret",
            "ca_bundle": "CA bundle",
            "hook_host": "Host name for hooks",
        }
        help_texts = {
            "host_url": "Where a browser opens Mifos X, without a path. Such as "
            "https://mifos.example.co.ke or https://mifos.example.co.ke:8443.",
            "api_path": "Nearly always /fineract-provider/api/v1.",
            "tenant_id": "What its users' apps send as Fineract-Platform-TenantId. Nearly always "
            "default.",
            "username": "A user of its own for Payment Vault, whose password never expires, at the "
            "head office. Its role needs READ_LOAN, READ_CLIENT, DISBURSE_LOAN, CREATE_LOANNOTE, "
            "READ_LOANPRODUCT and READ_PAYMENTTYPE; READ_HOOK, CREATE_HOOK and UPDATE_HOOK to "
            "register the webhook from here.",
            "payment_type_id": "Under which disbursements are recorded there.",
            "oauth_token_url": "Only where Mifos X takes OAuth2 tokens instead of passwords.",
            "hook_host": "Only for Fineract 1.5 and 1.6, which drop a hook's path: a host name of "
            "this connection's own, that nobody can guess, which leads to this portal.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._show_fingerprints("ca_bundle")

    def clean_host_url(self) -> str:
        return addresses.server(web_address(self.cleaned_data["host_url"]))

    def clean_api_path(self) -> str:
        return addresses.path(self.cleaned_data["api_path"])

    def clean_oauth_token_url(self) -> str:
        return web_address(self.cleaned_data["oauth_token_url"])

    def clean_ca_bundle(self) -> str:
        bundle: str = self.cleaned_data["ca_bundle"]
        if bundle:
            pem.certificates(bundle)
        return bundle

    def clean_hook_host(self) -> str | None:
        host = (self.cleaned_data["hook_host"] or "").lower()
        if not host:
            return None
        validate_domain_name(host)
        if host == urlsplit(settings.PUBLIC_URL).hostname:
            raise ValidationError("This is the portal's own host name. The hook needs another.")
        if not validate_host(host, settings.ALLOWED_HOSTS):
            raise ValidationError("Let ALLOWED_HOSTS in this server's settings name it first.")
        return host

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if "oauth_token_url" in self.errors:
            return cleaned
        needed = BY_OAUTH if cleaned.get("oauth_token_url") else BY_PASSWORD
        for name, words in needed.items():
            if not cleaned.get(name) and name not in self.errors:
                self.add_error(name, words)
        self._keep_saved_secrets_at_home()
        return cleaned

    def _keep_saved_secrets_at_home(self) -> None:
        """A saved secret goes only where it was meant to go: whoever names another server, or
        whom to believe that it is the server, must know it, or a test would hand it over.

        A token that the client's secret buys goes to Mifos X, so its address counts there too.
        """
        moved = [name for name in WHERE if self._moves(name)]
        for name in sorted(self.kept) if moved else ():
            self.add_error(name, MOVED if moved != ["ca_bundle"] else OTHER_CA)

    def _moves(self, name: str) -> bool:
        """Whether what is sent now goes to another server; an address given up leads nowhere."""
        old, new = self.initial.get(name) or "", self.cleaned_data.get(name) or ""
        if name == "ca_bundle":
            return bool(new) and old != new
        return bool(new) and _server(old) != _server(new)

    def void_proof(self) -> None:
        # What was tested is not what is saved now.
        self.was_on = self.instance.is_on
        self.instance.configured_at = None
        self.instance.is_on = False

    def ended_by_it(self) -> dict[str, Any]:
        off = {"is_on": {"from": True, "to": False}}
        return {"test": "to be done again"} | (off if self.was_on or self.instance.is_on else {})


class ConnectionPageForm(ToldOfClashes, SaysWhy, MifosConnectionForm):
    """Knows the payment types that Mifos X listed, and when each secret was saved."""

    def __init__(
        self, *args: Any, saved_at: dict[str, Any] | None = None, types: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        for name in self.secrets:
            if when := (saved_at or {}).get(name):
                self.fields[name].help_text = (
                    f"Saved {timezone.localtime(when):%-d %B %Y}; never shown. Empty: it is kept. "
                    "To replace it, type the new one."
                )
        self.offer(self.instance.payment_types if types is None else types)

    def offer(self, types: list[dict[str, Any]]) -> None:
        """Let one of the payment types be chosen, where they are known."""
        field = self.fields["payment_type_id"]
        if types:
            chosen = self["payment_type_id"].value()
            field.widget = PaymentTypeSelect(choices=choices_of(types, chosen=chosen))
        else:
            field.help_text = (
                f"{field.help_text} Press Test connection: Mifos X lists them to choose from."
            )


class PaymentTypeSelect(forms.Select):
    """Marks those for cash, which no payout can be recorded under."""

    def create_option(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(*args, **kwargs)
        if str(option["label"]).endswith(FOR_CASH) and not option["selected"]:
            option["attrs"]["disabled"] = True
        return option


FOR_CASH = "for cash, not usable"


def choices_of(types: list[dict[str, Any]], *, chosen: Any = None) -> list[tuple[Any, str]]:
    """Payment types to choose from; the one that is chosen stays, even if it isn't listed."""
    named = {
        str(kind["id"]): f"{kind['name']} ({kind['id']})"
        + (f": {FOR_CASH}" if kind["is_cash"] else "")
        for kind in sorted(types, key=lambda kind: (kind["is_cash"], kind["name"].lower()))
    }
    if chosen not in (None, "") and str(chosen) not in named:
        named[str(chosen)] = f"{chosen}: not listed by Mifos X"
    return [("", "Choose one"), *named.items()]


class LoanProductForm(Audited):
    class Meta:
        model = LoanProduct
        fields = ["is_automatic", "min_amount", "max_amount"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, words in (
            ("is_automatic", "Pay {} automatically"),
            ("min_amount", "From, KES, for {}"),
            ("max_amount", "Up to, KES, for {}"),
        ):
            self.fields[name].label = words.format(self.instance)

    def written(self) -> list[str]:
        return list(self._meta.fields or ())


class MpesaShortcodeForm(WriteOnlySecrets):
    secrets = ("consumer_key", "consumer_secret", "initiator_password", "security_credential")
    covered_by_proof = (
        *secrets, "initiator_name", "certificate", "environment", "shortcode", "base_url_override",
    )  # fmt: skip
    proof = ("credential_proved_at", "credential_set_at", "password_set_at")
    holds_password = {"initiator_password", "security_credential"}

    class Meta:
        model = MpesaShortcode
        fields = [
            "shortcode", "environment", "base_url_override", "consumer_key", "consumer_secret",
            "initiator_name", "initiator_password", "security_credential", "certificate",
            "is_active", "is_default",
        ]  # fmt: skip
        field_classes = {"certificate": PemField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not settings.OUTBOUND_ALLOW_HTTP:
            self.fields.pop("base_url_override", None)
        self._show_fingerprints("certificate")

    def clean_base_url_override(self) -> str:
        return web_address(self.cleaned_data["base_url_override"])

    def clean_certificate(self) -> str:
        certificate: str = self.cleaned_data["certificate"]
        if certificate:
            pem.rsa_certificate(certificate)
        return certificate

    def clean_security_credential(self) -> str:
        """Portals and mails break its lines."""
        credential = "".join(self.cleaned_data["security_credential"].split())
        try:
            base64.b64decode(credential, validate=True)
        except binascii.Error as error:
            raise ValidationError(
                "This is not base64. Give the credential as the Daraja portal shows it, whole."
            ) from error
        return credential

    def clean(self) -> dict[str, Any]:
        is_ready_made, has_password = (
            bool(self.cleaned_data.get(name)) for name in ("security_credential",
                                                           "initiator_password")
        )  # fmt: skip
        cleaned = super().clean()
        if is_ready_made and has_password:
            self.add_error("security_credential", "Give this or the password, not both.")
        elif is_ready_made != has_password:
            # The one given now is the one to use, so the one saved before goes.
            self._clear(cleaned, "initiator_password" if is_ready_made else "security_credential")
        self._needs_a_credential(cleaned)
        if cleaned.get("base_url_override") and cleaned.get("environment") == "production":
            self.add_error("base_url_override", "Production has Safaricom's own address.")
        self._keep_saved_secrets_where_they_belong()
        return cleaned

    def _keep_saved_secrets_where_they_belong(self) -> None:
        """One environment's secrets are wrong in the other, and a wrong try counts; and whoever
        names another server must know what is sent to it. A password that is encrypted for
        somebody else's certificate is theirs to read."""
        changed, kept = {*self.changed_data}, self.kept - self.cleared
        if changed & {"environment", "base_url_override"}:
            for name in sorted(kept):
                self.add_error(name, "This belongs to where it was saved for: give the new one.")
        elif "certificate" in changed and "initiator_password" in kept:
            self.add_error(
                "initiator_password", "The certificate changed: type the password again, which is "
                "encrypted for it.",
            )  # fmt: skip

    def _clear(self, cleaned: dict[str, Any], name: str) -> None:
        if cleaned.get(name):
            cleaned[name] = ""
            self.cleared.add(name)

    def _needs_a_credential(self, cleaned: dict[str, Any]) -> None:
        if cleaned.get("security_credential") or "security_credential" in self.errors:
            return
        if not cleaned.get("initiator_password"):
            self.add_error("initiator_password", "Give it, or a ready-made security credential.")
        elif not cleaned.get("certificate") and "certificate" not in self.errors:
            self.add_error("certificate", "The password is encrypted for it: give it too.")

    def ended_by_it(self) -> dict[str, Any]:
        return {"credential": "to be proved by M-Pesa anew"}

    def void_proof(self) -> None:
        self.instance.credential_proved_at = None
        self.instance.credential_set_at = timezone.now()
        # Its 90 days go on when something else of the credential changes.
        if self.holds_password & {*self.changed_data, *self.cleared}:
            self.instance.password_set_at = timezone.now()


def web_address(url: str) -> str:
    """An address that we may send credentials to, or a ValidationError."""
    if not url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValidationError("This is not a whole web address.") from error
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.OUTBOUND_ALLOW_HTTP):
        raise ValidationError("It must begin with https://.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValidationError("Give only the address: no user name, ? or # in it.")
    networks.check_typed(url)
    return url


def _server(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int) else str(value)
