"""What a request's body must look like; anything else is 400.002.02."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

Rule = Callable[[Any], bool]

FORBIDDEN_WORDS = ("mpesa", "m-pesa", "safaricom", "exe", "exec", "cmd", "sql", "query")


def _text(shortest: int, longest: int) -> Rule:
    return lambda value: isinstance(value, str) and shortest <= len(value) <= longest


def _one_of(*words: str) -> Rule:
    return lambda value: isinstance(value, str) and value in words


def _like(pattern: str) -> Rule:
    return lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value))


def whole_shillings(value: object) -> bool:
    """True for a positive whole number, as a JSON number or as a string of digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return 0 < value < 10**12
    return isinstance(value, str) and bool(re.fullmatch(r"[1-9][0-9]{0,11}", value))


def callback_url(value: object) -> bool:
    """True for a URL that Safaricom would call; http too, this being a loopback world."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    if any(word in value.lower() for word in FORBIDDEN_WORDS):
        return False
    return parts.path == parts.path.lower()


_SHORTCODE = _like(r"[0-9]{5,7}")
_OWN_ID = _like(r"[A-Za-z0-9_-]{1,128}")
_ANSWERED_AT: dict[str, Rule] = {"QueueTimeOutURL": callback_url, "ResultURL": callback_url}

PAYMENT: dict[str, Rule] = {
    "OriginatorConversationID": _OWN_ID,
    "InitiatorName": _text(1, 100),
    "SecurityCredential": _text(1, 1000),
    "CommandID": _one_of("BusinessPayment", "SalaryPayment", "PromotionPayment"),
    "Amount": whole_shillings,
    "PartyA": _SHORTCODE,
    "PartyB": _like(r"254[71][0-9]{8}"),
    "Remarks": _text(2, 100),
    **_ANSWERED_AT,
}
PAYMENT_OPTIONAL: dict[str, Rule] = {"Occassion": _text(1, 100)}

_QUERY: dict[str, Rule] = {
    "Initiator": _text(1, 100),
    "SecurityCredential": _text(1, 1000),
    "PartyA": _SHORTCODE,
    "IdentifierType": _one_of("4"),
    "Remarks": _text(1, 100),
    **_ANSWERED_AT,
}
STATUS: dict[str, Rule] = {**_QUERY, "CommandID": _one_of("TransactionStatusQuery")}
STATUS_OPTIONAL: dict[str, Rule] = {
    "TransactionID": _text(0, 20),
    "OriginalConversationID": _text(0, 128),
    "Occasion": _text(0, 100),
}
BALANCE: dict[str, Rule] = {**_QUERY, "CommandID": _one_of("AccountBalance")}


def wrong_field(
    body: Mapping[str, Any], required: Mapping[str, Rule], optional: Mapping[str, Rule]
) -> str | None:
    """Return the first field that is unknown, missing or wrong, as Safaricom names it."""
    rules = {**required, **optional}
    for name in [*body, *required]:
        if name not in rules or name not in body:
            return name
        if not rules[name](body[name]):
            return "CallBackURL" if rules[name] is callback_url else name
    return None


def wrong_payment_field(body: Mapping[str, Any]) -> str | None:
    return wrong_field(body, PAYMENT, PAYMENT_OPTIONAL)


def wrong_balance_field(body: Mapping[str, Any]) -> str | None:
    return wrong_field(body, BALANCE, {})


def wrong_status_field(body: Mapping[str, Any]) -> str | None:
    wrong = wrong_field(body, STATUS, STATUS_OPTIONAL)
    named = body.get("TransactionID") or body.get("OriginalConversationID")
    return wrong or (None if named else "TransactionID")
