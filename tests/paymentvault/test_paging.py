"""Pages by key: every row once, forward and back, whatever arrives meanwhile."""

from decimal import Decimal
from urllib.parse import parse_qs

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from disbursements.models import Disbursement
from paymentvault import paging
from paymentvault.models import AuditEvent
from paymentvault.paging import Pager, Sort, totals

BY_ACT = Sort(("act", "-pk"), "By act")
PAGER = Pager(per_page=3)
SORTED = Pager(sorts={"": Sort(), "act": BY_ACT, "subject": Sort(("subject", "pk"))}, per_page=3)


def add(*acts):
    return [AuditEvent.objects.create(act=act, actor="amina", subject=act * 2) for act in acts]


def turn(link, pager=PAGER, rows=None):
    rows = AuditEvent.objects.all() if rows is None else rows
    return pager.page(rows, QueryDict(link.removeprefix("?")))


def acts(page):
    return [row.act for row in page]


def test_the_first_page_has_the_newest_and_leads_only_on(db):
    add(*"abcde")

    page = turn("")

    assert acts(page) == ["e", "d", "c"]
    assert page.following and not page.previous


def test_on_to_the_end_and_back_to_the_beginning(db):
    add(*"abcdefgh")

    first = turn("")
    second = turn(first.following)
    third = turn(second.following)
    back = turn(third.previous)

    assert [acts(p) for p in (first, second, third)] == [list("hgf"), list("edc"), list("ba")]
    assert not third.following
    assert acts(back) == acts(second)
    assert acts(turn(back.previous)) == acts(first)
    assert not turn(back.previous).previous


@pytest.mark.parametrize("count, has_more", [(0, False), (1, False), (3, False), (4, True)])
def test_a_page_that_just_holds_them_all_leads_nowhere(db, count, has_more):
    add(*["x"] * count)

    page = turn("")

    assert len(page) == min(count, 3)
    assert bool(page.following) == has_more


def test_what_arrives_while_one_reads_moves_no_row_to_another_page(db):
    add(*"abcdef")
    first = turn("")

    add(*"ghij")

    assert acts(turn(first.following)) == list("cba")


def test_going_back_to_where_newer_rows_came_shows_the_whole_beginning(db):
    add(*"abcdef")
    second = turn(turn("").following)
    add("g")

    back = turn(turn(second.previous).previous)

    assert acts(back) == list("gfe")
    assert not back.previous


def test_an_end_that_vanished_meanwhile_leads_to_the_beginning(db):
    add(*"abcd")
    following = turn("").following

    page = turn(following, rows=AuditEvent.objects.exclude(act="a"))

    assert acts(page) == list("dcb")


def test_equal_values_are_told_apart_by_the_key(db):
    add(*"ababab")
    rows = []

    link = "?sort=act"
    while link:
        page = turn(link, SORTED)
        rows += page
        link = page.following

    assert [row.act for row in rows] == list("aaabbb")
    assert len({row.pk for row in rows}) == 6


def test_an_unknown_order_is_the_usual_one(db):
    add(*"ab")

    assert acts(turn("?sort=password", SORTED)) == ["b", "a"]


def test_links_keep_the_filter_and_the_order(db):
    add(*"abcdef")

    query = parse_qs(turn("?sort=act&status=held&status=paid", SORTED).following[1:])

    assert query["status"] == ["held", "paid"] and query["sort"] == ["act"]
    assert set(query) == {"status", "sort", "after"}


@pytest.mark.parametrize("way", ["after", "before"])
@pytest.mark.parametrize("text", ["1", "x:y", "::", "é:ß", "x" * 5000, "\x00:\x00"])
def test_a_broken_place_is_the_beginning(db, way, text):
    add(*"abcd")

    assert acts(PAGER.page(AuditEvent.objects.all(), _query(way, text))) == list("dcb")


def test_a_place_in_one_order_is_none_in_another(db):
    add(*"abcdef")
    after = parse_qs(turn("?sort=act", SORTED).following[1:])["after"][0]

    page = SORTED.page(AuditEvent.objects.all(), QueryDict(f"sort=subject&after={after}"))

    assert acts(page) == list("abc")


def _query(way, text):
    query = QueryDict(mutable=True)
    query[way] = text
    return query


def test_sums_and_times_are_places_too(manual):
    for amount in (10, 30, 20, 40):
        manual(gross_amount=amount, amount=amount)
    pager = Pager(sorts={"": Sort(("-amount", "-created_at", "-pk"))}, per_page=2)

    first = turn("", pager, Disbursement.objects.all())
    second = turn(first.following, pager, Disbursement.objects.all())

    assert [row.amount for row in (*first, *second)] == [40, 30, 20, 10]


def test_a_page_asks_once_and_reads_one_row_more_than_it_shows(db):
    add(*"abcdefgh")
    second = turn("").following

    with CaptureQueriesContext(connection) as queries:
        turn(second)

    assert len(queries) == 1
    assert "LIMIT 4" in queries[0]["sql"] and "OFFSET" not in queries[0]["sql"]


def test_the_first_column_bounds_what_is_read(db):
    add(*"abcdef")
    link = turn("?sort=act", SORTED).following

    with CaptureQueriesContext(connection) as queries:
        turn(link, SORTED)

    assert '"act" >= ' in queries[0]["sql"]


class EveryRowOnce(TestCase):
    @settings(max_examples=30, deadline=None)
    @given(names=st.lists(st.sampled_from("abc"), max_size=14), size=st.integers(1, 5))
    def test_walking_on_shows_each_row_once_in_order(self, names, size):
        add(*names)
        pager = Pager(sorts={"": BY_ACT}, per_page=size)
        seen, link = [], "?"

        while link:
            page = turn(link, pager)
            seen += page
            link = page.following

        assert seen == list(AuditEvent.objects.order_by("act", "-pk"))


def test_totals_tell_count_and_sum(manual):
    for amount in (10, 30):
        manual(gross_amount=amount, amount=amount)

    found = totals(Disbursement.objects.all(), of="amount")

    assert (found.count, found.sum, found.words) == (2, Decimal(40), "2")


def test_totals_of_nothing_are_nought(db):
    found = totals(Disbursement.objects.all(), of="amount")

    assert (found.count, found.sum, found.is_more) == (0, Decimal(0), False)


def test_beyond_the_bound_totals_say_more_than_and_no_sum(db, monkeypatch):
    monkeypatch.setattr(paging, "COUNTED_UP_TO", 3)
    add(*"abcd")

    found = totals(AuditEvent.objects.all(), of="id")

    assert (found.words, found.sum) == ("More than 3", None)


def test_totals_ask_once_and_count_no_further_than_the_bound(db):
    with CaptureQueriesContext(connection) as queries:
        totals(AuditEvent.objects.all())

    assert len(queries) == 1
    assert f"LIMIT {paging.COUNTED_UP_TO + 1}" in queries[0]["sql"]
