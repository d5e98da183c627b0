import io
import json
import logging
import logging.config
import uuid
from decimal import Decimal

import pytest
import structlog

from paymentvault.logging import (
    LONGEST,
    configure_structlog,
    logging_config,
    mask,
    mask_msisdn,
)

SECRET = "Kept2Ourselves4711"


@pytest.fixture
def written(monkeypatch):
    """Log as a process of the system does, and give what it has written so far."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def begin(*, debug: bool = False) -> io.StringIO:
        monkeypatch.setattr("sys.stderr", stream)
        logging.config.dictConfig(logging_config(debug=debug, level="INFO"))
        configure_structlog()
        return stream

    yield begin
    structlog.contextvars.clear_contextvars()
    logging.config.dictConfig(logging_config(debug=False, level="CRITICAL"))
    root.handlers[:], root.level = handlers, level


def line(stream: io.StringIO) -> dict:
    (only,) = stream.getvalue().splitlines()
    return json.loads(only)


@pytest.mark.parametrize(
    "text, masked",
    [
        ("254712345678", "2547***678"),
        ("254112345678", "2541***678"),
        ("+254712345678", "+2547***678"),
        ("%2B254712345678", "%2B2547***678"),
        ("0712345678", "07***678"),
        ("0112345678", "01***678"),
        ("0712 345 678", "07***678"),
        ("paid 254712345678, not 0722000111.", "paid 2547***678, not 07***111."),
        ('{"PartyB":254712345678}', '{"PartyB":2547***678}'),
    ],
)
def test_a_phone_number_keeps_only_its_ends(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-07 12:34:56.712345",
        "1700000000000",
        "AG_20191219_00005797af5d7d75f652",
        "SFF6XYZ123",
        "amount 250000 of 1254712345678901",
        "a0712345678b4c5d8e9fa0b1c2d3e4f5",
        "the basic information is that the token has expired",
        "/mifos-webhook/loan-approval",
        "/mifos-webhook/test/",
    ],
)
def test_what_is_neither_a_phone_number_nor_a_secret_stays_readable(text):
    assert mask(text) == text


@pytest.mark.parametrize(
    "text",
    [
        f"POST /cb/{uuid.UUID(int=7).hex}/result/",
        f"https://vault.example.org/mifos-webhook/{SECRET}/",
        f"GET /mifos-webhook/{SECRET}",
        f"/mifos-webhook/test-{SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"{{'Authorization': 'Bearer {SECRET}'}}",
        f"authorization: {SECRET}",
        "Basic dXNlcjpLZXB0Mk91cnNlbHZlczQ3MTE=",
        f"Cookie: a=1; sessionid={SECRET}",
        f"redis://:{SECRET}@127.0.0.1:6379/0",
        f"postgres://vault:{SECRET}@db/vault",
        f"access_token={SECRET}&x=1",
        f"Client(consumer_key='{SECRET}', timeout=3)",
        f'{{"SecurityCredential": "a\\"{SECRET}==", "Amount": 1}}',
        f'{{"body": "{{\\"password\\":\\"{SECRET}\\"}}"}}',
        f"{{'webhookToken': '{SECRET}'}}",
    ],
)
def test_a_secret_in_a_text_is_masked(text):
    masked = mask(text)

    assert "[masked]" in masked
    assert not any(part in masked for part in (SECRET, "dXNlcjpLZXB0", uuid.UUID(int=7).hex))


def test_masking_what_is_masked_changes_nothing():
    once = mask(f"token={SECRET} to 254712345678 at /cb/{SECRET}/ Bearer {SECRET}")

    assert mask(once) == once


@pytest.mark.parametrize(
    "msisdn, masked",
    [("254712345678", "2547***678"), ("0712345678", "07***678"), ("44123456789", "***789")],
)
def test_a_phone_number_by_itself_is_masked_whatever_it_looks_like(msisdn, masked):
    assert mask_msisdn(msisdn) == masked


def test_a_short_number_shows_nothing():
    assert mask_msisdn("12345") == "***"


@pytest.mark.parametrize(
    "key",
    [
        *("password", "consumer_key", "consumerSecret", "webhook_token", "HTTP_AUTHORIZATION"),
        *("SecurityCredential", "api_key", "FERNET_KEYS", "sessionid", "set-cookie"),
    ],
)
def test_a_value_under_a_key_that_names_a_secret_is_masked(written, key):
    stream = written()

    structlog.get_logger().info("bound", **{key: SECRET, "inside": {"list": [{key: SECRET}]}})

    assert line(stream)[key] == "[masked]"
    assert SECRET not in stream.getvalue()


def test_a_line_carries_the_ids_that_are_bound(written):
    stream = written()
    structlog.contextvars.bind_contextvars(request_id="r-1", event_id=1, disbursement_id=2)

    structlog.get_logger("payout").info("sent", attempt_id=3, amount=Decimal("10.50"))

    expected = {
        "message": "sent", "level": "info", "logger": "payout", "amount": "10.50",
        "request_id": "r-1", "event_id": 1, "disbursement_id": 2, "attempt_id": 3,
    }  # fmt: skip
    assert expected.items() <= line(stream).items()


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("logger", ["library", "django.request", "celery.task", "gunicorn.error"])
def test_a_librarys_exception_is_written_once_as_text_and_masked(written, logger, debug):
    stream = written(debug=debug)
    try:
        raise ValueError(f"password={SECRET} for 254712345678")
    except ValueError:
        logging.getLogger(logger).exception("Failed: %s", f"/mifos-webhook/{SECRET}/")

    text = stream.getvalue()
    assert SECRET not in text
    assert text.count("Traceback") == text.count("Failed: /mifos-webhook/[masked]/") == 1
    assert "password=[masked] for 2547***678" in text


def test_an_object_in_a_line_is_masked_too(written):
    stream = written()

    structlog.get_logger().info("kept", body=f"token={SECRET}".encode(), msisdn=254712345678)

    assert SECRET not in stream.getvalue()
    assert line(stream)["msisdn"] == "2547***678"


def test_people_get_lines_that_are_not_json(written):
    stream = written(debug=True)

    structlog.get_logger().info("paid", disbursement_id=2)

    assert "paid" in stream.getvalue() and "disbursement_id=2" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


@pytest.mark.parametrize("piece", ["token", "secret-", "basic ", "://a:", 'token="', "2547", "a=b"])
def test_hostile_text_of_any_length_is_masked_and_cut(piece):
    """A pattern that took more than linear time would keep this from ever ending."""
    masked = mask(piece * 10_000)

    assert len(masked) <= LONGEST * 3
