"""Calls to the pretend Mifos X, and what to compare its answers with."""

from datetime import timedelta
from typing import Any

import requests

from paymentvault.sandbox.mifos import Mifos
from paymentvault.sandbox.server import Server
from tests.samples import sample
from tests.sandbox.listener import Listener

LOAN_EVENTS = [
    {"entityName": "LOAN", "actionName": name}
    for name in ("APPROVE", "APPROVALUNDO", "DISBURSE", "DISBURSALUNDO", "REJECT", "WITHDRAW")
]


class Api:
    """A caller with credentials; the world and the listener are at hand for the tests."""

    def __init__(self, server: Server, listener: Listener) -> None:
        self.mifos: Mifos = server.world
        self.url, self.listener = server.url, listener
        self.headers = {"Fineract-Platform-TenantId": "default"}
        self.auth: Any = ("robot", "secret")

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("auth", self.auth)
        options["headers"] = self.headers | options.get("headers", {})
        url = f"{self.url}/fineract-provider/api/v1{path}"
        return requests.request(method, url, timeout=10, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.call("POST", path, json=body, **options)

    def token(self, **form: str) -> requests.Response:
        return requests.post(f"{self.url}/oauth/token", data=form, timeout=10)

    def sandbox(self, path: str, body: Any = None, method: str = "POST") -> requests.Response:
        return requests.request(method, f"{self.url}/_sandbox{path}", json=body, timeout=10)

    def pending(self, **loan: Any) -> int:
        return self.mifos.add_loan(self.mifos.add_client(), **loan)

    def approved(self, **loan: Any) -> int:
        loan_id = self.pending(**loan)
        self.mifos.approve(loan_id, on=self.mifos.today() - timedelta(days=2))
        return loan_id

    def disburse(
        self, loan_id: int, *, key: str | None = None, **changes: Any
    ) -> requests.Response:
        """Pay a loan out today. A field that is changed to None is left out."""
        headers = {"Idempotency-Key": key} if key else {}
        body = paid_today(self.mifos) | changes
        body = {name: value for name, value in body.items() if value is not None}
        return self.post(f"/loans/{loan_id}?command=disburse", body, headers=headers)

    def listen(self, path: str = "/h/token/", **changes: Any) -> requests.Response:
        config = {"Payload URL": self.listener.url + path, "Content Type": "json"}
        body = {"name": "Web", "displayName": "Payment Vault", "isActive": True}
        body |= {"events": LOAN_EVENTS, "config": config} | changes
        return self.post("/hooks", body)


def paid_today(mifos: Mifos) -> dict[str, Any]:
    recommended = sent("disburse_request_recommended")
    return recommended | {"actualDisbursementDate": mifos.today().isoformat()}


def sent(name: str) -> Any:
    """What went over the wire at a real Mifos X."""
    return sample(f"mifos/{name}.json")


def shape(value: Any) -> Any:
    """Keys all the way down; of a list, its first element."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value) in (dict, list)


def code(answer: requests.Response) -> str:
    return answer.json()["errors"][0]["userMessageGlobalisationCode"]
