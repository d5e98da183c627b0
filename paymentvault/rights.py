"""Rights: what a view needs, and the words for whoever lacks it."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from paymentvault.models import User

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class Missing(PermissionDenied):
    """A right that somebody lacks, so that the answer can name it."""

    def __init__(self, right: str) -> None:
        super().__init__(right)
        self.right = right


def needs(right: str) -> Callable[[View[P]], View[P]]:
    """Let only those in who have a right, such as "partners.view_partner"."""

    def decorated(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.has_perm(right):
                raise Missing(right)
            return view(request, *args, **kwargs)

        return guarded

    return decorated


def of(user: User) -> QuerySet[Permission]:
    """The rights somebody has, by themselves or by a group."""
    if user.is_superuser:
        return Permission.objects.none()
    return Permission.objects.filter(Q(user=user) | Q(group__user=user)).order_by("name").distinct()


def in_words(right: str) -> str:
    """As Django's admin names it; its code for one that nobody made."""
    app, _, codename = right.partition(".")
    found = Permission.objects.filter(content_type__app_label=app, codename=codename)
    return found.values_list("name", flat=True).first() or right


def whom_to_ask() -> QuerySet[User]:
    """Those who give rights out; the first few."""
    return User.objects.filter(is_superuser=True, is_active=True).order_by("username")[:5]
