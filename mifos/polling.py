"""Approved loans that no hook told us about. Polling is what makes it complete; hooks are fast."""

from datetime import timedelta

import structlog
from django.db.models import Q, QuerySet
from django.utils import timezone

from disbursements import cases, intake
from disbursements.models import OVER_BEFORE_PAYMENT, Disbursement
from disbursements.states import Status
from mifos import events, port
from mifos.port import Resting
from partners.models import MifosConnection
from paymentvault import sweeping
from paymentvault.http import NotSent, RemoteError

log = structlog.get_logger(__name__)

BY = "polling"
POLLED_TOO_LONG_AGO = timedelta(minutes=15)


def poll(connection: MifosConnection) -> int:
    """Take in what is approved and unknown; returns how many.

    Raises RemoteError; where it is about single loans, only after all the others.
    """
    new, failures = 0, list[RemoteError]()
    standing = set(under_way(connection).values_list("loan_id", flat=True))
    with port.talking_to(connection) as mifos:
        for loan in mifos.get_approved_loans():
            if loan.id in standing:
                continue
            try:
                new += _take_in(connection, loan.id)
            except RemoteError as error:
                if isinstance(error, NotSent) or port.is_silence(error):
                    raise
                failures.append(error)
            except Exception as error:
                # A fault of ours, with one loan, is no reason to miss the others.
                log.exception("loan_not_taken_in", loan_id=loan.id)
                words = (
                    f"Loan {loan.id} can't be taken in, by a fault of ours: {type(error).__name__}"
                )
                failures.append(RemoteError(words))
    if failures:
        raise failures[0]
    now = timezone.now()
    MifosConnection.objects.filter(pk=connection.pk).update(polled_at=now)
    MifosConnection.objects.filter(pk=connection.pk, backlog_listed_at=None).update(
        backlog_listed_at=now
    )
    return new


def under_way(connection: MifosConnection) -> QuerySet[Disbursement]:
    """Those under way, whose loans needn't be read again.

    A recorded one isn't: its loan ought to be active, and intake opens a case.
    """
    over = [*OVER_BEFORE_PAYMENT, Status.RECORDED]
    return Disbursement.objects.filter(connection=connection).exclude(status__in=over)


def _take_in(connection: MifosConnection, loan_id: int) -> int:
    facts = port.read_facts(connection, loan_id)
    if not facts.is_approved:
        return 0
    found = events.was_before_switch_on(connection, facts, heard_at=timezone.now())
    taken = intake.take_in(
        facts, connection=connection, origin=Disbursement.Origin.MIFOS_POLL, by=BY, found=found
    )
    return int(taken.is_new)


def connections_to_poll() -> QuerySet[MifosConnection]:
    return MifosConnection.objects.filter(is_on=True, partner__is_active=True)


def poll_one(pk: int) -> int:
    """Poll a connection unless that is going on already; what fails is kept where staff see it."""
    connection = connections_to_poll().select_related("partner").filter(pk=pk).first()
    if connection is None:
        return 0
    with sweeping.leased(connection) as is_ours:
        try:
            return poll(connection) if is_ours else 0
        except Resting:
            return 0
        except RemoteError as error:
            log.warning("poll_failed", connection_id=connection.pk, words=str(error))
            MifosConnection.objects.filter(pk=connection.pk).update(last_error=str(error)[:300])
            return 0


def show_what_is_late() -> None:
    """A connection that hasn't been polled to its end for long is in front of a person."""
    long_ago = timezone.now() - POLLED_TOO_LONG_AGO
    late = connections_to_poll().filter(switched_on_at__lt=long_ago).filter(
        Q(polled_at__lt=long_ago) | Q(polled_at__isnull=True)
    )  # fmt: skip
    for connection in late:
        words = (
            f"{connection} hasn't been polled to its end for over 15 minutes: "
            f"{connection.last_error or 'no error is known.'} Loans whose hook was lost are not "
            "found meanwhile, so they are not paid. Test the connection."
        )
        cases.open_case("poll_late", words, connection=connection)
    served = MifosConnection.objects.filter(cases__kind="poll_late", cases__closed_at=None)
    for connection in served.exclude(pk__in=late):
        cases.close_cases("poll_late", by="system", note="Polled.", connection=connection)
