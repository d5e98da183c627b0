"""Safaricom's Daraja: pay a borrower, ask for a transaction's status, ask for the balance.

Nothing here is repeated automatically but one request whose access token was refused: the
gateway said so before M-Pesa saw it. Error codes and shapes: the Daraja contract of Nov 2026.
"""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from paymentvault.http import Answer, NotSent, OutcomeUnknown, Refused, Transport
from paymentvault.logging import hide

TOKEN_REFUSED = {"401.002.01", "404.001.03", "400.003.01"}
# The gateway turned it away before M-Pesa: safe to send again later under the same id.
NOT_TAKEN = {"500.003.02", "500.003.03"}
REFUSED = {
    "400.002.01", "400.002.02", "400.002.05", "400.008.01", "400.008.02",
    "401.002.01", "404.001.03", "400.003.01",
    "403.002.1001", "404.001.01", "404.002.01", "405.001",
}  # fmt: skip
# Refusals that every further request would meet as well.
CONFIGURATION = REFUSED - {"400.002.01", "400.002.02", "400.002.05"}
NO_PRODUCT = "no-product"
BAD_CONSUMER_KEY = "bad-consumer-key"
BAD_CERTIFICATE = "bad-certificate"
TOKEN_REFUSED_TWICE = "token-refused-twice"  # noqa: S105 -- a code of ours
# The code is shared with internal errors; only the message tells them apart.
DUPLICATE_MESSAGE = "duplicate originatorconversationid"


class Duplicate(OutcomeUnknown):
    """M-Pesa has seen this originator conversation ID: an earlier request got through."""


class Tokens(Protocol):
    def get(self) -> str: ...
    def drop(self, token: str) -> None: ...


@dataclass(frozen=True)
class Initiator:
    """The API operator. Either a ready-made security credential, or password and certificate."""

    name: str
    password: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    security_credential: str = field(default="", repr=False)

    def credential(self) -> str:
        return self.security_credential or security_credential(self.password, self.certificate)


@dataclass(frozen=True)
class Accepted:
    """M-Pesa took the request. Nothing is paid yet."""

    conversation_id: str
    originator_conversation_id: str
    words: str


def security_credential(password: str, certificate: str) -> str:
    """The raw password, RSA PKCS#1 v1.5 under Safaricom's certificate, in base64.

    The certificates in use expired years ago, so their dates are not looked at.
    """
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    if not isinstance(key, RSAPublicKey):
        raise ValueError("The certificate's key is not RSA.")
    return base64.b64encode(key.encrypt(password.encode(), PKCS1v15())).decode()


def fetch_token(
    transport: Transport, *, base_url: str, consumer_key: str, consumer_secret: str
) -> tuple[str, int]:
    """A new access token and its life in seconds. It invalidates the one before.

    A token moves no money, so whatever goes wrong here means that nothing was sent.
    """
    try:
        answer = transport.send(
            "GET",
            f"{base_url}/oauth/v1/generate",
            params={"grant_type": "client_credentials"},
            auth=(consumer_key, consumer_secret),
        )
    except OutcomeUnknown as error:
        raise NotSent(f"No access token: {error}") from error
    token, life = answer.object.get("access_token"), answer.object.get("expires_in", 3599)
    if answer.status == 200 and isinstance(token, str) and token:
        return token, int(str(life)) if str(life).isdigit() else 3599
    if answer.status in (400, 401):
        raise Refused(
            "M-Pesa refused the consumer key or secret.",
            code=BAD_CONSUMER_KEY,
            status=answer.status,
        )
    raise NotSent(f"M-Pesa gave no access token (HTTP {answer.status}).", status=answer.status)


