"""The second factor: who must have one, and what they can reach before they do."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, clear_totp_secret
from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from paymentvault import factors, sealing
from paymentvault.models import User
from paymentvault.recent import AskAgain, here, is_fresh, is_recent, question, sent_to

Handler = Callable[[HttpRequest], HttpResponse]

# Rights that move money, change settings, or show the audit.
NEED_IT = (
    "disbursements.add_disbursement", "disbursements.approve_disbursement",
    "disbursements.settle_disbursement", "partners.add_partner", "partners.change_partner",
    "partners.add_mifosconnection", "partners.change_mifosconnection",
    "partners.add_mpesashortcode", "partners.change_mpesashortcode",
    "partners.change_loanproduct", "partners.change_apikey", "partners.change_membership",
    "paymentvault.add_killswitch", "paymentvault.delete_killswitch",
    "paymentvault.add_allowednetwork", "paymentvault.confirm_allowednetwork",
    "paymentvault.view_auditevent",
)  # fmt: skip
# Where somebody without it gets to: to set it up, to their own account, out, and to the help.
OPEN = {"login", "logout", "password", "profile", "theme", "session-end", "account_reauthenticate"}
# Where a session gets to that began without it, though its owner has one: to show it, and out.
STILL_OPEN = {
    "logout", "account_logout", "mfa_reauthenticate", "mfa_reauthenticate_webauthn",
}  # fmt: skip


def is_needed(user: User) -> bool:
    """Staff reach Django's admin; the others by what they may do, anywhere."""
    if not settings.SECOND_FACTOR:
        return False
    return user.is_staff or user.is_superuser or any(user.has_perm(right) for right in NEED_IT)


def is_owed(user: User) -> bool:
    """Whether a password alone doesn't sign somebody in: they must have one, or have one."""
    return settings.SECOND_FACTOR and (factors.is_set_up(user) or is_needed(user))


def was_used(request: HttpRequest) -> bool:
    """Whether this very session showed it: one begun with the password alone gains nothing when
    its owner sets it up elsewhere."""
    records = get_authentication_records(request, request.user)
    return any(one["method"] == factors.SHOWN_AS for one in records)


def itself_shown(request: HttpRequest) -> bool:
    """Whether it was just now the app or a passkey, not a recovery code."""
    records = get_authentication_records(request, request.user)
    return not settings.ASK_AGAIN_AFTER_S or any(
        one.get("reauthenticated") and one.get("type") in factors.TYPES and is_fresh(one["at"])
        for one in records
    )


def demand_for_replacing(request: HttpRequest) -> None:
    """A new app comes in the place of the old for who confirmed just now; or signed in just now
    by a recovery code, as one does whose phone is lost."""
    codes = Authenticator.Type.RECOVERY_CODES
    records = get_authentication_records(request, request.user)
    by_code = any(one.get("type") == codes and is_fresh(one["at"]) for one in records)
    if not by_code and not is_recent(request):
        raise AskAgain


@transaction.atomic
def replace_app(request: HttpRequest, user: User, secret: str) -> None:
    """The lost one is worth nothing from the moment in which the new one counts."""
    User.objects.select_for_update().get(pk=user.pk)
    for row in Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP):
        row.delete()
    TOTP.activate(user, secret)
    clear_totp_secret(request)


class SecondFactor:
    """Middleware: whoever needs a second factor gets no further without."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self._get_response(request)
        match = request.resolver_match
        if match and (match.url_name or "").startswith("mfa_"):
            # Some of its pages show a secret: what an app is set up with, and recovery codes.
            add_never_cache_headers(answer)
        return answer

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        user = request.user
        if not isinstance(user, User) or not getattr(view, "login_required", True):
            return None
        if not settings.SECOND_FACTOR or was_used(request):
            return None
        if factors.is_set_up(user):
            if _name(request) in STILL_OPEN:
                return None
            return sent_to(request, f"{question(request)}?{urlencode({'next': here(request)})}")
        if _is_open(request) or not is_needed(user):
            return None
        messages.warning(request, "What you may do needs a second factor. Set one up to go on.")
        return sent_to(request, reverse("mfa_index"))


def _is_open(request: HttpRequest) -> bool:
    name = _name(request)
    return name.startswith(("help:", "mfa_")) or name in OPEN


def _name(request: HttpRequest) -> str:
    return request.resolver_match.view_name if request.resolver_match else ""


class Adapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "This code isn't right, or was used already. Wait for the next one. If "
        "that isn't right either, set the clock of your phone to the time of the network.",
        "cannot_delete_authenticator": "What you may do needs a second factor, and this is your "
        "only one. Set another up first, or set up a new app in its place.",
    }

    def encrypt(self, text: str) -> str:
        return sealing.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return sealing.unseal(encrypted_text)

    def get_totp_label(self, user: Any) -> str:
        return str(user.get_username())

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        user = authenticator.user
        return factors.is_set_up(user, besides=authenticator) or not is_needed(user)

    def build_totp_svg(self, url: str) -> str:
        """To stand in the page itself: its policy lets in no picture made of data."""
        import qrcode
        from qrcode.image.svg import SvgPathImage

        drawn = qrcode.make(url, image_factory=SvgPathImage, border=4)
        return str(drawn.to_string(encoding="unicode"))

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        number = Authenticator.objects.filter(user=user, type=type).count() + 1
        return "Passkey" if number == 1 else f"Passkey {number}"


@transaction.atomic
def encrypt_anew() -> int:
    """Write what second factors keep with the first of FERNET_KEYS; returns how many."""
    count = 0
    for row in Authenticator.objects.select_for_update().order_by("pk"):
        for name in {"secret", "seed"} & row.data.keys():
            row.data[name] = sealing.seal(sealing.unseal(row.data[name]))
        row.save(update_fields=["data"])
        count += 1
    return count
