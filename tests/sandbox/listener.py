"""The lender's side: what a pretend world posts to it."""

import threading
from collections.abc import Callable
from typing import Any

from paymentvault.sandbox.server import Answer, Request, World


class Listener(World):
    """Keeps what is posted to it, and can look something up the moment it comes."""

    def __init__(self) -> None:
        self.url = ""
        self._came = threading.Condition()
        self.forget()

    def forget(self) -> None:
        self.heard: list[Request] = []
        self.seen: list[Any] = []
        self.look: Callable[[], Any] = lambda: None
        self.status = 200

    def handle(self, request: Request) -> Answer:
        if request.method == "POST":
            seen = self.look()
            with self._came:
                self.heard.append(request)
                self.seen.append(seen)
                self._came.notify_all()
        return Answer(self.status)

    def posts(self, count: int = 1, path: str | None = None) -> list[Request]:
        """Wait for so many posts, to one path or to any."""

        def at_path() -> list[Request]:
            return [request for request in self.heard if path in (None, request.path)]

        with self._came:
            assert self._came.wait_for(lambda: len(at_path()) >= count, timeout=3), "none came"
            return at_path()

    def results(self, count: int = 1, path: str = "/r") -> list[Any]:
        """Wait for so many calls to a path and return what they said."""
        return [request.json() for request in self.posts(count, path)]
