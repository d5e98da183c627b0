"""A small threaded HTTP server that can also misbehave: reset, hang up, answer late or in HTML."""

import json
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Header names in lower case."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"null")

    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    after: Callable[[], None] | None = None
    """Called once the answer has left, such as to send a callback."""

    def encoded(self) -> tuple[bytes, str]:
        if self.body is None:
            return b"", "text/plain"
        if isinstance(self.body, bytes):
            return self.body, "application/octet-stream"
        if isinstance(self.body, str):
            return self.body.encode(), "text/html; charset=utf-8"
        return json.dumps(self.body).encode(), "application/json"


class HangUp(Exception):
    """Close the connection without an answer."""


class Reset(Exception):
    """Reset the connection (TCP RST) without an answer."""


class World:
    """What is behind a server. `handle` may raise HangUp or Reset."""

    def handle(self, request: Request) -> Answer:
        raise NotImplementedError


class Server:
    """Serves a World on a loopback address, in threads, until stopped."""

    def __init__(self, world: World, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.world = world
        self._http = _Http((host, port), world)
        self.host, self.port = host, self._http.server_address[1]
        self.url = f"http://{host}:{self.port}"

    def start(self) -> "Server":
        threading.Thread(target=self.serve, name=f"sandbox-{self.port}", daemon=True).start()
        return self

    def serve(self) -> None:
        self._http.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left before its answer is none of our faults."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def __init__(self, address: tuple[str, int], world: World) -> None:
        super().__init__(address, _Handler)
        self.world = world


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"
    # Headers and body leave in two writes; Nagle would hold the second for 40 ms.
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        try:
            answer = self.server.world.handle(self._request())
        except HangUp:
            self.close_connection = True
            return
        except Reset:
            self._reset()
            return
        self._send(answer)
        if answer.after:
            answer.after()

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        return Request(
            method=self.command,
            path=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={k.lower(): v for k, v in self.headers.items()},
            body=self.rfile.read(length),
        )

    def _send(self, answer: Answer) -> None:
        payload, content_type = answer.encoded()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", content_type))
        self.send_header("Content-Length", str(len(payload)))
        for name, value in answer.headers.items():
            if name != "Content-Type":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()

    def _reset(self) -> None:
        # SO_LINGER with zero seconds turns close() into a TCP RST.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def log_message(self, *args: object) -> None:
        """Silent: the worlds keep their own ledgers."""


def serve_alone(server: Server) -> None:
    """Say when it is ready, and serve until a signal asks to stop."""
    stop = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stop.set())
    with server:
        sys.stdout.write(f"ready {server.url}\n")
        sys.stdout.flush()
        stop.wait()


class UnderWay:
    """Counts what other threads have begun and not ended, and can wait for its end."""

    def __init__(self) -> None:
        self.begun = 0
        self._ended = 0
        self._changed = threading.Condition()

    def begin(self) -> None:
        with self._changed:
            self.begun += 1

    def end(self) -> None:
        with self._changed:
            self._ended += 1
            self._changed.notify_all()

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Run an act on a thread of its own after a while."""

        def run() -> None:
            try:
                time.sleep(seconds)
                act()
            finally:
                self.end()

        self.begin()
        threading.Thread(target=run, daemon=True).start()

    def settle(self, timeout_s: float) -> bool:
        """Wait until nothing is under way, and say whether that came true."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended == self.begun, timeout_s)
