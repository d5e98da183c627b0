"""A pretend Safaricom with one app, and a partner that uses it."""

from collections.abc import Iterator

import pytest

from paymentvault.sandbox.safaricom import Safaricom
from paymentvault.sandbox.server import Server
from tests.sandbox.listener import Listener
from tests.sandbox.safaricom.calls import Partner, add_app


@pytest.fixture(scope="session")
def daraja() -> Iterator[Server]:
    """One for all tests, since stopping a server takes a twentieth of a second."""
    with Server(Safaricom()) as server:
        yield server


@pytest.fixture
def world(daraja: Server) -> Safaricom:
    world = daraja.world
    world.reset()
    world.callback_delay_s = 0.03
    world.gateway.token_life_s = 3599
    add_app(world)
    return world


@pytest.fixture
def partner(daraja: Server, world: Safaricom, listener: Listener) -> Iterator[Partner]:
    partner = Partner(daraja.url, listener.url, world.certificate_pem)
    partner.sign_in()
    yield partner
    assert world.settle()
    partner.http.close()
