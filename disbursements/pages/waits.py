"""How long something has waited: bands that the charts count and the list filters by."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from disbursements.states import Status

WAITS = [
    Status.HELD, Status.AWAITING_APPROVAL, Status.APPROVED, Status.SENDING, Status.SENT,
    Status.IN_DOUBT, Status.FAILED,
]  # fmt: skip


@dataclass(frozen=True)
class Band:
    """A time in one state, from the first to before the second."""

    key: str
    label: str
    least: timedelta | None
    most: timedelta | None

    def condition(self, now: datetime) -> Q:
        found = Q()
        if self.least is not None:
            found &= Q(status_at__lte=now - self.least)
        if self.most is not None:
            found &= Q(status_at__gt=now - self.most)
        return found


_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
BANDS = [
    Band("hour", "Up to an hour", None, _HOUR),
    Band("day", "Up to a day", _HOUR, _DAY),
    Band("week", "Up to a week", _DAY, _WEEK),
    Band("longer", "More than a week", _WEEK, None),
]


def what_waits() -> Q:
    """Neither over nor done; one paid by hand has no Mifos X that it could wait for."""
    return Q(status__in=WAITS) | Q(status=Status.PAID, connection__isnull=False)
