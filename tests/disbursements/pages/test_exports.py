"""An export is exactly what is filtered, streamed, on record, and for those who may."""

import csv
import io
from datetime import UTC, datetime

import pytest
from django.utils import timezone
from openpyxl import load_workbook

from disbursements.models import Attempt, Disbursement
from disbursements.pages import exports
from disbursements.states import Status
from paymentvault.models import AuditEvent, Job
from tests.disbursements.pages.listed import LIST, allowed, many, of, references
from tests.disbursements.pages.people import signed_in

CSV = "/disbursements/export.csv"
XLSX = "/disbursements/export.xlsx"


@pytest.fixture
def accountant(baraka):
    return allowed(baraka, "view_disbursement", "export_disbursement")


@pytest.fixture
def browser(accountant):
    return signed_in(accountant)


def rows_of(answer):
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


@pytest.mark.parametrize("url", [CSV, XLSX])
def test_only_who_may_export_can(baraka, url):
    assert signed_in(allowed(baraka, "view_disbursement")).get(url).status_code == 403
    assert not AuditEvent.objects.filter(act="disbursements exported").exists()


QUERIES = [
    {}, {"status": "held"}, {"q": "Grace"}, {"amount_from": "1,005"}, {"sort": "amount"},
    {"view": "mine"}, {"partner": "pamoja", "status": ["held", "awaiting_approval"]},
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_it_has_what_the_list_shows_in_the_lists_order(browser, lender, query):
    many(lender, 10, amount=lambda n: 1_000 + n % 7, gross_amount=lambda n: 1_000 + n % 7)
    many(lender, 5, status="held", hold_words="Why.", client_name="Peter")
    shown = references(browser.get(LIST, query))

    exported = [row["Reference"] for row in rows_of(browser.get(CSV, query))]
    book = load_workbook(io.BytesIO(browser.get(XLSX, query).getvalue()))

    assert exported == shown
    assert [row[0] for row in book.active.iter_rows(min_row=2, values_only=True)] == shown


def test_the_export_buttons_lead_to_what_is_filtered(browser, lender):
    many(lender, 1)

    body = browser.get(LIST, {"status": "awaiting_approval", "sort": "amount", "x": "y"})

    assert f'href="{CSV}?status=awaiting_approval&amp;sort=amount"' in body.content.decode()


def test_a_broken_filter_exports_nothing(browser, lender):
    many(lender, 1)

    answer = browser.get(CSV, {"status": "happy"})

    assert answer.headers["Location"] == f"{LIST}?status=happy"
    assert AuditEvent.objects.count() == 0


def test_it_tells_an_accountant_everything(browser, sent, amina, baraka):
    attempt = sent(Status.PAID, attempt="paid", paid_at=datetime(2026, 3, 9, 20, 30, 5, tzinfo=UTC),
                   loan_id=7, product_name="Biashara", approved_by=baraka)  # fmt: skip
    Attempt.objects.filter(pk=attempt.pk).update(conversation_id="AG_1")
    Attempt.objects.filter(pk=attempt.pk).update(callback_token="not to be read")

    (row,) = rows_of(browser.get(CSV))

    assert row["Partner"] == "Pesa Pamoja"
    assert (row["Asked for by"], row["Approved by"]) == ("amina", "baraka")
    assert row["Paid (Nairobi)"] == "2026-03-09 23:30:05"
    assert row["Originator conversation ID"] == attempt.originator_conversation_id
    assert (row["Conversation ID"], row["Status"]) == ("AG_1", "Paid")
    assert (row["M-Pesa receipt"], row["Paid KES"]) == ("TJM7XXXXXX", "10000")


def test_it_is_streamed_and_named_by_the_day(browser, lender):
    many(lender, 1)

    answer = browser.get(CSV)

    assert answer.streaming
    today = f"{timezone.localdate():%Y-%m-%d}"
    expected = f'attachment; filename="disbursements-{today}.csv"'
    assert answer.headers["Content-Disposition"] == expected
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"


def test_it_is_on_record_with_its_filter_and_its_count(browser, lender):
    many(lender, 3)

    browser.get(CSV, {"status": "awaiting_approval"}).getvalue()

    line = AuditEvent.objects.get()
    assert (line.act, line.actor) == ("disbursements exported", "baraka")
    assert line.detail == {"form": "csv", "rows": 3, "filter": "status=awaiting_approval"}
    assert line.source_address == "127.0.0.1"


def test_rows_are_read_some_at_a_time(lender, monkeypatch, django_assert_num_queries):
    """Through a cursor in the database, with the attempts of each piece in one query."""
    monkeypatch.setattr(exports, "CHUNK", 10)
    many(lender, 30)

    with django_assert_num_queries(4):
        first = exports._read(Disbursement.objects.all())
        assert len(list(first)) == 30


@pytest.fixture
def few_at_once(monkeypatch):
    monkeypatch.setattr(exports, "AT_ONCE", 3)


def press(browser, url, answer):
    once = answer.context["once"]
    return browser.post(url, {"once": once})


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_much_is_prepared_as_a_job_and_can_be_fetched_later(
    browser, lender, few_at_once, form, django_capture_on_commit_callbacks
):
    rows = many(lender, 7)
    many(lender, 2, status="held", hold_words="Why.")
    url = f"/disbursements/export.{form}?status=awaiting_approval&sort=amount"

    asked = browser.get(url)
    assert "Prepare a large" in asked.content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        answer = press(browser, url, asked)
    job = Job.objects.get()
    body = browser.get(f"/jobs/{job.pk}/file/").getvalue()

    assert answer.headers["Location"] == f"/jobs/{job.pk}/"
    assert (job.state, job.outcome) == ("done", "7 disbursements are in the file.")
    if form == "csv":
        found = [r["Reference"] for r in csv.DictReader(io.StringIO(body.decode("utf-8-sig")))]
    else:
        sheet = load_workbook(io.BytesIO(body)).active
        found = [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert found == of(reversed(rows))
    line = AuditEvent.objects.get(act="disbursements exported")
    assert (line.detail["rows"], line.detail["form"]) == (7, form)


def test_looking_at_the_page_prepares_nothing(browser, lender, few_at_once):
    many(lender, 7)

    browser.get(CSV)

    assert (Job.objects.count(), AuditEvent.objects.count()) == (0, 0)


def test_pressed_twice_one_file_is_prepared(browser, lender, few_at_once):
    many(lender, 7)
    asked = browser.get(CSV)

    press(browser, CSV, asked)
    press(browser, CSV, asked)

    assert Job.objects.count() == 1


def test_who_lost_the_right_meanwhile_gets_no_file(
    browser, accountant, lender, few_at_once, django_capture_on_commit_callbacks
):
    many(lender, 7)
    with django_capture_on_commit_callbacks() as bells:
        press(browser, CSV, browser.get(CSV))
    accountant.user_permissions.clear()
    for bell in bells:
        bell()

    job = Job.objects.get()
    assert job.state == "failed"
    assert job.pieces.count() == 0


def test_somebody_elses_file_is_not_to_be_had(
    browser, amina, lender, few_at_once, django_capture_on_commit_callbacks
):
    many(lender, 7)
    with django_capture_on_commit_callbacks(execute=True):
        press(browser, CSV, browser.get(CSV))

    other = signed_in(allowed(amina, "view_disbursement", "export_disbursement"))

    assert other.get(f"/jobs/{Job.objects.get().pk}/file/").status_code == 404


def test_a_broken_filter_that_is_too_long_leads_back_too(browser, lender):
    answer = browser.get(CSV, {"q": "é" * 3_000})

    assert answer.headers["Location"] == "/disbursements/"


def test_who_lost_the_right_gets_no_file_that_was_made_before(
    browser, accountant, lender, few_at_once, django_capture_on_commit_callbacks
):
    many(lender, 7)
    with django_capture_on_commit_callbacks(execute=True):
        press(browser, CSV, browser.get(CSV))
    job = Job.objects.get()
    assert browser.get(f"/jobs/{job.pk}/file/").status_code == 200

    accountant.user_permissions.clear()

    assert browser.get(f"/jobs/{job.pk}/file/").status_code == 403
