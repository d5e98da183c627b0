"""The list: what it shows, page by page, and to whom."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from disbursements.models import Case, Disbursement
from disbursements.states import Status
from tests.disbursements.pages.listed import LIST, allowed, many, of, references
from tests.disbursements.pages.people import signed_in

S = Status


@pytest.fixture
def officer(amina):
    """Someone who may do all that the list offers."""
    return allowed(
        amina, "view_disbursement", "add_disbursement", "approve_disbursement",
        "export_disbursement",
    )  # fmt: skip


@pytest.fixture
def browser(officer) -> Client:
    return signed_in(officer)


def test_nobody_sees_it_without_signing_in(client):
    assert client.get(LIST).headers["Location"].startswith("/login/")


def test_nobody_sees_it_without_the_permission(baraka):
    assert signed_in(allowed(baraka, "add_disbursement")).get(LIST).status_code == 403


@pytest.mark.parametrize(
    "permission, words",
    [("add_disbursement", "New disbursement"), ("export_disbursement", "Export CSV"),
     ("approve_disbursement", "Approve the ticked")],
)  # fmt: skip
def test_a_button_shows_only_to_whom_may_press_it(lender, baraka, permission, words):
    many(lender, 1)

    without = signed_in(allowed(baraka, "view_disbursement")).get(LIST).content.decode()
    having = signed_in(allowed(baraka, "view_disbursement", permission)).get(LIST)

    assert words not in without
    assert words in having.content.decode()


def test_newest_first_with_count_and_sum(browser, lender):
    rows = many(lender, 3, amount=1_500, gross_amount=1_500)

    answer = browser.get(LIST)

    assert references(answer) == of(reversed(rows))
    assert "3 disbursements · KES 4,500.00 to pay" in answer.content.decode()


def test_without_any_it_says_what_makes_one(browser):
    assert "No disbursements yet" in browser.get(LIST).content.decode()


def test_while_it_is_empty_it_looks_again_and_shows_the_first_that_comes(browser, lender):
    page = browser.get(LIST, {"partner": "pamoja"}).content.decode()
    again = re.search(r'id="empty" hx-get="([^"]+)"', page)[1]
    asks = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TRIGGER": "empty"}

    before = browser.get(again, **asks)
    [row] = many(lender, 1)
    after = browser.get(again, **asks)

    assert again == f"{LIST}?partner=pamoja"
    assert (before.status_code, before.content) == (204, b"")
    assert references(after) == of([row]) and "HX-Push-Url" not in after


def test_when_none_match_it_offers_to_clear_the_filters(browser, lender):
    many(lender, 1)

    body = browser.get(LIST, {"status": "recorded"}).content.decode()

    assert "No disbursements match" in body
    assert f'<a href="{LIST}">Clear the filters</a>' in body


def walk(browser, first, way):
    """Every page from one on, as links lead."""
    pages, url = [], first
    while url:
        answer = browser.get(url)
        pages.append(references(answer))
        found = re.search(rf'rel="{way}" href="([^"]+)"', answer.content.decode())
        url = found and found[1].replace("&amp;", "&")
    return pages, answer


@pytest.mark.parametrize(
    "query, order",
    [
        ("", ["-pk"]),
        ("?sort=amount", ["-amount", "-pk"]),
        ("?entered_from=2020-01-01", ["-created_at", "-pk"]),
        ("?paid_from=2020-01-01", ["-paid_at", "-pk"]),
    ],
)
def test_pages_forth_and_back_show_every_row_once(browser, lender, query, order):
    """Amounts and times are equal in groups that straddle the pages' edges."""
    now = timezone.now()
    many(
        lender, 130, status=S.PAID, amount=lambda n: 100 + n // 60,
        gross_amount=lambda n: 100 + n // 60, mpesa_receipt=lambda n: f"TJM7A{n:05}",
        paid_at=lambda n: now - timedelta(hours=n // 60),
    )  # fmt: skip
    expected = of(Disbursement.objects.order_by(*order))

    forth, last = walk(browser, LIST + query, "next")
    back, _ = walk(browser, last.wsgi_request.get_full_path(), "prev")

    assert [len(page) for page in forth] == [50, 50, 30]
    assert sum(forth, []) == expected
    assert back[::-1] == forth


def test_a_broken_page_link_shows_the_first_page(browser, lender):
    rows = many(lender, 2)

    assert references(browser.get(LIST, {"after": "nonsense"})) == of(reversed(rows))


def test_the_sorted_column_says_so(browser, lender):
    many(lender, 1)
    amount = '<th role="columnheader" scope="col" class="num" aria-sort="descending">'

    assert amount not in browser.get(LIST).content.decode()
    assert amount in browser.get(LIST, {"sort": "amount"}).content.decode()


@pytest.mark.parametrize("query", [{}, {"partner": "pamoja", "q": "Grace", "view": "mine"}])
def test_fifty_rows_take_no_more_queries_than_five(
    browser, lender, query, django_assert_max_num_queries
):
    taken = []
    for count in (5, 45):
        rows = many(lender, count)
        Case.objects.create(kind="x", words="Look.", disbursement=rows[0])
        with django_assert_max_num_queries(12) as queries:
            browser.get(LIST, query)
        taken.append(len(queries))

    assert taken[0] == taken[1]


WORDS = [
    (S.HELD, {"hold_words": "It is a top-up."}, "It is a top-up."),
    (S.AWAITING_APPROVAL, {}, "Waiting for someone else to approve."),
    (S.APPROVED, {"waits_for": "The float of KES 5.00 is too small."}, "The float of KES 5.00"),
    (S.IN_DOUBT, {}, "M-Pesa has not said whether it was paid."),
    (S.FAILED, {"failure_words": "The number is not registered."}, "The number is not registered"),
    (S.PAID, {"recording_error": "The payment type is unknown."}, "The payment type is unknown."),
]


@pytest.mark.parametrize("status, changes, words", WORDS)
def test_a_row_says_why_it_is_as_it_is(browser, manual, status, changes, words):
    row = manual(status, **changes)

    body = browser.get(LIST).content.decode()

    assert words in body.replace("&#x27;", "'")
    assert f">{row.get_status_display()}</span>" in body


def test_a_long_reason_is_shortened(browser, manual):
    manual(S.HELD, hold_words="w" * 400)

    assert "w" * 109 + "…" in browser.get(LIST).content.decode()


def test_an_open_case_shows_on_its_row_until_it_is_closed(browser, manual):
    case = Case.objects.create(
        kind="contradiction", words="Paid twice?", disbursement=manual(S.PAID)
    )

    before = browser.get(LIST).content.decode()
    Case.objects.filter(pk=case.pk).update(closed_at=timezone.now())
    after = browser.get(LIST).content.decode()

    assert "Case open" in before and "Paid twice?" in before
    assert "Case open" not in after and "Paid twice?" not in after


def test_names_are_shown_as_text(browser, manual):
    manual(client_name="<script>alert(1)</script>")

    body = browser.get(LIST).content.decode()

    assert "<script>alert(1)" not in body
    assert "&lt;script&gt;alert(1)" in body


def test_only_rows_that_one_may_approve_have_a_box(browser, officer, lender, manual):
    mine = manual(S.AWAITING_APPROVAL, requested_by=officer)
    theirs = many(lender, 1)[0]
    sent = manual(S.SENT)

    body = browser.get(LIST).content.decode()

    assert f'value="{theirs.pk}"' in body
    assert f'value="{mine.pk}"' not in body
    assert f'value="{sent.pk}"' not in body
    assert "Approve all 1 of this filter" in body


def htmx(browser, query, **headers):
    return browser.get(LIST, query, headers={"HX-Request": "true", **headers})


def test_typing_fetches_the_table_alone_and_a_clean_address(browser, lender):
    many(lender, 1)

    answer = htmx(browser, {"q": " Grace ", "status": "", "partner": "", "amount_to": ""})

    assert "<html" not in answer.content.decode()
    assert len(references(answer)) == 1
    assert answer["HX-Push-Url"] == f"{LIST}?q=Grace"
    assert answer["Vary"].count("HX-Request") == 1


def test_going_back_in_history_shows_the_whole_page(browser):
    answer = htmx(browser, {"q": "Grace"}, **{"HX-History-Restore-Request": "true"})

    assert "<html" in answer.content.decode()


def test_the_part_renews_the_totals_and_the_errors_of_the_page(browser, lender):
    many(lender, 2)

    good = htmx(browser, {}).content.decode()
    bad = htmx(browser, {"amount_from": "much"}).content.decode()

    assert re.search(r'id="totals"[^>]+hx-swap-oob="true">2 disbursements', good)
    assert re.search(r'id="id_amount_from_error" hx-swap-oob="true">Enter a sum', bad)
    assert 'id="views" aria-label="Saved views" hx-swap-oob="true"' in good
    assert 'id="status-chosen" hx-swap-oob="true"' in good
    # It would take the focus from whoever is typing.
    assert "autofocus" not in bad
    assert references(bad_answer := htmx(browser, {"amount_from": "much"})) == []
    assert bad_answer.status_code == 200
