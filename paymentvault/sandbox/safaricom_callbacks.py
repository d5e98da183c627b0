"""Calls the partner back: by real HTTP, on threads of their own, once and never again."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from paymentvault.sandbox.server import UnderWay

TIMEOUT_S = 5
PATIENCE_S = 1
"""How long a script waits for an answer that may never leave, the client having gone."""


@dataclass(frozen=True)
class Call:
    url: str
    body: Any
    """Sent as JSON; a string goes as it is."""


@dataclass(frozen=True)
class Step:
    pause_s: float
    calls: tuple[Call, ...]
    """Those of one step are made at the same moment."""


@dataclass(frozen=True)
class Delivery:
    url: str
    body: Any
    status: int | None = None
    error: str = ""


class Courier:
    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._era = 0
        self._under_way = UnderWay()

    def forget(self) -> None:
        """Drop what was delivered, and what is still to be."""
        self._era += 1
        self.deliveries.clear()

    def play(self, steps: Sequence[Step], *, once: threading.Event) -> None:
        """Deliver the steps in their order, once the answer has left."""
        era = self._era

        def run() -> None:
            once.wait(PATIENCE_S)
            for step in steps:
                time.sleep(step.pause_s)
                if era == self._era:
                    self.deliver(step)

        self._under_way.later(0, run)

    def deliver(self, step: Step) -> None:
        """Make the calls of one step and return when all were answered."""
        threads = [threading.Thread(target=self._send, args=(call,)) for call in step.calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def settle(self, timeout_s: float) -> bool:
        """Wait until no callback is on its way, and say whether that came true."""
        return self._under_way.settle(timeout_s)

    def _send(self, call: Call) -> None:
        data = call.body if isinstance(call.body, str) else json.dumps(call.body)
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(
                    call.url,
                    data=data.encode(),
                    headers={"Content-Type": "application/json"},
                    timeout=TIMEOUT_S,
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            self.deliveries.append(Delivery(call.url, call.body, error=str(error)))
        else:
            self.deliveries.append(Delivery(call.url, call.body, status=answer.status_code))
