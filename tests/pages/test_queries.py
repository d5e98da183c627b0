"""No page asks the database more than a dozen times, nor more when it lists more rows."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from partners.models import Membership, Partner
from tests.pages import everybody, rows, walk

A_DOZEN = 12


@pytest.fixture
def baraka(client, db):
    made = rows.make(3)
    client.force_login(made.baraka)
    # What breaks is listed with the others.
    client.raise_request_exception = False
    return client, made


def opened(client, page):
    """What a page answers, read to its end, and what it asked."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(page.path, headers={"accept": "text/html"})
        if answer.streaming:
            b"".join(answer.streaming_content)
    return answer, queries.captured_queries


def test_every_address_has_a_name_and_an_example(baraka):
    _, made = baraka

    found = walk.pages(made)

    assert {"home", "profile", "disbursements:list", "partners:list"} <= {p.name for p in found}


def test_every_page_opens_for_somebody_in_every_group(baraka):
    client, made = baraka

    answers = {page: opened(client, page)[0].status_code for page in walk.pages(made)}

    # 405 is an act that only a form's button does.
    wrong = {str(page): status for page, status in answers.items()
             if status not in ((302,) if page.name in walk.LEADS_ON else (200, 405))}  # fmt: skip
    assert wrong == {}


def test_no_page_asks_more_than_a_dozen_times_nor_more_for_more_rows(baraka):
    client, made = baraka
    for_few = asked(client, made)

    made.more(27)
    for_many = asked(client, made)

    assert {name: n for name, n in for_many.items() if n > A_DOZEN} == {}
    assert {name: (for_few[name], n) for name, n in for_many.items() if n > for_few[name]} == {}


@pytest.mark.parametrize("number", [1, 3])
def test_a_member_of_some_partners_asks_no_more_often(client, db, number):
    made = rows.make(3)
    # Of several, so that one query a partner would show.
    lenders = Partner.objects.filter(code__startswith="lender-")[: number - 1]
    for partner in (made.partner, *lenders):
        for role in everybody.AT_A_PARTNER:
            Membership.objects.create(user=made.amina, partner=partner, role=role)
    client.force_login(made.amina)
    client.raise_request_exception = False
    for_few = asked(client, made)

    made.more(27)
    for_many = asked(client, made)

    assert {name: n for name, n in for_many.items() if n > A_DOZEN} == {}
    assert {name: (for_few[name], n) for name, n in for_many.items() if n > for_few[name]} == {}


def asked(client, made):
    """The most queries that any example of each page made."""
    most: dict[str, int] = {}
    for page in walk.pages(made):
        _, queries = opened(client, page)
        most[page.name] = max(most.get(page.name, 0), len(queries))
    return most
