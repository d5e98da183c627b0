"""Cells that a spreadsheet would run, or lose digits of, are made plain text."""

import csv
import io
from decimal import Decimal

import pytest
from openpyxl import load_workbook

from disbursements.pages.sheets import as_text, csv_of, xlsx_of
from disbursements.states import Status

FORMULAS = [
    "=1+1", "=cmd|' /C calc'!A0", "+254712345678", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1",
    "\tx", "  =1+1", '"=1+1', "'=1+1", "\u00a0=1", "\ufeff=1", ' "=HYPERLINK("x")', "＝1+1", "＋1",
    "－1", "＠x", "`=1",
]  # fmt: skip
NUMBERS = [
    "254712345678", "000003198", "0712345678", "3198", "12E45678", "1.5", "1,500", " 7 ", "3/4",
    "2026-11", "12:30", "1e+9",
]  # fmt: skip
PLAIN = [
    "Amina Wanjiru", "O'Neil", "Ng'ang'a", "Jean-Pierre", "TJM7ABCDEF", "A-003198", "a=b", "a@b",
    "DSB-12", "", "KES 5.", "AG_2026_1", "Müller", "5f1c2e0a-8d6b-4a0e-9a53-b1d2b4c90b77",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_what_begins_like_a_formula_becomes_text(text):
    assert as_text(text).startswith("'")
    assert "\r" not in as_text(text) and "\n" not in as_text(text)


@pytest.mark.parametrize("text", NUMBERS)
def test_what_looks_like_a_number_stays_text(text):
    assert as_text(text) == "'" + text


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_stays_as_it_is(text):
    assert as_text(text) == text


def test_a_semicolon_begins_no_formula_where_it_separates_cells():
    assert as_text('Ali;=1+1; "-2') == "Ali;'=1+1; \"'-2"


def cells_of_csv(rows):
    body = b"".join(csv_of(rows))
    assert body.startswith(b"\xef\xbb\xbf")
    return next(csv.DictReader(io.StringIO(body.decode("utf-8-sig"))))


def cells_of_xlsx(rows):
    sheet = load_workbook(io.BytesIO(b"".join(xlsx_of(rows)))).active
    head, row = sheet.iter_rows()
    return {title.value: cell for title, cell in zip(head, row, strict=True)}


@pytest.fixture
def row(manual):
    return manual(
        Status.PAID, client_name="=1+1", loan_account="000003198", loan_id=3198,
        gross_amount=Decimal("10500.50"), fees=500, amount=Decimal("10000.50"),
        failure_words='@SUM("x")',
    )  # fmt: skip


def test_in_csv_texts_are_texts_and_sums_are_numbers(row):
    cells = cells_of_csv([row])

    assert cells["Recipient"] == "'=1+1"
    assert cells["Failure"] == '\'@SUM("x")'
    assert cells["MSISDN"] == "'254712345678"
    assert (cells["Loan account"], cells["Loan ID"]) == ("'000003198", "'3198")
    assert (cells["Gross KES"], cells["Fees KES"]) == ("10500.50", "500")
    assert (cells["Sum to pay KES"], cells["Paid KES"]) == ("10000.50", "10000")


def test_in_excel_texts_are_texts_and_sums_are_numbers(row):
    cells = cells_of_xlsx([row])

    for title, text in (
        ("Recipient", "=1+1"), ("Failure", '@SUM("x")'), ("MSISDN", "254712345678"),
        ("Loan account", "000003198"), ("Loan ID", "3198"),
    ):  # fmt: skip
        assert (cells[title].data_type, cells[title].value) == ("s", text)
        assert cells[title].quotePrefix
    assert (cells["Gross KES"].data_type, cells["Gross KES"].value) == ("n", 10500.5)
    assert cells["Paid KES"].value == 10000
    assert cells["Paid (Nairobi)"].is_date


def test_an_address_is_no_link_in_excel(manual):
    cell = cells_of_xlsx([manual(client_name="https://evil.test/x")])["Recipient"]

    assert (cell.value, cell.hyperlink) == ("https://evil.test/x", None)


def test_what_excel_cannot_hold_breaks_no_file(manual):
    cell = cells_of_xlsx([manual(hold_words="x\x08\r\ny" + "z" * 40_000)])["Held for"]

    assert cell.value.startswith("x yz")
    assert len(cell.value) == 32_767


@pytest.mark.django_db
def test_a_full_sheet_goes_on_in_another(manual, monkeypatch):
    monkeypatch.setattr("disbursements.pages.sheets.ROWS_IN_A_SHEET", 2)
    rows = [manual() for _ in range(3)]

    book = load_workbook(io.BytesIO(b"".join(xlsx_of(rows))))

    assert [sheet.max_row for sheet in book] == [3, 2]
    assert book.worksheets[1]["A2"].value == rows[2].reference
