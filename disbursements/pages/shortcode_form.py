"""The form of a partner's shortcode, with help that can be followed on Safaricom's portals."""

from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django import forms
from django.forms import BoundField
from django.utils import timezone

from partners.forms import MpesaShortcodeForm, SaysWhy
from partners.models import MpesaShortcode, Partner
from paymentvault.forms import ToldOfClashes

LARGEST_FILE = 64 * 1024

SECTIONS: list[tuple[str, str, list[str]]] = [
    ("Shortcode", "", ["shortcode", "environment", "base_url_override"]),
    (
        "Daraja app",
        "On developer.safaricom.co.ke, under My Apps: the app of this shortcode. It needs the "
        "products B2C, Account Balance and Transaction Status. For production it must have gone "
        "live.",
        ["consumer_key", "consumer_secret"],
    ),
    (
        "API operator (initiator)",
        "Made by your organisation's Business Administrator on the M-Pesa organisation portal. It "
        "needs the roles ORG B2C API initiator, Balance Query ORG API and Transaction Status "
        "query ORG API. About three wrong tries lock it.",
        ["initiator_name", "initiator_password", "certificate", "security_credential"],
    ),
    ("Use", "", ["is_active", "is_default"]),
]
LABELS = {
    "is_active": "May be paid from",
    "is_default": "Default",
    "base_url_override": "Address instead of Safaricom's",
    "certificate": "Safaricom's certificate",
    "security_credential": "Ready-made security credential, instead of the password",
}
HELP = {
    "shortcode": "The number that payouts are paid from: five to seven digits, as on the M-Pesa "
    "organisation portal. In the sandbox, Party A on the Daraja portal's test credentials.",
    "environment": "Key, secret, password and certificate all belong to one of them.",
    "base_url_override": "Only in development: a pretend Safaricom.",
    "consumer_key": "The app's Consumer Key.",
    "consumer_secret": "The app's Consumer Secret, shown beside the key.",
    "initiator_name": "The API operator's user name.",
    "initiator_password": "The API operator's password, as it was set on the M-Pesa organisation "
    "portal. Safaricom ends it after 90 days.",
    "certificate": "The Daraja portal offers it for download, one for the sandbox and one for "
    "production. Paste its text or choose the file. That it expired years ago is as it should be.",
    "security_credential": "What the Daraja portal's security credential tool makes of the "
    "password. Give it only where you don't want to give the password itself.",
    "is_active": "Off: nothing is sent from it, and its float isn't read.",
    "is_default": "The partner's payouts go from its default shortcode. The one that is the "
    "default now stops being it.",
}
ERRORS = {
    "shortcode": {"required": "Give the shortcode.", "invalid": "Give five to seven digits."},
    "environment": {"required": "Choose one. Nothing is chosen for you."},
    "consumer_key": {"required": "Give the app's consumer key."},
    "consumer_secret": {"required": "Give the app's consumer secret."},
    "initiator_name": {"required": "Give the API operator's user name."},
}
ENVIRONMENTS = [
    (MpesaShortcode.Environment.PRODUCTION, "Production: real money moves"),
    (MpesaShortcode.Environment.SANDBOX, "Sandbox: Safaricom's test system, no money moves"),
]


class PemOrFile(forms.Textarea):
    """A certificate's text, or its file, which may be in binary form."""

    template_name = "shortcodes/_certificate.html"
    needs_multipart_form = True

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        if given := files.get(f"{name}_file"):
            return _as_pem(given.read(LARGEST_FILE))
        return super().value_from_datadict(data, files, name)


def _as_pem(content: bytes) -> str:
    """The text of a certificate's file; what isn't one is left for the field to refuse."""
    try:
        return x509.load_der_x509_certificate(content).public_bytes(Encoding.PEM).decode()
    except ValueError:
        return content.decode(errors="replace").replace("\x00", "")


class ShortcodeForm(ToldOfClashes, SaysWhy, MpesaShortcodeForm):
    """Add or edit. A secret that is saved is never shown, and kept unless it is replaced."""

    def __init__(self, *args: Any, partner: Partner, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.partner = partner
        self.was_default = self.instance.is_default
        self.saved = {n for n in self.secrets if self.instance.pk and getattr(self.instance, n)}
        for name, field in self.fields.items():
            field.label = LABELS.get(name, field.label)
            field.help_text = " ".join(filter(None, [HELP.get(name, ""), self._kept(name)]))
        self._show_fingerprints("certificate")
        self.fields["shortcode"].widget.attrs |= {"inputmode": "numeric", "autocomplete": "off"}
        self.fields["initiator_name"].widget.attrs |= {"autocomplete": "off"}
        self.fields["environment"] = forms.ChoiceField(
            choices=ENVIRONMENTS, widget=forms.RadioSelect, help_text=HELP["environment"]
        )
        if self.instance._state.adding:
            # Nobody gets one of them by not looking.
            self.initial.pop("environment", None)
        for name, words in ERRORS.items():
            self.fields[name].error_messages |= words
        self.fields["certificate"].widget = PemOrFile(attrs={"rows": 4, "spellcheck": "false"})
        self._offer_only_what_can_be_chosen()

    def _kept(self, name: str) -> str:
        if self.is_bound and name in self.secrets and self.data.get(self.add_prefix(name)):
            return "Type it again: what was typed is never shown on a page."
        return ""

    def _offer_only_what_can_be_chosen(self) -> None:
        is_first = not self.partner.shortcodes.exclude(pk=self.instance.pk).exists()
        if is_first and self.instance._state.adding:
            self.instance.is_default = True
        if self.instance.is_default:
            # Another one takes it over; a partner isn't left without.
            del self.fields["is_default"]

    @property
    def saved_on(self) -> str:
        return f"{timezone.localtime(self.instance.credential_set_at):%-d %B %Y}"

    def sections(self) -> Iterator[tuple[str, str, list[BoundField]]]:
        for title, intro, names in SECTIONS:
            yield title, intro, [self[name] for name in names if name in self.fields]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        same = MpesaShortcode.objects.exclude(pk=self.instance.pk).filter(
            shortcode=cleaned.get("shortcode"), environment=cleaned.get("environment")
        )
        if same.exists():
            self.add_error("shortcode", "It is set up already. A shortcode belongs to one partner.")
        return cleaned

    def takes_over_default(self) -> bool:
        return bool(self.instance.is_default and not self.was_default)
