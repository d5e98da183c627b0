"""What Safaricom's gateway answers at once."""

import secrets
from typing import Any

from paymentvault.sandbox.server import Answer

REFUSALS: dict[str, str] = {
    "400.002.02": "Bad Request - Invalid Request",
    "400.002.05": "Invalid Request Payload",
    "400.008.01": "Invalid Authentication passed",
    "400.008.02": "Invalid grant type passed",
    "403.002.1001": "You are not authorized to initiate this transaction",
    "404.001.01": "Resource not found",
    "404.001.03": "Invalid Access Token",
    "405.001": "Method Not Allowed",
    "500.002.1001": "System internal error.",
    "500.003.02": "Error Occurred: Spike Arrest Violation",
    "500.003.03": "Error Occurred: Quota Violation",
}

_FIREWALL_PAGE = (
    '<html style="height:100%"><head><META NAME="ROBOTS" CONTENT="NOINDEX, NOFOLLOW"></head>'
    "<body>Request unsuccessful. Incapsula incident ID: {incident}</body></html>"
)


def refusal(code: str, message: str = "", *, headers: dict[str, str] | None = None) -> Answer:
    body = {
        "requestId": _minted_id(),
        "errorCode": code,
        "errorMessage": message or REFUSALS.get(code, "Error Occurred"),
    }
    return Answer(_http_status(code), body, headers=headers or {})


def _http_status(code: str) -> int:
    head = code.partition(".")[0]
    return int(head) if head.isdigit() and 400 <= int(head) <= 599 else 400


def wrong(name: str) -> Answer:
    return refusal("400.002.02", f"Bad Request - Invalid {name}")


def invalid_token(token: str) -> Answer:
    return refusal("401.002.01", f"Error Occurred - Invalid Access Token - {token}")


def no_product() -> Answer:
    # Code and sentence as one integrator captured them live in August 2024
    # (github.com/osenco/osen-wc-mpesa/issues/69).
    return refusal(
        "401.003.01",
        "Error Occurred - Invalid Access Token - Invalid API call as no apiproduct match found",
    )


def duplicate() -> Answer:
    return refusal("500.002.1001", "Duplicate OriginatorConversationID.")


def page(status: int) -> Answer:
    return Answer(status, _FIREWALL_PAGE.format(incident=secrets.randbelow(10**15)))


def ack(conversation_id: str, originator_conversation_id: str = "", code: str = "0") -> Any:
    """Return the body that says a request was taken, and no more than that."""
    taken = code == "0"
    return {
        "ConversationID": conversation_id,
        "OriginatorConversationID": originator_conversation_id or _minted_id(),
        "ResponseCode": code,
        "ResponseDescription": "Accept the service request successfully."
        if taken
        else "The service request was not accepted.",
    }


def _minted_id() -> str:
    return f"{secrets.randbelow(90000) + 10000}-{secrets.randbelow(10**8)}-1"
