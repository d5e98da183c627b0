"""The charts: every mark leads to its list, every drawing has its table, at bounded cost."""

import re
from datetime import date, timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from disbursements.states import Status
from partners.models import MifosConnection, MpesaShortcode, Partner
from paymentvault.portal import charts
from paymentvault.portal.figures import Day, Speed
from tests.paymentvault.portal.test_figures import read

Fixture = Any
MONDAY = date(2026, 11, 23)
DAYS = [Day(MONDAY, 4, Decimal(400)), Day(MONDAY + timedelta(1)), Day(MONDAY + timedelta(2), 2)]
LINK = charts.links_of("pamoja")


@pytest.mark.parametrize(
    "top, nice", [(0, 1), (1, 1), (3, 5), (12, 20), (50, 50), (99_000, 100_000), (0.3, 0.5)]
)
def test_a_scale_ends_on_a_round_number(top: float, nice: float) -> None:
    assert charts.nice(top) == pytest.approx(nice)


def test_columns_stand_in_proportion_and_lead_to_their_day() -> None:
    chart = charts.paid_count(DAYS, LINK)

    first, last = chart.bars

    assert first.height == 2 * last.height
    assert first.y + first.height == last.y + last.height == charts.HEIGHT
    assert first.url == ("/disbursements/?paid_from=2026-11-23&paid_to=2026-11-23&partner=pamoja")
    assert first.says == "23 November: 4 paid"
    assert [row.head for row in chart.rows] == ["23 November", "24 November", "25 November"]


def test_a_small_column_among_large_ones_can_still_be_seen() -> None:
    chart = charts.paid_count([Day(MONDAY, 100_000), Day(MONDAY + timedelta(1), 1)], LINK)

    assert min(bar.height for bar in chart.bars) >= 1


def test_the_lines_differ_in_shape_and_break_where_nothing_was_timed() -> None:
    speeds = [Speed(MONDAY + timedelta(i), *m) for i, m in
              enumerate([(10, 20), (12, 22), (None, None), (9, 90)])]  # fmt: skip

    chart = charts.speed(speeds, LINK)

    middle, most = chart.series
    assert middle.shape != most.shape
    assert len(middle.dots) == 3
    assert len(middle.lines) == 1
    assert chart.says == "9 s in the middle on the last day."
    assert [cell for cell, _ in chart.rows[2].cells] == ["—", "—"]


def test_shares_fill_the_bar_and_lead_to_each_state() -> None:
    found = {Status.RECORDED: (3, Decimal(30)), Status.FAILED: (1, Decimal(10))}

    chart = charts.outcome_shares(found, MONDAY, LINK)

    assert sum(bar.width for bar in chart.bars) == 100
    assert [bar.says for bar in chart.bars] == ["Recorded: 3 (75.0%)", "Failed: 1 (25.0%)"]
    assert "status=failed&entered_from=2026-11-23" in chart.bars[1].url


@pytest.mark.parametrize(
    "seconds, words", [(None, "—"), (14, "14 s"), (119, "119 s"), (240, "4 min"), (9_000, "2 h")]
)
def test_lengths_of_time_are_said_shortly(seconds: float | None, words: str) -> None:
    assert charts._span(seconds) == words


@pytest.fixture
def full(
    manual: Fixture, connection: MifosConnection, shortcode: MpesaShortcode, since: Fixture
) -> None:
    for i, status in enumerate((Status.HELD, Status.FAILED, Status.IN_DOUBT, Status.APPROVED)):
        manual(status, status_at=since(hours=2 + i))
    manual(Status.PAID, connection=connection, loan_id=1, status_at=since(days=2),
           approved_at=since(seconds=9))  # fmt: skip
    read(shortcode, 5_000, hours=1)
    read(shortcode, 4_000)


def test_every_mark_leads_to_a_list_that_shows_as_many_as_it_says(
    signed_in: Client, full: None
) -> None:
    html = signed_in.get("/charts/").content.decode()
    cells = re.findall(r'<td class="num"><a href="([^"]+)">([\d,]+)<', html)

    assert len(cells) >= 10
    for url, said in cells:
        page = signed_in.get(unescape(url)).content.decode()
        found = set(re.findall(r">\s*(DSB-\d+)", page))
        assert len(found) == int(said.replace(",", "")), url


def test_each_drawing_is_for_the_eye_only_and_has_its_table(signed_in: Client, full: None) -> None:
    html = signed_in.get("/charts/").content.decode()

    figures = re.findall(r"<figure.*?</figure>", html, re.S)
    assert len(figures) == 6
    for figure in figures:
        assert 'class="drawing" aria-hidden="true"' in figure
        assert "<table>" in figure
        drawing = figure.partition("<details")[0]
        links = re.findall(r"<a [^>]*>", drawing)
        assert links
        assert [link for link in links if 'tabindex="-1"' not in link] == []
    assert "style=" not in html


def test_the_part_that_home_fetches_has_no_frame(signed_in: Client, full: None) -> None:
    part = signed_in.get("/charts/", headers={"HX-Request": "true"}).content.decode()

    assert "<html" not in part
    assert part.count("<figure") == 6


def test_the_charts_of_one_partner_lead_to_its_lists_only(
    signed_in: Client, full: None, lender: Partner
) -> None:
    Partner.objects.create(name="Jamii", code="jamii")

    own = signed_in.get("/charts/?partner=pamoja").content.decode()
    others = signed_in.get("/charts/?partner=jamii").content.decode()

    main = own.partition('<div class="two">')[2]
    links = re.findall(r'href="(/disbursements/[^"]*)"', main)
    assert links
    assert [link for link in links if "partner=pamoja" not in link] == []
    assert others.count("Nothing to draw yet.") == 5


@pytest.mark.parametrize("times", [1, 15])
def test_the_charts_make_no_more_queries_for_more_rows(
    signed_in: Client, manual: Fixture, shortcode: MpesaShortcode,
    django_assert_max_num_queries: Fixture, times: int,
) -> None:  # fmt: skip
    for i in range(times):
        manual(Status.PAID, mpesa_receipt=f"TJM7{i:06}", paid_at=timezone.now())
        read(shortcode, 5_000, minutes=i)

    with django_assert_max_num_queries(12):
        assert signed_in.get("/charts/").status_code == 200


def test_the_charts_have_their_headings_in_order(signed_in: Client, full: None) -> None:
    html = signed_in.get("/charts/").content.decode()

    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]

    assert levels == [1, 2] + [3] * 6
