"""Refuse to run on settings that would be unsafe."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

MIN_KEY_LENGTH = 32
# Daraja refuses callback addresses that contain one of these (its own FAQ).
WORDS_DARAJA_REFUSES = ("mpesa", "m-pesa", "safaricom", "exe", "cmd", "sql", "query")


@register(Tags.security)
def keys_are_set(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A missing, short or well-known key stops everything outside development."""
    if settings.DEBUG:
        return []
    problems: list[CheckMessage] = []
    for name, keys in (
        ("SECRET_KEY", [settings.SECRET_KEY]),
        ("FERNET_KEYS", settings.FERNET_KEYS),
    ):
        if not keys or not all(_is_a_real_key(key) for key in keys):
            problems.append(
                Error(
                    f"{name} is missing, too short or a default.",
                    hint=f"Set {name} to random text of at least {MIN_KEY_LENGTH} characters.",
                    id="paymentvault.E001",
                )
            )
    return problems


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
    if not settings.DEBUG and settings.HTTPS_ONLY and not url.startswith("https://"):
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
