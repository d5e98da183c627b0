"""One filter each for money, numbers and times."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.template import Context, Template

from paymentvault.models import User
from paymentvault.templatetags import portal

NOON = datetime(2026, 3, 12, 9, 0, 0, tzinfo=UTC)


def rendered(template, **given):
    return Template(template).render(Context(given)).strip()


@pytest.mark.parametrize(
    "amount, words",
    [
        (Decimal("1234.5"), "1,234.50"),
        (Decimal("0"), "0.00"),
        (Decimal("-5"), "-5.00"),
        (1_000_000, "1,000,000.00"),
        (Decimal("0.005"), "0.00"),
        (None, "—"),
    ],
)
def test_money(amount, words):
    assert portal.kes(amount) == words


@pytest.mark.parametrize(
    "number, words", [("254708374149", "254 708 374 149"), ("", "—"), (None, "—")]
)
def test_phone_numbers(number, words):
    assert portal.msisdn(number) == words


@pytest.mark.parametrize(
    "number, words",
    [("254708374149", "254 708 ··· 149"), ("0708", "···"), ("", "—"), (None, "—")],
)
def test_masked_phone_numbers_can_t_be_guessed(number, words):
    assert portal.masked_msisdn(number) == words


@pytest.mark.parametrize("value", [0, "0", False, Decimal(0), "x"])
def test_something_is_shown_as_it_is(value):
    assert portal.dash(value) == value


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_is_a_dash_that_is_read_out_as_none(value):
    assert "—" in portal.dash(value) and "none" in portal.dash(value)


@pytest.mark.parametrize(
    "passed, words",
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=4), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(seconds=60), "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 min ago"),
        (timedelta(hours=1), "1 h ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(hours=48), "2 d ago"),
        (timedelta(days=400), "400 d ago"),
        (-timedelta(minutes=5), "in 5 min"),
    ],
)
def test_how_long_ago(passed, words):
    with time_machine.travel(NOON, tick=False):
        html = portal.ago(NOON - passed)

    assert f">{words}</time>" in html


def test_times_are_nairobi_s_with_the_exact_one_on_hover():
    with time_machine.travel(NOON, tick=False):
        html = portal.ago(NOON - timedelta(hours=2))

    assert 'title="Thu 12 Mar 2026 10:00:00 Nairobi"' in html
    assert 'datetime="2026-03-12T10:00:00+03:00"' in html


def test_the_exact_time():
    assert ">12 March 2026 12:00:00</time>" in portal.exactly(NOON)


@pytest.mark.parametrize(
    "moment, words",
    [
        (NOON, "12 March 2026"),
        (datetime(2026, 3, 12, 22, 0, tzinfo=UTC), "13 March 2026"),
        (date(2026, 3, 12), "12 March 2026"),
    ],
)
def test_days_are_nairobi_s(moment, words):
    assert f">{words}</time>" in portal.on_day(moment)


@pytest.mark.parametrize("shown", [portal.ago, portal.exactly, portal.on_day])
def test_no_time_is_a_dash(shown):
    assert "—" in shown(None)


def test_how_long_something_lasts():
    with time_machine.travel(NOON, tick=False):
        assert portal.for_how_long(NOON - timedelta(minutes=31)) == "31 min"
        assert portal.for_how_long(NOON + timedelta(minutes=1)) == "0 s"
    assert portal.for_how_long(None) == "—"


@pytest.mark.parametrize(
    "path, prefix, current",
    [
        ("/", "/", 'aria-current="page"'),
        ("/disbursements/", "/", ""),
        ("/disbursements/", "/disbursements/", 'aria-current="page"'),
        ("/disbursements/5/", "/disbursements/", 'aria-current="true"'),
        ("/partners/", "/disbursements/", ""),
    ],
)
def test_the_navigation_tells_where_one_is(rf, path, prefix, current):
    html = rendered(f'{{% is_here "{prefix}" %}}', request=rf.get(path))

    assert html == current


def test_a_badge_says_its_word_and_escapes_it():
    assert rendered('{% badge label "warn" %}', label="<Held>") == (
        '<span class="badge warn">&lt;Held&gt;</span>'
    )


def test_what_can_be_copied_says_what_it_is_and_stays_escaped():
    html = rendered('{% copied text "the receipt" %}', text='TJ"M7')

    assert "TJ&quot;M7" in html and 'TJ"M7' not in html
    assert '<span class="unseen"> the receipt</span>' in html


def test_a_word_of_a_model_s():
    assert portal.meta(User, "verbose_name") == "user"
