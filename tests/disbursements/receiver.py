"""A partner's own system: a real HTTP server that takes webhooks, or doesn't."""

import threading
from typing import Any

from paymentvault.sandbox.server import Answer, Request, World


class Receiver(World):
    """Keeps what it is told; answers each with the next of `answers`, then with 204."""

    def __init__(self) -> None:
        self.told: list[Request] = []
        self.answers: list[Any] = []
        self.hangs = threading.Event()
        self.released = threading.Event()

    def handle(self, request: Request) -> Answer:
        self.told.append(request)
        if self.hangs.is_set():
            self.released.wait(20)
        answer = self.answers.pop(0) if self.answers else Answer(204)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.told]