@dataclass(frozen=True)
class MpesaClient:
    """Raises Refused, NotSent, Duplicate or OutcomeUnknown where M-Pesa did not accept."""

    base_url: str
    initiator: Initiator
    shortcode: str
    tokens: Tokens
    transport: Transport

    def pay(
        self,
        *,
        originator_conversation_id: str,
        msisdn: str,
        amount_kes: int,
        remarks: str,
        result_url: str,
        timeout_url: str,
        command_id: str = "BusinessPayment",
    ) -> Accepted:
        """Ask M-Pesa to pay whole shillings to a number (B2C v3)."""
        return self._post(
            "/mpesa/b2c/v3/paymentrequest",
            lambda: {
                "OriginatorConversationID": originator_conversation_id,
                "InitiatorName": self.initiator.name,
                "SecurityCredential": self._credential(),
                "CommandID": command_id,
                "Amount": str(amount_kes),
                "PartyA": self.shortcode,
                "PartyB": msisdn,
                "Remarks": remarks[:100],
                "QueueTimeOutURL": timeout_url,
                "ResultURL": result_url,
                "Occassion": remarks[:100],
            },
        )

    def ask_status(
        self, *, originator_conversation_id: str, result_url: str, timeout_url: str
    ) -> Accepted:
        """Ask what became of a request of ours; the answer comes to result_url."""
        return self._post(
            "/mpesa/transactionstatus/v1/query",
            lambda: {
                "Initiator": self.initiator.name,
                "SecurityCredential": self._credential(),
                "CommandID": "TransactionStatusQuery",
                "TransactionID": "",
                "OriginalConversationID": originator_conversation_id,
                "PartyA": self.shortcode,
                "IdentifierType": "4",
                "ResultURL": result_url,
                "QueueTimeOutURL": timeout_url,
                "Remarks": "Status",
                "Occasion": "Status",
            },
        )

    def ask_balance(self, *, result_url: str, timeout_url: str) -> Accepted:
        """Ask for the shortcode's accounts; the answer comes to result_url."""
        return self._post(
            "/mpesa/accountbalance/v1/query",
            lambda: {
                "Initiator": self.initiator.name,
                "SecurityCredential": self._credential(),
                "CommandID": "AccountBalance",
                "PartyA": self.shortcode,
                "IdentifierType": "4",
                "Remarks": "Balance",
                "QueueTimeOutURL": timeout_url,
                "ResultURL": result_url,
            },
        )

    def _credential(self) -> str:
        try:
            return self.initiator.credential()
        except ValueError as error:
            raise Refused(
                f"The security credential can't be made: {error}", code=BAD_CERTIFICATE
            ) from error

    def _post(self, path: str, make: Callable[[], dict[str, str]]) -> Accepted:
        payload = make()
        token = self.tokens.get()
        answer = self._send(path, payload, token)
        if _refuses_token(answer):
            self.tokens.drop(token)
            token = self.tokens.get()
            answer = self._send(path, payload, token)
        return understand(answer, sent=(token, payload["SecurityCredential"]))

    def _send(self, path: str, payload: dict[str, str], token: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}"}
        return self.transport.send("POST", self.base_url + path, json=payload, headers=headers)


def understand(answer: Answer, *, sent: Iterable[str] = ()) -> Accepted:
    """Accepted, or one of the errors that say how sure we are. What isn't known is unknown.

    Its words are shown, so the secrets that were `sent` are hidden in them, if it told them back.
    """
    body = answer.object
    code = str(body.get("errorCode") or "")
    words = str(body.get("errorMessage") or body.get("ResponseDescription") or "")
    words = hide(words, *sent)[:250]

    if answer.status == 200 and "ResponseCode" in body:
        return _response(body, words)
    if answer.status < 400:
        raise _unclear(answer, code)
    if DUPLICATE_MESSAGE in words.lower():
        raise Duplicate("M-Pesa has this request already.", code=code, status=answer.status)
    if code in NOT_TAKEN:
        raise NotSent(f"M-Pesa's gateway is busy: {words}", code=code, status=answer.status)
    if code in REFUSED:
        raise Refused(words or f"M-Pesa refused ({code}).", code=code, status=answer.status)
    if _lacks_product(answer):
        raise Refused("The Daraja app lacks this product.", code=NO_PRODUCT, status=answer.status)
    if answer.status == 401:
        raise Refused("M-Pesa refuses our tokens.", code=TOKEN_REFUSED_TWICE, status=401)
    raise _unclear(answer, code)


def _unclear(answer: Answer, code: str) -> OutcomeUnknown:
    words = f"M-Pesa answered HTTP {answer.status} with nothing that says yes or no."
    return OutcomeUnknown(words, code=code, status=answer.status)


def is_configuration(error: Refused) -> bool:
    """Whether every further request would be refused too, until a person has looked."""
    ours = {NO_PRODUCT, BAD_CONSUMER_KEY, BAD_CERTIFICATE, TOKEN_REFUSED_TWICE}
    return error.code in CONFIGURATION | ours


def _response(body: dict[str, Any], words: str) -> Accepted:
    if str(body["ResponseCode"]) != "0":
        # Marked, since a result code of the same digits means something else.
        code = f"response-{body['ResponseCode']}"[:20]
        raise Refused(words or "M-Pesa refused.", code=code, status=200)
    if not body.get("ConversationID"):
        raise OutcomeUnknown("M-Pesa accepted without a conversation ID.", status=200)
    return Accepted(
        conversation_id=str(body["ConversationID"]),
        originator_conversation_id=str(body.get("OriginatorConversationID") or ""),
        words=words,
    )


def _refuses_token(answer: Answer) -> bool:
    if answer.status == 401:
        return not _lacks_product(answer)
    return answer.status >= 400 and str(answer.object.get("errorCode")) in TOKEN_REFUSED


def _lacks_product(answer: Answer) -> bool:
    return answer.status == 401 and "apiproduct" in answer.text.lower()
