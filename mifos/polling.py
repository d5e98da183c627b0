"""Approved loans that no hook told us about. Polling is what makes it complete; hooks are fast."""

import structlog
from django.utils import timezone

from disbursements import intake
from disbursements.holds import Hold, HoldReason
from disbursements.models import OVER_BEFORE_PAYMENT, Disbursement
from mifos import events, port
from mifos.port import Resting
from partners.models import MifosConnection
from paymentvault.http import OutcomeUnknown, Refused, RemoteError

log = structlog.get_logger(__name__)

BY = "polling"


def poll(connection: MifosConnection) -> int:
    """Take in what is approved and unknown; returns how many.

    Raises RemoteError; where it is about single loans, only after all the others.
    """
    new, failures = 0, list[RemoteError]()
    with port.talking_to(connection) as mifos:
        for loan in mifos.get_approved_loans():
            try:
                new += 0 if _is_settled(connection, loan.id) else _take_in(connection, loan.id)
            except (Refused, OutcomeUnknown) as error:
                if port.is_silence(error):
                    raise
                failures.append(error)
    if failures:
        raise failures[0]
    now = timezone.now()
    MifosConnection.objects.filter(pk=connection.pk).update(polled_at=now)
    MifosConnection.objects.filter(pk=connection.pk, backlog_listed_at=None).update(
        backlog_listed_at=now
    )
    return new


def _is_settled(connection: MifosConnection, loan_id: int) -> bool:
    """Whether the loan's disbursement stands already, so that it needn't be read again.

    A recorded one isn't: its loan ought to be active, and intake opens a case.
    """
    return (
        Disbursement.objects.filter(connection=connection, loan_id=loan_id)
        .exclude(status__in=[*OVER_BEFORE_PAYMENT, "recorded"])
        .exists()
    )


def _take_in(connection: MifosConnection, loan_id: int) -> int:
    facts = port.read_facts(connection, loan_id)
    if not facts.is_approved:
        return 0
    before = events.was_before_switch_on(connection, facts, heard_at=timezone.now())
    found = before or _backlog(connection)
    taken = intake.take_in(
        facts, connection=connection, origin=Disbursement.Origin.MIFOS_POLL, by=BY, found=found
    )
    return int(taken.is_new)


def _backlog(connection: MifosConnection) -> list[HoldReason]:
    """The first poll after switching on lists what was there before, for a person."""
    if connection.backlog_listed_at:
        return []
    words = "It was approved when this connection was switched on. Was it paid another way?"
    return [HoldReason(Hold.BEFORE_SWITCH_ON, words)]


def poll_all() -> int:
    """Poll every connection that is on; one that fails doesn't keep the others from it."""
    new = 0
    for connection in MifosConnection.objects.filter(is_on=True, partner__is_active=True):
        try:
            new += poll(connection)
        except Resting:
            continue
        except RemoteError as error:
            log.warning("poll_failed", connection_id=connection.pk, words=str(error))
            MifosConnection.objects.filter(pk=connection.pk).update(last_error=str(error)[:300])
        except Exception:
            # A fault of ours, with one partner's loans, is no reason to miss the others'.
            log.exception("poll_broke", connection_id=connection.pk)
    return new
