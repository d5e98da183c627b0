"""People and things: a lender with its Mifos X and its M-Pesa, both real HTTP servers."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from disbursements import intake
from disbursements.loans import LoanFacts
from disbursements.models import Attempt, Disbursement
from disbursements.states import Status
from partners import webhook_tokens
from partners.models import MifosConnection, MpesaShortcode, Partner
from paymentvault.models import User
from paymentvault.sandbox.mifos import Mifos
from paymentvault.sandbox.safaricom import Safaricom
from paymentvault.sandbox.server import Server, UnderWay
from tests.samples import AMINA

Fixture = Any


@pytest.fixture(scope="session")
def safaricom_server() -> Iterator[Server]:
    with Server(Safaricom(callback_delay_s=0.01)) as server:
        yield server


@pytest.fixture(scope="session")
def mifos_server() -> Iterator[Server]:
    with Server(Mifos(hook_delay_s=0.0)) as server:
        yield server


@pytest.fixture
def safaricom(safaricom_server: Server) -> Iterator[Safaricom]:
    """The pretend Safaricom, with the lender's app."""
    world = safaricom_server.world
    world.reset()
    world.add_app(
        consumer_key="key", consumer_secret="secret", shortcode="600997", initiator="testapi",
        password="Safaricom999!", utility_balance=1_000_000,
    )  # fmt: skip
    yield world
    world.settle()


@pytest.fixture
def mifos(mifos_server: Server) -> Mifos:
    """The pretend Mifos X, with the user that Payment Vault signs in as."""
    world = mifos_server.world
    world.reset()
    world.add_user("vault", "mifos-password")
    return world


class Answering(ThreadedWSGIServer):
    """Knows what it is still answering: a request ends after its client has the answer."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.under_way = UnderWay()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.under_way.begin()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.under_way.end()


@pytest.fixture(scope="session")
def live_server() -> Iterator[LiveServer]:
    """pytest-django's, which starts and stops with the session, as a server that can be awaited."""
    server = LiveServer("localhost", start=False)
    server.thread.server_class = Answering
    server.start()
    yield server
    server.stop()


# Within pytest's own wrapper, which captures what is printed meanwhile.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """What a test set going ends before its fixtures do, and so before its database is emptied.

    A hook or callback that is still being answered would deadlock with the flush, or write into
    the next test's tables.
    """
    try:
        if "live_server" in item.funcargs:
            _settle(item.funcargs)
    finally:
        yield


def _settle(used: dict[str, Any]) -> None:
    answering = used["live_server"].thread.httpd.under_way
    worlds = [used[name].world for name in ("safaricom_server", "mifos_server") if name in used]
    begun = None
    # A request may set a callback or hook going, which makes a request, and so on.
    while begun != answering.begun:
        begun = answering.begun
        assert answering.settle(30), "a request is still being answered"
        assert all(world.settle(30) for world in worlds), "a callback or hook is still on its way"


@pytest.fixture
def lender(db: None) -> Partner:
    return Partner.objects.create(name="Pesa Pamoja", code="pamoja", is_automatic=True)


@pytest.fixture
def connection(lender: Partner, mifos_server: Server) -> MifosConnection:
    made = MifosConnection.objects.create(
        partner=lender, host_url=mifos_server.url, tenant_id="default", username="vault",
        password="mifos-password", payment_type_id=26, configured_at=timezone.now(), is_on=True,
        switched_on_at=timezone.now(), backlog_listed_at=timezone.now(),
    )  # fmt: skip
    webhook_tokens.generate(made)
    return made


@pytest.fixture
def shortcode(lender: Partner, safaricom_server: Server) -> MpesaShortcode:
    return MpesaShortcode.objects.create(
        partner=lender, shortcode="600997", base_url_override=safaricom_server.url,
        consumer_key="key", consumer_secret="secret", initiator_name="testapi",
        initiator_password="Safaricom999!", is_default=True,
        certificate=safaricom_server.world.certificate_pem, credential_proved_at=timezone.now(),
    )  # fmt: skip


@pytest.fixture
def amina(db: None) -> User:
    return User.objects.create_user("amina", password="amina")


@pytest.fixture
def baraka(db: None) -> User:
    return User.objects.create_user("baraka", password="baraka")


@pytest.fixture
def facts() -> Callable[..., LoanFacts]:
    """A loan as Mifos X has it, with whatever a test changes."""

    def make(**changes: Any) -> LoanFacts:
        plain = {
            "loan_id": 3198, "is_approved": True, "status_words": "approved",
            "read_at": timezone.now(), "account": "000003198",
            "approved_on": timezone.localdate(), "client_id": 2, "client_name": "Amina Otieno",
            "phone": "0712 345 678", "gross": Decimal(10_000), "fees": Decimal(500),
        }  # fmt: skip
        return LoanFacts(**(plain | changes))

    return make


@pytest.fixture
def take_in(connection: MifosConnection, facts: Fixture) -> Callable[..., Disbursement]:
    """Take a loan in, as a webhook does."""

    def take(**changes: Any) -> Disbursement:
        taken = intake.take_in(
            facts(**changes), connection=connection, origin=Disbursement.Origin.MIFOS_WEBHOOK,
            by="Mifos X",
        )  # fmt: skip
        return taken.disbursement

    return take


@pytest.fixture
def manual(lender: Partner, amina: User) -> Callable[..., Disbursement]:
    """A disbursement without a loan system, in a state of the test's choice."""

    def make(status: Status = Status.APPROVED, **changes: Any) -> Disbursement:
        plain: dict[str, Any] = {
            "partner": lender, "origin": Disbursement.Origin.MANUAL, "msisdn": AMINA,
            "gross_amount": 10_000, "amount": 10_000, "facts_read_at": timezone.now(),
            "requested_by": amina,
        }  # fmt: skip
        if status == Status.HELD:
            plain |= {"hold_words": "For a test.", "holds": ["top_up"]}
        if status in (Status.PAID, Status.RECORDED):
            plain |= {"mpesa_receipt": "TJM7XXXXXX", "paid_at": timezone.now()}
        return Disbursement.objects.create(**(plain | {"status": status} | changes))

    return make


@pytest.fixture
def sent(manual: Fixture, shortcode: MpesaShortcode) -> Callable[..., Attempt]:
    """An attempt that M-Pesa has accepted."""

    def make(status: Status = Status.SENT, *, attempt: str = "sent", **changes: Any) -> Attempt:
        disbursement = manual(status, **changes)
        return Attempt.objects.create(
            disbursement=disbursement, shortcode=shortcode, msisdn=disbursement.msisdn,
            amount_kes=disbursement.amount_kes, status=attempt,
        )  # fmt: skip

    return make
