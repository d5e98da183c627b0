"""Disbursements as CSV and as Excel: row by row, and safe to open in a spreadsheet.

Names and words come from outside. A spreadsheet takes a cell that begins like a formula for one,
and runs it; what begins so is made plain text, and so is what it would take for a number: phone
numbers and ids lose digits that way.
"""

import csv
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import IO, Any

import xlsxwriter
from django.utils import timezone

from disbursements.models import Attempt, Disbursement
from disbursements.states import MONEY_MOVED

Value = str | int | Decimal | datetime | None
PIECE = 64 * 1024
# Excel's own limit is 1,048,576.
ROWS_IN_A_SHEET = 1_000_000
LONGEST_TEXT = 32_767

# Spreadsheets skip spaces and quotes before a formula; some take wide signs for plain ones.
FORMULA = re.compile(r"[\s\"'`\u00a0\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r]")
# Where the list separator is a semicolon, it begins a cell even within quotes.
AFTER_SEMICOLON = re.compile(r"(;[\s\"']*)(?=[=+\-@])")
# Or a date: 3/4, 2026-11.
NUMBER = re.compile(r"\s*[0-9][0-9.,:/\s-]*(?:[eE][+-]?[0-9]+)?\s*")
LINE_ENDS = re.compile(r"[\r\n\v\f\x00-\x08\x0e-\x1f]+")


def as_text(text: str) -> str:
    """For a CSV cell: an apostrophe before what a spreadsheet would take for something else."""
    text = AFTER_SEMICOLON.sub(r"\1'", text)
    if FORMULA.match(text) or NUMBER.fullmatch(text):
        text = "'" + text
    return LINE_ENDS.sub(" ", text)


@dataclass(frozen=True)
class Column:
    title: str
    value: Callable[[Disbursement], Value]
    width: int = 16


def _latest(disbursement: Disbursement) -> Attempt | None:
    return max(disbursement.attempts.all(), key=lambda attempt: attempt.pk, default=None)


def _ours(disbursement: Disbursement) -> str:
    attempt = _latest(disbursement)
    return attempt.originator_conversation_id if attempt else ""


def _theirs(disbursement: Disbursement) -> str:
    attempt = _latest(disbursement)
    return attempt.conversation_id if attempt else ""


def _paid_kes(disbursement: Disbursement) -> int | None:
    return disbursement.amount_kes if disbursement.status in MONEY_MOVED else None


COLUMNS = [
    Column("Reference", lambda d: d.reference, 12),
    Column("Partner", lambda d: d.partner.name, 24),
    Column("Came by", lambda d: d.get_origin_display(), 20),
    Column("Loan ID", lambda d: str(d.loan_id or ""), 10),
    Column("Loan account", lambda d: d.loan_account),
    Column("Loan product", lambda d: d.product_name, 20),
    Column("Recipient", lambda d: d.client_name, 28),
    Column("MSISDN", lambda d: d.msisdn),
    Column("Gross KES", lambda d: d.gross_amount, 14),
    Column("Fees KES", lambda d: d.fees, 12),
    Column("Sum to pay KES", lambda d: d.amount, 14),
    Column("Paid KES", _paid_kes, 14),
    Column("Status", lambda d: d.get_status_display(), 18),
    Column("M-Pesa receipt", lambda d: d.mpesa_receipt),
    Column("Entered (Nairobi)", lambda d: d.created_at, 20),
    Column("Asked for by", lambda d: d.requested_by.username if d.requested_by else ""),
    Column("Approved by", lambda d: d.approved_by.username if d.approved_by else ""),
    Column("Paid (Nairobi)", lambda d: d.paid_at, 20),
    Column("Recorded in Mifos X (Nairobi)", lambda d: d.recorded_at, 20),
    Column("Originator conversation ID", _ours, 38),
    Column("Conversation ID", _theirs, 32),
    Column("Failure code", lambda d: d.failure_code, 12),
    Column("Failure", lambda d: d.failure_words, 40),
    Column("Held for", lambda d: d.hold_words, 40),
    Column("Recording error", lambda d: d.recording_error, 40),
]


def csv_of(rows: Iterable[Disbursement]) -> Iterator[bytes]:
    """UTF-8 with a byte order mark, without which Excel reads another alphabet."""
    writer = csv.writer(_Passed())
    yield b"\xef\xbb\xbf"
    yield _line(writer, [column.title for column in COLUMNS])
    for row in rows:
        yield _line(writer, [_plain(column.value(row)) for column in COLUMNS])


class _Passed:
    """What the writer writes is what it returns."""

    def write(self, text: str) -> str:
        return text


def _line(writer: Any, cells: list[Any]) -> bytes:
    line: str = writer.writerow(cells)
    return line.encode()


def _plain(value: Value) -> object:
    if isinstance(value, str):
        return as_text(value)
    return _local(value).isoformat(" ") if isinstance(value, datetime) else value


def _local(moment: datetime) -> datetime:
    """In Nairobi, to the second; spreadsheets know no time zones."""
    return timezone.localtime(moment).replace(tzinfo=None, microsecond=0)


def xlsx_of(rows: Iterable[Disbursement]) -> Iterator[bytes]:
    """Written row by row to a temporary file, then read from it in pieces."""
    with tempfile.TemporaryFile() as file:
        _write_book(file, rows)
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece


def _write_book(file: IO[bytes], rows: Iterable[Disbursement]) -> None:
    book = xlsxwriter.Workbook(file, {"constant_memory": True})
    formats = {
        "head": book.add_format({"bold": True, "bottom": 1}),
        # As if an apostrophe stood before it: it stays text also when somebody edits the cell.
        "text": book.add_format({"num_format": "@", "quote_prefix": True}),
        "sum": book.add_format({"num_format": "#,##0.00"}),
        "whole": book.add_format({"num_format": "#,##0"}),
        "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
    }
    sheet = _new_sheet(book, formats)
    at = 0
    for row in rows:
        if at == ROWS_IN_A_SHEET:
            sheet, at = _new_sheet(book, formats), 0
        at += 1
        for number, column in enumerate(COLUMNS):
            _write(sheet, at, number, column.value(row), formats)
    book.close()


def _new_sheet(book: Any, formats: dict[str, Any]) -> Any:
    sheet = book.add_worksheet()
    sheet.freeze_panes(1, 1)
    for number, column in enumerate(COLUMNS):
        sheet.set_column(number, number, column.width)
        sheet.write_string(0, number, column.title, formats["head"])
    return sheet


def _write(sheet: Any, row: int, column: int, value: Value, formats: dict[str, Any]) -> None:
    """By type, never by guess: XlsxWriter's own guess makes formulas and links of texts."""
    if isinstance(value, str):
        if value:
            text = LINE_ENDS.sub(" ", value)[:LONGEST_TEXT]
            sheet.write_string(row, column, text, formats["text"])
    elif isinstance(value, datetime):
        sheet.write_datetime(row, column, _local(value), formats["time"])
    elif value is not None:
        kind = "whole" if isinstance(value, int) else "sum"
        sheet.write_number(row, column, value, formats[kind])
