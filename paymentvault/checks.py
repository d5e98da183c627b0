"""Refuse to run on settings that would be unsafe."""

from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

MIN_KEY_LENGTH = 32
MOST_ASKED_AGAIN_S = 3600
# Daraja refuses callback addresses that contain one of these (its own FAQ).
WORDS_DARAJA_REFUSES = ("mpesa", "m-pesa", "safaricom", "exe", "cmd", "sql", "query")


@register(Tags.security)
def keys_are_set(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A missing, short or well-known key stops everything outside development."""
    if settings.DEBUG:
        return []
    keys = {"SECRET_KEY": [_secret_key()], "FERNET_KEYS": settings.FERNET_KEYS}
    return [
        Error(
            f"{name} is missing, too short or a default.",
            hint=f"Set {name} to random text of at least {MIN_KEY_LENGTH} characters.",
            id="paymentvault.E001",
        )
        for name, given in keys.items()
        if not given or not all(_is_a_real_key(key) for key in given)
    ]


def _secret_key() -> str:
    try:
        return str(settings.SECRET_KEY)
    except ImproperlyConfigured:  # Django's own way to say that it is empty
        return ""


def _is_a_real_key(key: str) -> bool:
    well_known = ("development", "change-me", "changeme", "insecure", "example", "secret-key")
    return (
        len(key) >= MIN_KEY_LENGTH
        and len(set(key)) >= 10
        and not any(word in key.lower() for word in well_known)
    )


@register(Tags.urls)
def public_url_is_usable(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Safaricom and Mifos X call us at PUBLIC_URL, over https, and refuse some words in it."""
    problems: list[CheckMessage] = []
    url = settings.PUBLIC_URL
    schemes = ("https://",) if settings.HTTPS_ONLY else ("https://", "http://")
    if not settings.DEBUG and not url.startswith(schemes):
        problems.append(Error("PUBLIC_URL must be an https address.", id="paymentvault.E002"))
    if len(url) > 100 - len("/mifos-webhook/") - 24 - 1:
        problems.append(
            Error("PUBLIC_URL is too long: Fineract cuts hooks at 100.", id="paymentvault.E003")
        )
    if any(word in url.lower() for word in WORDS_DARAJA_REFUSES):
        problems.append(
            Warning("Daraja may refuse PUBLIC_URL for a word in it.", id="paymentvault.W004")
        )
    return problems


@register(Tags.security, deploy=True)
def callbacks_are_limited_to_their_senders(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.MPESA_CALLBACK_NETWORKS:
        return []
    return [
        Warning(
            "MPESA_CALLBACK_NETWORKS is empty: callbacks are taken from any address.",
            hint="Set it to Safaricom's addresses; .env.example lists them.",
            id="paymentvault.W005",
        )
    ]


@register(Tags.security, deploy=True)
def requests_go_only_where_they_may(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"{name} is on: {words}",
            hint="Switch it off; two people can allow a network in the portal.",
            id="paymentvault.W010",
        )
        for name, words in (
            ("OUTBOUND_ALLOW_PRIVATE", "whoever types an address can reach this network."),
            ("OUTBOUND_ALLOW_HTTP", "credentials may leave in the clear."),
        )
        if getattr(settings, name)
    ]


@register(Tags.security)
def callback_networks_can_be_read(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """One that can't would break every callback."""
    return [
        Error(
            f"MPESA_CALLBACK_NETWORKS: {network!r} is not an address or a network.",
            hint="Such as 196.201.214.200 or 196.201.214.0/24.",
            id="paymentvault.E006",
        )
        for network in settings.MPESA_CALLBACK_NETWORKS
        if not _is_network(network)
    ]


def _is_network(text: str) -> bool:
    try:
        return bool(ip_network(text))
    except ValueError:
        return False


@register(Tags.security)
def the_second_factor_is_asked_for(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Demos and tests do without; nobody else's money should."""
    asks = settings.SECOND_FACTOR and 0 < settings.ASK_AGAIN_AFTER_S <= MOST_ASKED_AGAIN_S
    if asks or settings.DEBUG or settings.TESTING:
        return []
    return [
        Error(
            "The second factor is switched off, or isn't asked for again within an hour.",
            hint="Set SECOND_FACTOR=1, and ASK_AGAIN_AFTER_S to 3600 at most.",
            id="paymentvault.E007",
        )
    ]


def refuse_unsafe_settings() -> None:
    """Raise for web servers and workers, which run no system checks, what manage.py refuses."""
    found = [
        *keys_are_set(None),
        *public_url_is_usable(None),
        *callback_networks_can_be_read(None),
        *the_second_factor_is_asked_for(None),
    ]
    errors = [f"{problem.msg} {problem.hint or ''}" for problem in found if problem.is_serious()]
    if errors:
        raise ImproperlyConfigured(" ".join(errors))
