"""A pretend Mifos X of every version, and a caller of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from paymentvault.sandbox.mifos import Mifos
from paymentvault.sandbox.mifos_generation import GENERATIONS
from paymentvault.sandbox.server import Server
from tests.sandbox.listener import Listener
from tests.sandbox.mifos.calls import Api


@pytest.fixture(scope="session")
def versions() -> Iterator[dict[str, Server]]:
    """One server for each version, because stopping one takes a moment."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(Server(Mifos(generation=name, hook_delay_s=0.01)))
            for name in GENERATIONS
        }


@pytest.fixture
def start(versions: dict[str, Server], listener: Listener) -> Iterator[Callable[..., Api]]:
    """Begin with an empty Mifos X; hooks still on their way end with the test."""

    def started(generation: str = "1.10") -> Api:
        mifos = versions[generation].world
        mifos.add_user("robot", "secret")
        mifos.hook_commit_lag_s = 0.15
        return Api(versions[generation], listener)

    yield started
    for server in versions.values():
        server.world.safaricom_url = None
        server.world.reset()
        assert server.world.settle()


@pytest.fixture
def api(start: Callable[..., Api]) -> Api:
    return start()
