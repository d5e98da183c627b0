"""Read whatever M-Pesa posts: keys in any order, one object for a list, numbers as text."""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

NAIROBI = ZoneInfo("Africa/Nairobi")
# Larger sums than M-Pesa or a column of ours can hold are no sums.
LARGEST = Decimal(10) ** 12
# M-Pesa began in 2007.
FIRST_YEAR = 2007

SECRETS = [
    # By its name, in JSON or in whatever else may echo it.
    re.compile(r'((?:Security_?Credential|Password)"\s*:\s*")(?:[^"\\]|\\.)*', re.I | re.S),
    re.compile(r"((?:Security_?Credential|Password)[^\w\[]{1,6})[\w+/%][^\s\"'<>&,}\[]*", re.I),
    # By its looks, whatever it is called: 344 characters of base64, and nothing else is as long.
    re.compile(r"()(?:[A-Za-z0-9+/=]|%[0-9A-F]{2}|\\[/nr]|\\u00[0-9a-f]{2}){64,}", re.I),
    # Our own callback addresses: whoever reads one in the database could call it.
    re.compile(r"(/cb(?:/|\\/|%2F))[0-9a-f]{32}", re.I),
]


def masked(body: str) -> str:
    """Queue time-outs echo our request, with the security credential in it."""
    for secret in SECRETS:
        body = secret.sub(r"\1[masked]", body)
    return body


@dataclass(frozen=True)
class Outcome:
    """A `Result` as M-Pesa sent it, its parameters by key."""

    code: str
    words: str
    originator_conversation_id: str = ""
    conversation_id: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)

    def text(self, *keys: str) -> str:
        values = (self.parameters.get(key) for key in keys)
        return next((_text(value) for value in values if value is not None), "")

    def money(self, *keys: str) -> Decimal | None:
        try:
            amount = Decimal(self.text(*keys))
        except InvalidOperation:
            return None
        return _plausible(amount)


def read(body: str) -> Outcome | None:
    """The outcome in a callback's body, or None if there is none to be read."""
    try:
        whole = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return None
    result = whole.get("Result") if isinstance(whole, dict) else None
    if not isinstance(result, dict) or result.get("ResultCode") in (None, ""):
        return None
    return Outcome(
        code=_text(result["ResultCode"])[:20],
        words=_text(result.get("ResultDesc"))[:300],
        originator_conversation_id=_text(result.get("OriginatorConversationID")),
        conversation_id=_text(result.get("ConversationID")),
        parameters=_parameters(result.get("ResultParameters")),
    )


def _parameters(container: Any) -> dict[str, Any]:
    items = container.get("ResultParameter") if isinstance(container, dict) else None
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list):
        return {}
    found: dict[str, Any] = {}
    for item in items:
        if isinstance(item, dict) and isinstance(item.get("Key"), str):
            found.setdefault(item["Key"], item.get("Value"))
    return found


def _text(value: Any) -> str:
    """A JSON scalar as text that PostgreSQL can hold; what is nested counts as empty."""
    if not isinstance(value, str | int | Decimal):
        return ""
    text = str(value).encode("utf-8", errors="replace").decode()
    return text.replace("\x00", "\ufffd").strip()


def _plausible(amount: Decimal) -> Decimal | None:
    return amount if amount.is_finite() and abs(amount) < LARGEST else None


def completed_at(outcome: Outcome) -> datetime | None:
    """When M-Pesa paid, which it writes in Nairobi's time in two formats."""
    text = outcome.text("TransactionCompletedDateTime", "FinalisedTime")
    for form in ("%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S"):
        try:
            at = datetime.strptime(text, form).replace(tzinfo=NAIROBI)
        except ValueError:
            continue
        return at if at.year >= FIRST_YEAR else None
    return None


def utility_balance(accounts: str) -> Decimal | None:
    """The usable figure of the utility account in an AccountBalance value."""
    for account in accounts.split("&"):
        parts = account.split("|")
        if len(parts) > 2 and parts[0].strip().lower() == "utility account":
            try:
                amount = Decimal(parts[2])
            except InvalidOperation:
                return None
            return _plausible(amount)
    return None
