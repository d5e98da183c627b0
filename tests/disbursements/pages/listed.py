"""What tests of the list share: who may what, many rows, and which ones a page shows."""

import re
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.utils import timezone

from disbursements.models import Disbursement, Transition
from disbursements.states import Status
from partners.models import Partner
from paymentvault.models import User

LIST = "/disbursements/"


def allowed(user: User, *names: str) -> User:
    """The person, with these permissions of the app and none besides."""
    found = Permission.objects.filter(content_type__app_label="disbursements", codename__in=names)
    assert found.count() == len(names)
    user.user_permissions.set(found)
    return User.objects.get(pk=user.pk)


def many(partner: Partner, count: int, **changes: Any) -> list[Disbursement]:
    """So many at once; what is callable gets the row's number."""
    plain: dict[str, Any] = {
        "partner": partner, "origin": Disbursement.Origin.MANUAL, "gross_amount": 1_000,
        "amount": 1_000, "facts_read_at": timezone.now(), "status": Status.AWAITING_APPROVAL,
        "msisdn": lambda number: f"2547{number:08}", "client_name": "Grace Njeri",
    } | changes  # fmt: skip
    return Disbursement.objects.bulk_create(
        Disbursement(**{k: v(number) if callable(v) else v for k, v in plain.items()})
        for number in range(count)
    )


def references(answer: HttpResponse) -> list[str]:
    """Those whose row links to them, in order."""
    body = answer.content.decode()
    return re.findall(
        r'<th role="rowheader" scope="row"><a href="/disbursements/\d+/">(DSB-\d+)</a>', body
    )


def of(rows: Iterable[Disbursement]) -> list[str]:
    return [row.reference for row in rows]


def history_of(row: Disbursement) -> list[tuple[str, str]]:
    return list(Transition.objects.filter(disbursement=row).values_list("new", "by"))
