"""The two pretend servers, as seen from another process."""

from dataclasses import dataclass
from typing import Any

import requests


@dataclass(frozen=True)
class Sandbox:
    """Control of a pretend server over HTTP."""

    url: str

    def post(self, path: str, **body: Any) -> Any:
        answer = requests.post(f"{self.url}/_sandbox/{path}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}/_sandbox/{path}", timeout=10)
        answer.raise_for_status()
        return answer.json() if "json" in answer.headers["Content-Type"] else answer.text


@dataclass(frozen=True)
class Outside:
    mifos: Sandbox
    safaricom: Sandbox

    def ledger(self) -> list[dict[str, Any]]:
        """What truly happened at the pretend Safaricom: completed payments."""
        payments = self.safaricom.get("ledger")["payments"]
        return [payment for payment in payments if payment["status"] == "Completed"]

    def loans(self) -> dict[int, dict[str, Any]]:
        return {loan["id"]: loan for loan in self.mifos.get("loans")["loans"]}
