"""Stub until the real one is written."""


def configure_structlog() -> None: ...
def logging_config(*, debug: bool, level: str) -> dict:
    return {"version": 1, "disable_existing_loggers": False}
