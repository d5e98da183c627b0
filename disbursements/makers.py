"""Who asked for a disbursement, and so can't be its checker.

Of one that a program asked for it is whoever made the program's API key: they held the key, and
could have asked with it themselves. One that was rotated counts for who rotated it.
"""

from django.db.models import QuerySet

from disbursements.models import Disbursement
from partners.models import ApiKey
from paymentvault.models import User

ENTERED = "Someone else must approve what you entered."
BY_THEIR_KEY = "Someone else must approve what was asked for with an API key you made."
# What `why_not` reads of a disbursement, for select_related.
ITS_KEY = "api_request__api_key"


def why_not(disbursement: Disbursement, by: User) -> str:
    """Why this person can't be its checker, in words for them; "" if they can."""
    if disbursement.requested_by_id == by.pk:
        return ENTERED
    request = getattr(disbursement, "api_request", None)
    key = request.api_key if request else None
    return BY_THEIR_KEY if key and key.created_by_id == by.pk else ""


def who(disbursement: Disbursement) -> User | ApiKey | None:
    """Who asked for it; nobody where it came from a loan."""
    request = getattr(disbursement, "api_request", None)
    return disbursement.requested_by or (request.api_key if request else None)


def of_others(rows: QuerySet[Disbursement], user: User) -> QuerySet[Disbursement]:
    """Those that somebody else asked for."""
    return rows.exclude(requested_by=user).exclude(api_request__api_key__created_by=user)
