"""What is logged, and what never is: secrets, and whole phone numbers.

Every line, of ours or of a library, is masked before it is written. Don't bind an `event`, which is
structlog's own name for the message; say `event_id`, `disbursement_id`, `attempt_id`.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASKED = "[masked]"
# A whole traceback is shorter.
LONGEST = 20_000

_HUSHED = (
    r"password|passwd|passphrase|secret|token|credential|authorization|cookie|signature"
    r"|consumer[_-]?key|api[_-]?key|private[_-]?key|fernet[_-]?key|session[_-]?(?:key|id)|\bdsn\b"
)
_SECRET_KEY = re.compile(_HUSHED, re.IGNORECASE)

# 12 digits from 2547 or 2541, or 10 from 07 or 01, written together or in threes. Lower-case hex
# digits beside them mean that they are a part of an identifier.
_MSISDN = re.compile(
    r"(?:(?<![0-9a-f])|(?<=%2b))(\+?254[ -]?[17]|0[17])\d{2}[ -]?\d{3}[ -]?(\d{3})(?![0-9a-f])"
)

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # The addresses that M-Pesa and Mifos X call carry a secret in place of a password.
    (re.compile(r"(/cb/)[^/\s?#\"'<>]+"), rf"\1{MASKED}"),
    (
        re.compile(r"(/mifos-webhook/)(?!(?:loan-approval|test)(?![\w-]))[^/\s?#\"'<>]+"),
        rf"\1{MASKED}",
    ),
    # API keys and refresh tokens of our own
    (re.compile(r"\b(pvr?_[0-9a-f]{8,32}_)[\w-]+"), rf"\1{MASKED}"),
    # What signs our webhooks, and access tokens (JSON Web Tokens, whose header is always an object)
    (re.compile(r"\b(whsec_)[\w+/=-]+"), rf"\1{MASKED}"),
    (re.compile(r"\beyJ[\w-]{8,200}\.[\w-]+\.[\w-]*"), MASKED),
    (re.compile(r"\b(bearer)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {MASKED}"),
    # Base64 has more than small letters, unlike the words that follow "basic" in a sentence.
    (re.compile(r"\b([Bb]asic|BASIC)\s+(?=[a-z]*[A-Z0-9+/=])[\w+/=-]{6,}"), rf"\1 {MASKED}"),
    (re.compile(r"(://[^:/@\s]*:)[^/@\s]+(@)"), rf"\1{MASKED}\2"),
    (
        re.compile(r"\b((?:set-)?cookie|authorization|x-api-key)(:\s*)[^\r\n]+", re.I),
        rf"\1\2{MASKED}",
    ),
    (
        # name=value, and "name": "value" as in JSON, in JSON inside a string, or in a dict
        re.compile(
            rf"((?:{_HUSHED})[\w-]{{0,40}}(?:\s?=\s?|\\?[\"']\s*:\s*))"
            r"(?!\[masked\])(?:\\\"[^\"]*\\\"|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;&\"'}\])]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASKED}",
    ),
)


def mask(text: str) -> str:
    """Hide the secrets and most of each phone number in a text.

    Strangers choose what is logged, such as their User-Agent: no pattern here may take more than
    linear time, and what is longer than any line of ours is cut.
    """
    return _MSISDN.sub(r"\1***\2", hide(text))


def hide(text: str, *known: str) -> str:
    """Hide the secrets in a text: those that are `known`, and whatever looks like one."""
    text = text[:LONGEST]
    for secret in filter(None, known):
        text = text.replace(secret, MASKED)
    for pattern, masked in _SECRETS:
        text = pattern.sub(masked, text)
    return text


def mask_msisdn(msisdn: str) -> str:
    """Keep what tells two numbers apart for a reader: 254712345678 becomes 2547***678."""
    masked, found = _MSISDN.subn(r"\1***\2", msisdn)
    return masked if found else "***" + msisdn[6:][-3:]


def _masked(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | float):
        return value
    if _SECRET_KEY.search(name):
        return MASKED
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(name, inner) for inner in value]
    text = value if isinstance(value, str) else str(value)
    masked = mask(text)
    return value if isinstance(value, int) and masked == text else masked


def mask_everything(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """A structlog processor. Runs last, when exceptions and arguments have become text."""
    return {
        # structlog's own entries, such as _record, are taken out after this
        name: value if name.startswith("_") else _masked(name, value)
        for name, value in line.items()
    }


_FOR_EVERY_LINE: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    structlog.processors.UnicodeDecoder(),
    mask_everything,
]


def configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *_FOR_EVERY_LINE,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logging_config(*, debug: bool, level: str) -> dict[str, Any]:
    """Django's LOGGING: one handler on the root, lines for people in debug and JSON otherwise."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [
                    structlog.stdlib.ExtraAdder(allow={"status_code"}),
                    *_FOR_EVERY_LINE,
                ],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *(_for_people() if debug else _for_machines()),
                ],
            },
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": _loggers_with_handlers_of_their_own(),
    }


def _for_people() -> list[Processor]:
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]


def _for_machines() -> list[Processor]:
    return [
        # "event" is Mifos X's word here
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
    ]


def _loggers_with_handlers_of_their_own() -> dict[str, Any]:
    """What Django, gunicorn and Celery set up for themselves goes through our handler instead."""
    ours = ("django", "django.server", "gunicorn.error", "gunicorn.access", "celery")
    to_the_root: dict[str, Any] = {name: {"handlers": [], "propagate": True} for name in ours}
    # At DEBUG it writes each statement with its values, such as the keys of sessions.
    to_the_root["django.db.backends"] = {"level": "INFO"}
    # Celery leaves this one alone only if it has a handler.
    return {**to_the_root, "celery.task": {"handlers": ["console"], "propagate": False}}
