"""Calls to the pretend Daraja, and what to read in its answers and callbacks."""

import base64
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding

from paymentvault.sandbox.safaricom import Safaricom
from tests.samples import AMINA
from tests.sandbox.listener import Listener

PAYMENTS = "/mpesa/b2c/v3/paymentrequest"
BARAKA = "254110345678"
OMITTED: Any = object()
LONG = "x" * 101


class Partner:
    """Speaks Daraja as our client should."""

    def __init__(self, safaricom: str, listener: str, certificate_pem: str) -> None:
        self.safaricom, self.listener, self.key = safaricom, listener, "key"
        self.payments = safaricom + PAYMENTS
        self.credential = encrypt("Safe#1", certificate_pem)
        self.http = requests.Session()

    def token_answer(self, secret: str = "secret", **params: str) -> requests.Response:
        params = params or {"grant_type": "client_credentials"}
        url = self.safaricom + "/oauth/v1/generate"
        return self.http.get(url, params=params, auth=(self.key, secret), timeout=5)

    def sign_in(self) -> str:
        token = self.token_answer().json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        return token

    def post(self, path: str, body: Any) -> requests.Response:
        return self.http.post(self.safaricom + path, json=body, timeout=5)

    def pay(self, own_id: str = "loan-1", **changes: Any) -> requests.Response:
        return self.post(PAYMENTS, self.order(own_id, **changes))

    def order(self, own_id: str = "loan-1", **changes: Any) -> dict[str, Any]:
        order = {
            "OriginatorConversationID": own_id,
            "InitiatorName": "apiop",
            "SecurityCredential": self.credential,
            "CommandID": "BusinessPayment",
            "Amount": "500",
            "PartyA": "600992",
            "PartyB": AMINA,
            "Remarks": "Loan 7",
            "QueueTimeOutURL": self.listener + "/q",
            "ResultURL": self.listener + "/r",
            "Occassion": "loan",
        }
        return present(order | changes)

    def query(self, **changes: Any) -> requests.Response:
        own = {"CommandID": "TransactionStatusQuery", "OriginalConversationID": "loan-1"}
        return self._ask("/mpesa/transactionstatus/v1/query", own | changes)

    def balance(self, **changes: Any) -> requests.Response:
        own = {"CommandID": "AccountBalance"}
        return self._ask("/mpesa/accountbalance/v1/query", own | changes)

    def _ask(self, path: str, changes: dict[str, Any]) -> requests.Response:
        question = {
            "Initiator": "apiop",
            "SecurityCredential": self.credential,
            "PartyA": "600992",
            "IdentifierType": "4",
            "Remarks": "ok",
            "QueueTimeOutURL": self.listener + "/sq",
            "ResultURL": self.listener + "/s",
        }
        return self.post(path, present(question | changes))


def present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not OMITTED}


def encrypt(password: str, certificate_pem: str) -> str:
    key = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
    return base64.b64encode(key.encrypt(password.encode(), padding.PKCS1v15())).decode()


def add_app(world: Safaricom, **changes: Any) -> None:
    app = {
        "consumer_key": "key",
        "consumer_secret": "secret",
        "shortcode": "600992",
        "initiator": "apiop",
        "password": "Safe#1",
    }
    world.add_app(**(app | changes))


def result_codes(listener: Listener, count: int = 1, path: str = "/r") -> list[int | str]:
    """The result codes of so many callbacks."""
    return [body["Result"]["ResultCode"] for body in listener.results(count, path)]


def parameters(body: dict[str, Any]) -> dict[str, Any]:
    items = body["Result"]["ResultParameters"]["ResultParameter"]
    return {item["Key"]: item.get("Value") for item in items}


def error(answer: requests.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["errorCode"], answer.json()["errorMessage"]
