"""What every request passes."""

from collections.abc import Callable

import structlog
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse

log = structlog.get_logger(__name__)

Handler = Callable[[HttpRequest], HttpResponse]


class UnavailableWithoutDatabase:
    """Answer 503 when PostgreSQL is away, so that whoever called knows that nothing was kept."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer_without_database(error)


def answer_without_database(error: BaseException | None) -> HttpResponse | None:
    """503 for an error of the database's absence, None for every other."""
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    log.error("database_away", error=type(error).__name__)
    return JsonResponse(
        {"error": {"code": "unavailable", "message": "Nothing was kept. Try again."}},
        status=503,
        headers={"Retry-After": "10"},
    )
