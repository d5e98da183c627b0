"""The approved loans in Mifos X that aren't here yet, and what would become of each."""

import time
from collections.abc import Iterator

from django.db.models import prefetch_related_objects
from django.utils import timezone

from disbursements.outlook import Outlook, Prospect
from mifos import events, polling, port
from partners.models import MifosConnection
from paymentvault.http import NotSent, RemoteError

AT_MOST = 50
LONGEST_S = 60.0


class More(Exception):
    """There are loans that weren't looked at."""


def prospects(connection: MifosConnection, *, is_automatic: bool) -> Iterator[Prospect | str]:
    """Each loan's prospect, or the words why it can't be read; nothing is written.

    As if the partner's automatic disbursement were as given. Raises RemoteError, and More after
    as many as anybody reads.
    """
    connection.partner.is_automatic = is_automatic
    prefetch_related_objects([connection], "products")
    under_way = set(polling.under_way(connection).values_list("loan_id", flat=True))
    outlook, seen = Outlook(connection), 0
    until = time.monotonic() + LONGEST_S
    for loan in port.client_of(connection).get_approved_loans():
        if loan.id in under_way:
            continue
        if seen >= AT_MOST or time.monotonic() > until:
            raise More
        seen += 1
        try:
            prospect = _prospect(connection, outlook, loan.id)
        except NotSent:
            raise
        except RemoteError as error:
            if port.is_silence(error):
                raise
            yield f"Loan {loan.id} can't be read: {error}"
            continue
        if prospect and prospect.status:
            yield prospect


def _prospect(connection: MifosConnection, outlook: Outlook, loan_id: int) -> Prospect | None:
    facts = port.read_facts(connection, loan_id)
    if not facts.is_approved:
        return None
    found = events.was_before_switch_on(connection, facts, heard_at=timezone.now())
    return outlook.of(facts, found=found)
