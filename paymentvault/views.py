"""Signs of life, and the answers when something is wrong: pages for people, JSON for programs."""

import sys

import structlog
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from paymentvault.api import errors
from paymentvault.middleware import answer_without_database, is_for_a_person, plain_page


@login_not_required
def livez(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "alive"})


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:
    """The process answers and reaches PostgreSQL; without it the answer is 503."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"status": "ready"})


@login_not_required
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """Who is signed in but no staff would be sent round in circles: they are told so."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next", "/admin/"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if answer := errors.outside(request, "malformed"):
        return answer
    if is_for_a_person(request):
        return plain_page(request, "400.html", status=400)
    return json_error("bad_request", "This can't be read. Nothing was done.", status=400)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if answer := errors.outside(request, "not_found"):
        return answer
    if is_for_a_person(request):
        return render(request, "404.html", status=404)
    return json_error("not_found", "There is nothing here.", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """A fault of ours; and what broke outside a view, such as the session of a middleware."""
    error = sys.exc_info()[1]
    if answer := answer_without_database(request, error):
        return answer
    if answer := errors.outside(request, "fault"):
        return answer
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    if not is_for_a_person(request):
        words = "A fault of ours. Whether anything was done isn't known."
        return json_error("fault", words, status=500, request_id=request_id)
    given = {"request_id": request_id, "at": timezone.now()}
    return plain_page(request, "500.html", given, status=500)


def json_error(code: str, words: str, *, status: int, **more: str) -> JsonResponse:
    return JsonResponse({"error": {"code": code, "message": words, **more}}, status=status)
