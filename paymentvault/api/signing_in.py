"""Whether somebody who has a session is wholly signed in, with all that their roles ask for.

The API takes a session's word, and gives out tokens, only then. So no token leads around a second
factor: there is no way to one with a password alone.
"""

from typing import Any

from django.http import HttpRequest
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from paymentvault import second_factor
from paymentvault.api.errors import Problem
from paymentvault.models import User


def is_complete(request: HttpRequest) -> bool:
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        return False
    return not second_factor.is_needed(user) or second_factor.was_used(request)


class Session(SessionAuthentication):
    """Whoever is signed in to the portal, wholly; what changes something needs the CSRF token."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        return found if found and is_complete(request._request) else None

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except exceptions.PermissionDenied as error:
            raise Problem("csrf_failed") from error
