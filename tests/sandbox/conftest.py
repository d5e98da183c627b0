"""Who listens to the pretend worlds."""

from collections.abc import Iterator

import pytest

from paymentvault.sandbox.server import Server
from tests.sandbox.listener import Listener


@pytest.fixture(scope="session")
def listening() -> Iterator[Server]:
    with Server(Listener()) as server:
        yield server


@pytest.fixture
def listener(listening: Server) -> Listener:
    listener = listening.world
    listener.forget()
    listener.url = listening.url
    return listener
