"""Every condition of the list is served by an index: over millions of rows it stays quick."""

import json

import pytest
from django.db import connection
from django.http import QueryDict

from disbursements.pages.filters import DisbursementFilter
from partners.models import Membership, Role

SERVED = [
    "q=DSB-17", "q=3198", "q=0712345678", "q=0712 345 678", "q=071234", "q=TJM7ABCDEF",
    "q=5f1c2e0a-8d6b-4a0e-9a53-b1d2b4c90b77", "q=peter otieno", "q=A-17",
    "status=held", "status=held&status=in_doubt", "partner=pamoja", "entered_from=2026-03-01",
    "entered_to=2026-03-01", "paid_from=2026-03-01", "amount_from=5000", "amount_to=5000",
    "view=attention", "view=mine", "view=unrecorded", "view=settlements",
]  # fmt: skip


def steps_of(plan):
    yield plan
    for inner in plan.get("Plans", []):
        yield from steps_of(inner)


@pytest.fixture(params=["at all partners", "at one"])
def somebody(request, lender, amina):
    """Who sees the rows of every partner, or of their own."""
    amina.is_superuser = request.param == "at all partners"
    Membership.objects.create(user=amina, partner=lender, role=Role.APPROVER)
    return amina


@pytest.mark.parametrize("query", SERVED)
def test_a_condition_is_served_by_an_index(somebody, query):
    rows = DisbursementFilter(QueryDict(query), user=somebody).rows.order_by()

    with connection.cursor() as cursor:
        # What is left are indexes that are asked for the condition itself.
        for way in ("seqscan", "indexscan", "indexonlyscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        plan = json.loads(rows.explain(format="json"))[0]["Plan"]

    read_whole = [
        step["Relation Name"] for step in steps_of(plan) if step["Node Type"] == "Seq Scan"
    ]
    assert read_whole == []
