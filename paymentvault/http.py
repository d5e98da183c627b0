"""Outbound HTTP, decided once: time-outs, no redirects, no retries, a size cap, how sure we are.

No Django here: whoever makes a Transport says what is allowed.
"""

import contextlib
import json
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

import requests
import urllib3
from requests.auth import AuthBase
from requests_hardened import Config, HTTPSession
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from paymentvault import destinations
from paymentvault.destinations import Allowed, NotAllowed, Rules

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
    # Bodies hold access tokens and people's data; neither belongs in a traceback.
    text: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def json(self) -> Any:
        """The body with money as Decimal, or None if it isn't JSON."""
        try:
            return json.loads(self.text, parse_float=Decimal, parse_constant=_not_a_number)
        except (ValueError, RecursionError, ArithmeticError):
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
    allowed_networks: tuple[Allowed, ...] = ()
    """Those that may be reached although they are private, or at other ports."""
    ca_bundle: str = ""
    """PEM text of the certificates to trust instead of the public ones."""
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    read_timeout_s: float = READ_TIMEOUT_S
    """From the standing connection to the last byte of the answer, however it drips."""
    reads_body: bool = True
    """False where an answer's status is all that counts."""

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, str] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | AuthBase | None = None,
    ) -> Answer:
        """Send and read the whole answer, or raise NotSent or OutcomeUnknown."""
        rules = Rules(self.allow_private, self.allow_http, self.allowed_networks)
        _current.call = call = _Call(self.read_timeout_s, rules)
        try:
            rules.check_url(url)
            with self._session() as session, call:
                response = session.request(
                    method, url, params=params, json=json, data=data, headers=headers,
                    auth=_in_utf8(auth), stream=True,
                )  # fmt: skip
                text = self._read(response) if self.reads_body else ""
                if call.is_late():
                    # Without a length, an answer that was cut off looks whole.
                    raise requests.ReadTimeout
                return Answer(response.status_code, text, response.headers)
        except _ERRORS as error:
            raise _how_sure(call, error) from error

    @contextlib.contextmanager
    def _session(self) -> Iterator[requests.Session]:
        config = Config(
            # Ours looks at all addresses of a name, and knows networks that are allowed.
            ip_filter_enable=False,
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
        body = b""
        for chunk in response.iter_content(64 * 1024):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise _TooLarge
        return body.decode("utf-8", errors="replace")


class _TooLarge(requests.RequestException):
    pass


# urllib3 lets a few of its own through requests; a ValueError is an address or header of no use.
_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class _Call:
    """How far a request got, and the end of its time.

    Time-outs of sockets begin anew with each byte, so a server that drips could hold a worker
    for days. A timer ends the connection instead.
    """

    def __init__(self, seconds: float, rules: Rules) -> None:
        self.rules = rules
        self.connected = False
        self._seconds = seconds
        self._is_late = threading.Event()
        self._timer: threading.Timer | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        if self._timer:
            self._timer.cancel()

    def stands(self, sock: socket.socket) -> None:
        """The connection is established, TLS included."""
        self.connected = True
        self._timer = threading.Timer(self._seconds, self._end, [sock])
        self._timer.daemon = True
        self._timer.start()

    def _end(self, sock: socket.socket) -> None:
        self._is_late.set()
        with contextlib.suppress(OSError):
            # Not SSLSocket's own, which would change what the reading thread works with.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def is_late(self) -> bool:
        return self._is_late.is_set()


# The current thread's call, for the connection that urllib3 makes for it.
_current = threading.local()


def _dialled(connection: HTTPConnection) -> socket.socket:
    """A connection to an address that was checked, with the errors that urllib3 expects."""
    try:
        found = _current.call.rules.reachable(connection.host, connection.port)
        timeout_s = float(connection.timeout or CONNECT_TIMEOUT_S)
        return destinations.dial(
            found, timeout_s=timeout_s, options=connection.socket_options or ()
        )
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, "no connection in time") from error
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _dialled(self)

    def connect(self) -> None:
        super().connect()
        _current.call.stands(self.sock)


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _dialled(self)

    def connect(self) -> None:
        super().connect()
        _current.call.stands(self.sock)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


def _how_sure(call: _Call, error: Exception) -> RemoteError:
    words = "it didn't answer in time" if call.is_late() else _in_words(error)
    return OutcomeUnknown(words) if call.connected else NotSent(words)


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _in_utf8(auth: tuple[str, str] | AuthBase | None) -> Any:
    """Basic credentials as servers read them today; requests would say it in Latin-1 or fail."""
    return tuple(part.encode() for part in auth) if isinstance(auth, tuple) else auth


def _in_words(error: BaseException) -> str:
    """Say what went wrong without the address, whose path may hold a secret."""
    link: BaseException | None = error
    while link:
        if isinstance(link, NotAllowed):
            return str(link)
        if words := _WORDS.get(type(link).__name__):
            return words
        link = link.__cause__ or link.__context__
    return "the connection broke off"


_WORDS = {
    "NameResolutionError": "its name can't be looked up",
    "gaierror": "its name can't be looked up",
    "ConnectTimeout": "it didn't answer the connection in time",
    "ConnectTimeoutError": "it didn't answer the connection in time",
    "NewConnectionError": "it refused the connection",
    "SSLError": "its TLS certificate or handshake was not acceptable",
    "ReadTimeout": "it didn't answer in time",
    "ReadTimeoutError": "it didn't answer in time",
    "ContentDecodingError": "its answer can't be unpacked",
    "_TooLarge": "its answer is too large",
    **dict.fromkeys(
        ("InvalidURL", "InvalidSchema", "MissingSchema", "LocationParseError", "UnicodeError"),
        "it is not a whole web address",
    ),
    "InvalidHeader": "the request or its answer has a header that is not allowed",
    "ValueError": "it is not a whole web address",
}
