"""Outbound HTTP, decided once: time-outs, no redirects, no retries, a size cap, how sure we are.

No Django here: whoever makes a Transport says what is allowed.
"""

import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024


class RemoteError(Exception):
    """A call that did not end in a usable yes.

    `code` is the remote system's own, `status` the HTTP status; both may be unknown.
    """

    def __init__(self, words: str, *, code: str = "", status: int | None = None) -> None:
        super().__init__(words)
        self.code = code
        self.status = status


class NotSent(RemoteError):
    """The request provably never reached them. Trying again is safe."""


class Refused(RemoteError):
    """They answered no. Nothing changed."""


class OutcomeUnknown(RemoteError):
    """The request left us and no usable answer came. It may have taken effect."""


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body with money as Decimal, or None if it isn't JSON."""
        try:
            return json.loads(self.text, parse_float=Decimal)
        except (ValueError, RecursionError):
            return None

    @property
    def object(self) -> dict[str, Any]:
        """The body if it is a JSON object, else an empty one."""
        body = self.json
        return body if isinstance(body, dict) else {}


@dataclass(frozen=True)
class Transport:
    """Sends one request at a time, each on a connection of its own.

    A kept-alive connection can die at any moment, and then nobody can tell whether the request
    was taken; with a fresh one, everything that fails before it stands is provably not sent.
    """

    allow_private: bool = False
    allow_http: bool = False
    ca_bundle: str = ""
    """PEM text of the certificates to trust instead of the public ones."""
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    read_timeout_s: float = READ_TIMEOUT_S

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | AuthBase | None = None,
    ) -> Answer:
        """Send and read the whole answer, or raise NotSent or OutcomeUnknown."""
        if not self.allow_http and urlsplit(url).scheme != "https":
            raise NotSent("Only https addresses are allowed.")
        _progress.connected = False
        try:
            with self._session() as session:
                response = session.request(
                    method, url, params=params, json=json, data=data, headers=headers, auth=auth,
                    stream=True,
                )  # fmt: skip
                return Answer(response.status_code, self._read(response), response.headers)
        except (InvalidIPAddress, requests.exceptions.InvalidURL, ValueError) as error:
            if _progress.connected:
                raise OutcomeUnknown(_in_words(error)) from error
            raise NotSent(f"This address is not allowed: {_in_words(error)}") from error
        except (requests.RequestException, OSError) as error:
            if _progress.connected:
                raise OutcomeUnknown(_in_words(error)) from error
            raise NotSent(_in_words(error)) from error

    @contextlib.contextmanager
    def _session(self) -> Iterator[requests.Session]:
        config = Config(
            ip_filter_enable=not self.allow_private,
            ip_filter_allow_loopback_ips=False,
            never_redirect=True,
            default_timeout=(self.connect_timeout_s, self.read_timeout_s),
            user_agent_override="PaymentVault/1",
        )
        with HTTPSession(config) as session, self._trusted() as verify:
            session.trust_env = False
            session.verify = verify
            for adapter in session.adapters.values():
                adapter.poolmanager.pool_classes_by_scheme = _POOLS
            yield session

    @contextlib.contextmanager
    def _trusted(self) -> Iterator[bool | str]:
        if not self.ca_bundle:
            yield True
            return
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(self.ca_bundle)
            file.flush()
            yield file.name

    def _read(self, response: requests.Response) -> str:
        deadline = time.monotonic() + self.read_timeout_s
        body = b""
        for chunk in response.iter_content(64 * 1024):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise requests.RequestException("The answer is too large.")
            if time.monotonic() > deadline:
                raise requests.Timeout("The answer took too long.")
        return body.decode("utf-8", errors="replace")


# Whether this thread's current request got as far as an established connection (TLS included).
_progress = threading.local()


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _progress.connected = True


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _progress.connected = True


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


def _in_words(error: BaseException) -> str:
    """Say what went wrong without the address, whose path may hold a secret."""
    names = {type(error).__name__: None}
    reason: Any = error.args[0] if error.args else None
    while isinstance(reason := getattr(reason, "reason", reason), BaseException):
        names[type(reason).__name__] = None
        reason = reason.args[-1] if reason.args else None
    words = {
        "NameResolutionError": "its name can't be looked up",
        "ConnectTimeout": "it didn't answer the connection in time",
        "ConnectTimeoutError": "it didn't answer the connection in time",
        "NewConnectionError": "it refused the connection",
        "SSLError": "its TLS certificate or handshake was not acceptable",
        "ReadTimeout": "it didn't answer in time",
        "ReadTimeoutError": "it didn't answer in time",
        "InvalidIPAddress": "it is in a private network",
    }
    return next((words[name] for name in names if name in words), "the connection broke off")
