"""The loan system behind disbursements, for `disbursements`, which doesn't know Mifos X."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.utils import timezone

from disbursements.loans import LoanFacts
from disbursements.models import Disbursement
from mifos.client import MifosClient
from mifos.oauth import fetch_oauth_token
from partners.models import MifosConnection
from partners.tokens import TokenStore
from paymentvault import doorbell, networks
from paymentvault.http import NotSent, OutcomeUnknown, RemoteError, Transport

# After a server that doesn't answer, its partner's work rests, so that it can't hold workers up.
REST = timedelta(seconds=30)


class Resting(NotSent):
    """The server has just failed to answer; it isn't asked again at once."""


def client_of(connection: MifosConnection) -> MifosClient:
    transport = networks.transport(
        ca_bundle=connection.ca_bundle, connect_timeout_s=5, read_timeout_s=20
    )
    return MifosClient(
        base_url=connection.base_url,
        tenant=connection.tenant_id,
        transport=transport,
        username=connection.username,
        password=connection.password,
        tokens=_tokens(connection, transport) if connection.oauth_token_url else None,
    )


def _tokens(connection: MifosConnection, transport: Transport) -> TokenStore:
    given = {
        "token_url": connection.oauth_token_url,
        "client_id": connection.oauth_client_id,
        "client_secret": connection.oauth_client_secret,
        "username": connection.username,
        "password": connection.password,
    }
    return TokenStore(*given.values(), fetch=lambda: fetch_oauth_token(transport, **given))


def rested_client_of(connection: MifosConnection) -> MifosClient:
    """A client, unless the server has just failed to answer. Raises Resting."""
    if connection.resting_until and connection.resting_until > timezone.now():
        raise Resting(f"Mifos X doesn't answer: {connection.last_error}")
    return client_of(connection)


@contextmanager
def talking_to(connection: MifosConnection) -> Iterator[MifosClient]:
    """A client for some calls; a server that stays silent rests for a while afterwards.

    An error that it answers with is no silence: one loan that it can't show mustn't keep the
    others waiting.
    """
    mifos = rested_client_of(connection)
    try:
        yield mifos
    except RemoteError as error:
        if is_silence(error):
            _rest(connection, str(error))
        raise
    _answers(connection)


def read_facts(connection: MifosConnection, loan_id: int) -> LoanFacts:
    """The loan and its client now. Raises RemoteError."""
    read_at = timezone.now()
    with talking_to(connection) as mifos:
        loan = mifos.get_loan(loan_id)
        client = mifos.get_client(loan.client_id) if loan.client_id else None
    return LoanFacts(
        loan_id=loan.id,
        is_approved=loan.is_approved,
        status_words=loan.status.lower() or str(loan.status_id),
        read_at=read_at,
        account=loan.account,
        approved_on=loan.approved_on,
        product_id=loan.product_id,
        product_name=loan.product_name,
        client_id=loan.client_id,
        client_name=(client.name if client else "") or loan.client_name,
        is_disbursed=loan.is_disbursed,
        client_is_active=bool(client and client.is_active),
        phone=client.mobile if client else "",
        currency=loan.currency,
        gross=loan.approved_principal,
        fees=loan.fees_at_disbursement,
        net_told=loan.net_disbursal,
        is_top_up=loan.is_top_up,
        has_tranches=loan.has_tranches,
        is_individual=loan.is_individual,
        has_transfer_charges=loan.has_transfer_charges,
    )


def is_silence(error: RemoteError) -> bool:
    """Whether the server didn't answer at all, as opposed to a refusal or an error's answer."""
    return isinstance(error, NotSent | OutcomeUnknown) and error.status is None


def _rest(connection: MifosConnection, words: str) -> None:
    now = timezone.now()
    rows = MifosConnection.objects.filter(pk=connection.pk)
    rows.update(resting_until=now + REST, last_error=words[:300])
    rows.filter(failing_since=None).update(failing_since=now)


def _answers(connection: MifosConnection) -> None:
    if connection.failing_since:
        MifosConnection.objects.filter(pk=connection.pk).update(
            failing_since=None, resting_until=None, last_error=""
        )


class MifosLoans:
    """disbursements.loans.LoanSystem, by Mifos X."""

    def read(self, disbursement: Disbursement) -> LoanFacts:
        connection = MifosConnection.objects.get(disbursements=disbursement)
        assert disbursement.loan_id is not None  # noqa: S101 -- it has a connection
        return read_facts(connection, disbursement.loan_id)

    def paid(self, disbursement: Disbursement) -> None:
        from mifos.tasks import record_in_mifos  # tasks import this module's neighbours

        doorbell.ring(record_in_mifos, disbursement.pk)
