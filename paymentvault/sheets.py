"""Rows as CSV that a spreadsheet opens without running anything in it."""

import csv
from collections.abc import Iterable, Iterator

# What a spreadsheet takes for a formula, also behind spaces and quotes.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
BOM = "\ufeff"


class _Echo:
    def write(self, text: str) -> str:
        return text


def safe(text: str) -> str:
    """The text, with an apostrophe before what would run as a formula."""
    bare = text.lstrip(" '\"\u00a0\ufeff")
    return f"'{text}" if bare.startswith(FORMULA) or text.startswith(FORMULA) else text


def csv_lines(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """CSV line by line, for a streamed answer; texts are made safe, numbers stay numbers."""
    writer = csv.writer(_Echo())
    yield BOM + writer.writerow(list(header))
    for row in rows:
        yield writer.writerow([safe(cell) if isinstance(cell, str) else cell for cell in row])
