"""Whether somebody who has a session is wholly signed in, with all that their roles ask for.

The API takes a session's word, and gives out tokens, only then. So no token leads around a second
factor: there is no way to one with a password alone.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from paymentvault import recent, second_factor
from paymentvault.api.errors import Problem
from paymentvault.models import TokenGrant, User


def is_complete(request: HttpRequest) -> bool:
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        return False
    return second_factor.was_used(request) or not second_factor.is_owed(user)


def demand_above(request: Request, amount: Decimal, *, at: str) -> None:
    """Letting much money go is for whoever confirmed just now who they are. Raises Problem.

    A token counts as confirmed for as long as the session's own confirmation, from before the
    token was given: one that was stolen later, or renewed for hours, lets nothing large go.
    `at` is where the portal does the same.
    """
    if amount > settings.ASK_AGAIN_ABOVE:
        why = f"KES {amount:,.0f} is above KES {settings.ASK_AGAIN_ABOVE:,.0f}"
        demand(request, at=at, why=why)


def demand(request: Request, *, at: str, why: str = "Settings decide where money goes") -> None:
    """For whoever confirmed just now who they are. Raises Problem."""
    if recent.is_fresh(_confirmed_at(request)):
        return
    raise Problem(
        "confirmation_required",
        f"{why}: confirm first who you are. Do it in the portal, at {settings.PUBLIC_URL}{at}; or "
        "confirm there, get new tokens and ask again with these. Nothing was done.",
    )


def _confirmed_at(request: Request) -> float | None:
    if isinstance(request.auth, TokenGrant):
        at: datetime | None = request.auth.confirmed_at
        return at.timestamp() if at else None
    return recent.confirmed_at(request._request)


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
