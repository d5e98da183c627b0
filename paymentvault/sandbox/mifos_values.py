"""How Fineract writes numbers and dates, and how it reads them: strictly."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
CURRENCIES = {"KES": ("Kenyan Shilling", "KSh"), "USD": ("US Dollar", "$")}
TOKENS = {
    "yyyy": r"(?P<year>\d{4})",
    "MM": r"(?P<month>\d{2})",
    "MMMM": f"(?P<name>{'|'.join(MONTHS)})",
    "MMM": f"(?P<name>{'|'.join(m[:3] for m in MONTHS)})",
    "dd": r"(?P<day>\d{2})",
}


def number(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def array(day: date | None) -> list[int] | None:
    return [day.year, day.month, day.day] if day else None


def java_text(day: date) -> str:
    """As the web app writes it, with dateFormat `dd MMMM yyyy`."""
    return f"{day.day:02d} {MONTHS[day.month - 1]} {day.year}"


def parsed(text: str, pattern: str, locale: str) -> date:
    """Raise ValueError unless the text fits the Java pattern to the letter."""
    match = re.fullmatch(_expression(pattern), text, re.ASCII)
    if not match:
        raise ValueError(text)
    found = match.groupdict()
    if "name" in found and not locale.startswith("en"):
        raise ValueError(f"{found['name']} is not a month in {locale}")
    month = int(found["month"]) if "month" in found else _month(found["name"])
    return date(int(found["year"]), month, int(found["day"]))


def _month(name: str) -> int:
    return [month[:3] for month in MONTHS].index(name[:3]) + 1


def _expression(pattern: str) -> str:
    # A letter that isn't known, such as the mm (minutes) of yyyy-mm-dd, fits no date.
    parts = re.findall(r"[A-Za-z]+|[^A-Za-z]+", pattern)
    known = [TOKENS.get(p, r"(?!)") if p[0].isalpha() else re.escape(p) for p in parts]
    if {"yyyy", "dd"} <= set(parts) and len(parts) == 5:
        return "".join(known)
    return r"(?!)"


def compact(row: dict[str, Any]) -> dict[str, Any]:
    """Null keys are left out on the wire."""
    return {name: value for name, value in row.items() if value is not None}


def enum(id_: int, code: str, value: str) -> dict[str, Any]:
    return {"id": id_, "code": code, "value": value}


def currency(code: str) -> dict[str, Any]:
    name, symbol = CURRENCIES.get(code, (code, code))
    return {
        "code": code,
        "name": name,
        "decimalPlaces": 2,
        "displaySymbol": symbol,
        "nameCode": f"currency.{code}",
        "displayLabel": f"{name} ({symbol})",
    }
