"""Signs of life, and the answer when something broke."""

import sys

from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from paymentvault.middleware import answer_without_database


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


def server_error(request: HttpRequest) -> HttpResponse:
    """What broke outside a view, such as the session of a middleware, Django hands to this."""
    return answer_without_database(sys.exc_info()[1]) or defaults.server_error(request)
