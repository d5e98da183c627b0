"""Reads a command's JSON the way Fineract's parameter helpers do."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox.mifos_values import parsed
from paymentvault.sandbox.server import Request


class Body:
    """Wrong values are collected and refused together; wrong dates and numbers at once."""

    def __init__(self, raw: dict[str, Any], *, resource: str, allowed: Iterable[str]) -> None:
        if unknown := [name for name in raw if name not in set(allowed)]:
            raise errors.unsupported(*unknown)
        self.raw = raw
        self.resource = resource
        self._wrong: list[dict[str, Any]] = []

    def done(self) -> None:
        if self._wrong:
            raise errors.invalid(*self._wrong)

    def wrong(self, name: str, code: str, message: str, *args: object) -> None:
        full = f"validation.msg.{self.resource}.{name}.{code}"
        self._wrong.append(errors.detail(full, message, name, *args))

    def required_date(self, name: str) -> date:
        day = self.date(name)
        if day is None:
            self.wrong(name, "cannot.be.blank", f"The parameter `{name}` is mandatory.")
        self.done()
        return day or date.min

    def date(self, name: str) -> date | None:
        text = self.raw.get(name)
        if not isinstance(text, str) or not text.strip():
            return None
        pattern, locale = self._companion(name, "dateFormat"), self._companion(name, "locale")
        try:
            return parsed(text, pattern, locale)
        except ValueError:
            raise _misfit(name, text, pattern, locale) from None

    def money(self, name: str) -> Decimal | None:
        amount = self._decimal(name)
        if amount is not None and amount <= 0:
            self.wrong(
                name, "not.greater.than.zero", f"The parameter `{name}` must be greater than 0.", 0
            )
        return amount

    def integer(self, name: str) -> int | None:
        value = self._decimal(name)
        if value is None or value == value.to_integral_value():
            return None if value is None else int(value)
        raise _not_a_number(name, "integer", self.raw[name])

    def text(self, name: str, *, longest: int, required: bool = False) -> str | None:
        value = self.raw.get(name)
        text = None if value is None else str(value).strip()
        if required and not text:
            self.wrong(name, "cannot.be.blank", f"The parameter `{name}` is mandatory.")
        if text and len(text) > longest:
            message = f"The parameter `{name}` exceeds max length of {longest}."
            self.wrong(name, "exceeds.max.length", message, longest, text)
        return text or None

    def _decimal(self, name: str) -> Decimal | None:
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        self._companion(name, "locale")
        try:
            return _exact(value)
        except (InvalidOperation, TypeError):
            raise _not_a_number(name, "decimal", value) from None

    def _companion(self, name: str, companion: str) -> str:
        value = self.raw.get(companion)
        if isinstance(value, str) and value.strip():
            return value
        message = f"The parameter `{name}` requires a `{companion}` parameter to be passed with it."
        code = f"validation.msg.missing.{companion}.parameter"
        raise errors.invalid(errors.detail(code, message, name))


def _exact(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError(value)
    amount = Decimal(str(value).replace(",", ""))
    if not amount.is_finite():
        raise TypeError(value)
    return amount


def _misfit(name: str, text: str, pattern: str, locale: str) -> errors.ApiError:
    message = (
        f"The parameter `{name}` is invalid based on the dateFormat: `{pattern}` "
        f"and locale: `{locale}` provided:"
    )
    code = "validation.msg.invalid.dateFormat.format"
    return errors.invalid(errors.detail(code, message, name, text, pattern))


def _not_a_number(name: str, kind: str, value: object) -> errors.ApiError:
    message = f"The parameter `{name}` has value: {value} which is invalid {kind} value."
    return errors.invalid(
        errors.detail(f"validation.msg.invalid.{kind}.format", message, name, str(value))
    )


def json_of(request: Request) -> dict[str, Any]:
    """The JSON object of a command, or the error Fineract has for anything else."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise errors.page(415, "HTTP Status 415 – Unsupported Media Type")
    try:
        raw = request.json()
    except ValueError:
        raise errors.not_json() from None
    if not isinstance(raw, dict):
        raise errors.not_json()
    return raw
