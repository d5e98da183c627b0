"""Read what is posted to us: JSON or form, flat or envelope, and hostile."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from rest_framework import serializers

# Python's own parser gives up far deeper; nothing honest is nested like this.
DEEPEST = 32
LARGEST_ID = 2**63 - 1
APPROVED = 200
MASK = "[masked]"
# What stands where bytes were no text.
NO_TEXT = "\ufffd"


class LoanApproval(serializers.Serializer[Any]):
    """The loan-approval JSON."""

    eventType = serializers.ChoiceField(["loan_approved"])  # noqa: N815
    partnerId = serializers.UUIDField()  # noqa: N815
    loanId = serializers.RegexField(r"^[0-9]{1,18}$")  # noqa: N815
    clientId = serializers.RegexField(r"^[0-9]{1,18}$")  # noqa: N815
    clientPhone = serializers.CharField(max_length=50)  # noqa: N815
    clientName = serializers.CharField(max_length=200)  # noqa: N815
    loanAmount = serializers.DecimalField(  # noqa: N815
        max_digits=14, decimal_places=2, min_value=Decimal("0.01")
    )
    productId = serializers.CharField(max_length=50)  # noqa: N815
    productName = serializers.CharField(max_length=100)  # noqa: N815
    approvedAt = serializers.DateTimeField()  # noqa: N815
    webhookToken = serializers.CharField(max_length=100)  # noqa: N815

    def to_internal_value(self, data: Any) -> Any:
        wrong = {
            name: ["Must be text or a number."]
            for name, value in data.items()
            if name in self.fields and (isinstance(value, bool | dict | list) or value is None)
        }
        if wrong:
            raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)


def as_json(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError, in words for whoever sent it."""
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise ValueError("The body is not UTF-8.") from None
    except (ValueError, RecursionError):
        raise ValueError("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise ValueError("The body is not a JSON object.")
    if _is_deeper_than(found, DEEPEST):
        raise ValueError("The body is nested too deeply.")
    if _has_lone_surrogate(found):
        raise ValueError("The body has characters that are not Unicode text.")
    return found


def kept_text(body: bytes, *, secrets: Iterable[str]) -> str:
    """The body as text that PostgreSQL can hold, without the secrets in it."""
    text = body.decode("utf-8", errors="replace").replace("\x00", NO_TEXT)
    for secret in secrets:
        text = text.replace(secret, MASK) if secret else text
    return text


def masked_seed(body: bytes, given: dict[str, Any]) -> str:
    """The loan-approval JSON as it came, without its token, however that was written."""
    text = kept_text(body, secrets=[given["webhookToken"]])
    if as_json(text.encode())["webhookToken"] == MASK:
        return text
    # Its letters stood there as \\u escapes.
    return json.dumps(given | {"webhookToken": MASK})


@dataclass(frozen=True)
class Evidence:
    """What a native hook says. Only a pointer: the loan is re-read before anything follows."""

    loan_id: int | None
    is_approval: bool
    words: str


def read_native(text: str, *, is_form: bool = False) -> dict[str, Any]:
    """A native hook's body: JSON, or a form (which Mifos X flattens). Raises ValueError."""
    if NO_TEXT in text:
        raise ValueError("The body is not UTF-8 text.")
    if not is_form:
        return as_json(text.encode())
    return {name: _unflattened(value) for name, value in parse_qsl(text.strip())}


def evidence_in(body: dict[str, Any]) -> Evidence:
    """Whether a body tells of an approval that took place.

    Failed approvals, and those parked for a checker, are sent with the same headers: only a
    status of 200 and a loan's id make an approval (flat up to Fineract 1.4, envelope from 1.5).
    """
    answer = body
    if "entityName" in body or "actionName" in body:
        answer = body["response"] if isinstance(body.get("response"), dict) else {}
    loan_id = _id(answer.get("loanId")) or _id(answer.get("resourceId"))
    if body.get("status") == "Exception":
        return Evidence(loan_id, False, "The command failed in Mifos X.")
    if not answer:
        return Evidence(None, False, "The command failed, or is parked for a checker in Mifos X.")
    changes = answer.get("changes")
    status = changes.get("status") if isinstance(changes, dict) else None
    status_id = status.get("id") if isinstance(status, dict) else None
    if status_id == APPROVED and loan_id:
        return Evidence(loan_id, True, "")
    return Evidence(loan_id, False, "It doesn't say that the loan became approved.")


def _id(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    is_id = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID
    return value if is_id else None


def _unflattened(value: str) -> Any:
    """A form field that holds JSON is read as such; Java's own {a=b} form stays text."""
    try:
        return as_json(value.encode())
    except ValueError:
        return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")


def _is_deeper_than(value: Any, depth: int) -> bool:
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return False
    return depth == 0 or any(_is_deeper_than(child, depth - 1) for child in children)


def _has_lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
