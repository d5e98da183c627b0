"""What every request passes."""

from collections.abc import Callable
from typing import Any

import structlog
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from paymentvault.api import errors
from paymentvault.context import frame

log = structlog.get_logger(__name__)

Handler = Callable[[HttpRequest], HttpResponse]
COME_BACK = {"Retry-After": "10"}


class LogInFirst(LoginRequiredMiddleware):
    """Lead strangers to the log-in: whole pages, never a part of one."""

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponseBase | None:
        """Where htmx asks for a session that has ended, its page is loaded anew and leads there.

        A redirect would be followed, and the log-in swapped into the page.
        """
        answer = super().process_view(request, *view)
        if answer and request.headers.get("HX-Request"):
            return HttpResponse(headers={"HX-Refresh": "true", "Vary": "HX-Request"})
        return answer


class UnavailableWithoutDatabase:
    """Answer 503 when PostgreSQL is away, so that whoever called knows that nothing was kept."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return answer_without_database(request, error)


def answer_without_database(
    request: HttpRequest, error: BaseException | None
) -> HttpResponse | None:
    """503 for an error of the database's absence, None for every other."""
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    log.error("database_away", error=type(error).__name__)
    if answer := errors.outside(request, "unavailable"):
        return answer
    if is_for_a_person(request):
        return plain_page(request, "503.html", status=503, headers=COME_BACK)
    words = {"code": "unavailable", "message": "Nothing was kept. Try again."}
    return JsonResponse({"error": words}, status=503, headers=COME_BACK)


def is_for_a_person(request: HttpRequest) -> bool:
    """Browsers name HTML in what they accept; the outside systems' programs don't."""
    return "text/html" in request.headers.get("Accept", "")


def plain_page(
    request: HttpRequest, template: str, given: dict[str, object] | None = None, **options: Any
) -> HttpResponse:
    """A page that needs neither the database nor to know who asks."""
    return HttpResponse(render_to_string(template, {**frame(request), **(given or {})}), **options)
