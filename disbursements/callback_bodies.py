"""Read whatever M-Pesa posts: keys in any order, one object for a list, numbers as text."""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

NAIROBI = ZoneInfo("Africa/Nairobi")
SECRET = re.compile(r'("(?:SecurityCredential|Password)"\s*:\s*")(?:[^"\\]|\\.)*("|$)', re.I)


def masked(body: str) -> str:
    """Queue time-outs echo our request, with the security credential in it."""
    return SECRET.sub(r"\1[masked]\2", body)


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
        return next((str(value).strip() for value in values if value is not None), "")

    def money(self, *keys: str) -> Decimal | None:
        try:
            amount = Decimal(self.text(*keys))
        except InvalidOperation:
            return None
        return amount if amount.is_finite() else None


def read(body: str) -> Outcome | None:
    """The outcome in a callback's body, or None if there is none to be read."""
    try:
        whole = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    result = whole.get("Result") if isinstance(whole, dict) else None
    if not isinstance(result, dict) or result.get("ResultCode") in (None, ""):
        return None
    return Outcome(
        code=str(result["ResultCode"]).strip()[:20],
        words=str(result.get("ResultDesc") or "")[:300],
        originator_conversation_id=str(result.get("OriginatorConversationID") or ""),
        conversation_id=str(result.get("ConversationID") or ""),
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


def completed_at(outcome: Outcome) -> datetime | None:
    """When M-Pesa paid, which it writes in Nairobi's time in two formats."""
    text = outcome.text("TransactionCompletedDateTime", "FinalisedTime")
    for form in ("%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=NAIROBI)
        except ValueError:
            continue
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
            return amount if amount.is_finite() else None
    return None
