"""Real payloads, whole, and how tests change one thing in them."""

import copy
import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
AMINA = "254712345678"
BARAKA = "254722000222"


def sample(name: str) -> Any:
    """A payload by its path under tests/data, such as "daraja/response-oauth-official.json"."""
    return json.loads((DATA / name).read_text())


def result(
    name: str = "callback-b2c-success-production-2024-07", *, code: object = None, **parameters: Any
) -> dict[str, Any]:
    """A result callback with some of its parameters, by key, given other values."""
    body = copy.deepcopy(sample(f"daraja/{name}.json"))
    inner = body["Result"]
    inner["OriginatorConversationID"] = parameters.pop("OriginatorConversationID", "")
    if code is not None:
        inner["ResultCode"] = code
    for item in inner.get("ResultParameters", {}).get("ResultParameter", []):
        if item["Key"] in parameters:
            item["Value"] = parameters[item["Key"]]
    return body


def paid(amount: int = 10_000, receipt: str = "TJM7ABCDEF", **more: Any) -> dict[str, Any]:
    return result(TransactionAmount=amount, TransactionReceipt=receipt, **more)
