"""The answer to who lacks a right."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from partners import roles
from paymentvault import rights
from paymentvault.middleware import is_for_a_person
from paymentvault.views import json_error


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Name the right that is missing, the roles that bring it, and those who can give them."""
    if not is_for_a_person(request):
        return json_error("forbidden", "A right is missing. Nothing was done.", status=403)
    given = _about(exception.right) if isinstance(exception, rights.Missing) else {}
    given["ask"] = rights.whom_to_ask() if request.user.is_authenticated else []
    return render(request, "403.html", given, status=403)


def _about(right: str) -> dict[str, object]:
    return {
        "right": rights.in_words(right),
        "roles": [role.label for role in roles.with_right(right)],
    }
