"""Loans in the pretend Mifos X, deliveries of its hooks, and loans that M-Pesa has paid."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from disbursements.models import Disbursement
from disbursements.states import Status
from mifos import connections, port, recording
from mifos.answers import CommandResult
from mifos.client import MifosClient
from mifos.models import Event
from partners.models import MifosConnection
from paymentvault.sandbox.mifos import Mifos
from paymentvault.sandbox.mifos_generation import GENERATIONS, Generation
from paymentvault.sandbox.mifos_records import Received
from tests.samples import AMINA

APPROVED = {"status": {"id": 200, "value": "Approved", "waitingForDisbursal": True}}


def headers(action: str = "APPROVE", entity: str = "LOAN", tenant: str = "default") -> dict:
    return {
        "X-Fineract-Entity": entity,
        "X-Fineract-Action": action,
        "Fineract-Platform-TenantId": tenant,
    }


def flat(loan_id: int, **changes: Any) -> dict:
    """A hook's body up to Fineract 1.4."""
    return {"loanId": loan_id, "resourceId": loan_id, "changes": APPROVED} | changes


def envelope(loan_id: int, action: str = "APPROVE", **changes: Any) -> dict:
    """A hook's body since Fineract 1.5."""
    return {"entityName": "LOAN", "actionName": action, "response": flat(loan_id)} | changes


@pytest.fixture
def approved(mifos: Mifos) -> Callable[..., int]:
    """A loan approved in Mifos X, of which no hook told."""

    def make(mobile: str | None = "0712345678", **changes: Any) -> int:
        client = mifos.add_client(mobile=mobile)
        loan_id = mifos.add_loan(client, **({"principal": 10_000} | changes))
        mifos.approve(loan_id)
        return loan_id

    return make


@pytest.fixture
def heard(connection: MifosConnection) -> Callable[..., Event]:
    """A delivery, kept but not interpreted."""

    def make(body: Any, sent: dict | None = None, **changes: Any) -> Event:
        text = body if isinstance(body, str) else json.dumps(body)
        plain = {"connection": connection, "form": Event.Form.NATIVE, "body": text}
        return Event.objects.create(
            **(plain | {"headers": headers() if sent is None else sent} | changes)
        )

    return make


@pytest.fixture
def paid(connection: MifosConnection, approved: Callable[..., int]) -> Callable[..., Disbursement]:
    """A loan that M-Pesa has paid and Mifos X doesn't know of; fees of 500 were kept."""

    def make(status: Status = Status.PAID, **changes: Any) -> Disbursement:
        loan_id = changes.pop("loan_id", None) or approved(fees=500)
        plain: dict[str, Any] = {
            "partner": connection.partner, "connection": connection, "loan_id": loan_id,
            "origin": Disbursement.Origin.MIFOS_WEBHOOK, "msisdn": AMINA, "gross_amount": 10_000,
            "fees": 500, "amount": 9_500, "approved_on": timezone.localdate(),
            "facts_read_at": timezone.now(), "status": status,
        }  # fmt: skip
        if status in (Status.PAID, Status.RECORDED):
            plain |= {"mpesa_receipt": f"TJM{loan_id:07}", "paid_at": timezone.now()}
        if status == Status.HELD:
            plain |= {"hold_words": "For a test.", "holds": ["top_up"]}
        return Disbursement.objects.create(**(plain | changes))

    return make


@pytest.fixture
def become(mifos: Mifos) -> Iterator[Callable[[str], None]]:
    """Make the pretend Mifos X one of another Fineract version."""
    before = mifos.generation

    def make(version: str) -> None:
        mifos.generation = Generation.named(version)

    yield make
    mifos.generation = before


@pytest.fixture(params=GENERATIONS)
def generation(request: pytest.FixtureRequest, become: Callable[[str], None]) -> str:
    """Each of the Fineract versions that partners run."""
    become(request.param)
    return str(request.param)


@pytest.fixture
def record(connection: MifosConnection) -> Callable[[Disbursement], str]:
    """Record as a worker does, with a server that no longer rests after a silence."""

    def act(disbursement: Disbursement) -> str:
        MifosConnection.objects.update(resting_until=None)
        words = recording.record(disbursement.pk)
        disbursement.refresh_from_db()
        return words

    return act


def disbursals(mifos: Mifos) -> list[Received]:
    """The disburse commands that reached the pretend Mifos X."""
    return [r for r in mifos.requests if r.query.get("command") == "disburse"]


@pytest.fixture
def mifos_client(connection: MifosConnection, mifos: Mifos) -> MifosClient:
    return port.client_of(connection)


@pytest.fixture
def disburse(mifos_client: MifosClient, mifos: Mifos) -> Callable[..., CommandResult]:
    """Disburse a loan today, with whatever a test changes."""

    def act(loan_id: int, **changes: Any) -> CommandResult:
        plain = {
            "on": mifos.today(), "gross": Decimal(10_000), "payment_type_id": 26,
            "msisdn": "254712345678", "receipt": "TJM7XXXXXX", "external_id": f"pv-{loan_id}-1",
            "note": "M-Pesa B2C TJM7XXXXXX", "idempotency_key": "pv-1",
        }  # fmt: skip
        return mifos_client.disburse_loan(loan_id, **(plain | changes))

    return act


@pytest.fixture
def unproven(connection: MifosConnection, mifos: Mifos) -> MifosConnection:
    """A connection that has passed no test yet, and is off."""
    MifosConnection.objects.update(configured_at=None, is_on=False, switched_on_at=None)
    connection.refresh_from_db()
    return connection


@pytest.fixture
def registered(
    unproven: MifosConnection, mifos: Mifos, live_server: Any, settings: Any
) -> MifosConnection:
    """An unproven connection whose hook points here."""
    settings.PUBLIC_URL = live_server.url
    connections.register_hook(unproven, by="amina")
    return unproven
