"""M-Pesa at the wire: what it answers, what it calls back, and what left us for it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from disbursements.models import Attempt, Inquiry, MpesaRequest
from disbursements.mpesa import Initiator, MpesaClient, fetch_token
from partners.models import MpesaShortcode
from paymentvault import doorbell
from paymentvault.http import Answer, Transport
from paymentvault.sandbox.keys import shared_keys
from tests.samples import sample

ACK = Answer(200, json.dumps(sample("daraja/response-b2c-ack-official.json")))
TOKEN = Answer(200, json.dumps(sample("daraja/response-oauth-official.json")))


class Wire:
    """Answers, or raises, what a test says; keeps every POST that left us."""

    def __init__(self) -> None:
        self.answer: Answer | Exception = ACK
        self.token: Answer | Exception = TOKEN
        self.posts: list[dict[str, Any]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def send(self, method: str, url: str, **request: Any) -> Answer:
        if method == "GET":
            return self._give(self.token)
        self.posts.append(request["json"])
        self.meanwhile()
        return self._give(self.answer)

    def _give(self, answer: Answer | Exception) -> Answer:
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def ids(self) -> list[str]:
        return [post["OriginatorConversationID"] for post in self.posts]


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """M-Pesa, with everything of ours above the network left as it is."""
    made = Wire()
    monkeypatch.setattr(Transport, "send", lambda _, *args, **named: made.send(*args, **named))
    return made


@pytest.fixture(autouse=True)
def bell_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that lets the broker fail must not silence the bell for the next one."""
    monkeypatch.setattr(doorbell, "_quiet_until", 0.0)


class Tokens:
    """Keeps one token, without a database."""

    def __init__(self, fetch: Callable[[], tuple[str, int]]) -> None:
        self.fetch, self.token, self.dropped = fetch, "", 0

    def get(self) -> str:
        self.token = self.token or self.fetch()[0]
        return self.token

    def drop(self, token: str) -> None:
        self.token, self.dropped = "", self.dropped + 1


INITIATOR = Initiator("testapi", "Safaricom999!", shared_keys().certificate_pem)


def client_at(url: str, *, initiator: Initiator = INITIATOR, secret: str = "secret") -> MpesaClient:
    """A client for whatever listens at this address."""
    transport = Transport(allow_private=True, allow_http=True, read_timeout_s=0.5)
    return MpesaClient(
        base_url=url, initiator=initiator, shortcode="600997", transport=transport,
        tokens=Tokens(
            lambda: fetch_token(
                transport, base_url=url, consumer_key="key", consumer_secret=secret
            )
        ),
    )  # fmt: skip


@pytest.fixture
def calls_back(client: Client) -> Callable[..., Any]:
    """M-Pesa posts a body to the address of one of our requests."""

    def post(about: MpesaRequest, body: object, kind: str = "") -> Any:
        kind = kind or ("r" if isinstance(about, Attempt) else about.kind[0])
        if kind == "r" and isinstance(body, dict) and isinstance(body.get("Result"), dict):
            # As M-Pesa does, unless a test says what it names.
            named = {"OriginatorConversationID": about.originator_conversation_id}
            given = {k: v for k, v in body["Result"].items() if v != "" or k not in named}
            body = {**body, "Result": named | given}
        text = body if isinstance(body, str) else json.dumps(body)
        return client.post(f"/cb/{about.callback_token}/{kind}", text, "application/json")

    return post


@pytest.fixture
def told(calls_back: Callable[..., Any], django_capture_on_commit_callbacks: Any) -> Any:
    """The same, processed at once."""

    def post(about: MpesaRequest, body: object, kind: str = "") -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return calls_back(about, body, kind)

    return post


@pytest.fixture
def asked() -> Callable[..., Inquiry]:
    """A question about an attempt, which M-Pesa has yet to answer."""

    def make(attempt: Attempt) -> Inquiry:
        return Inquiry.objects.create(kind="status", attempt=attempt, shortcode=attempt.shortcode)

    return make


@pytest.fixture
def asked_for_balance(shortcode: MpesaShortcode) -> Inquiry:
    return Inquiry.objects.create(kind="balance", shortcode=shortcode)
