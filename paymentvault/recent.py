"""Before what could cost money, whoever sits there shows once more who they are.

`@freshly` stands on a view, `demand` inside one. What was typed while the time ran out is kept,
encrypted with the session, and goes on by one press when they are back.
"""

import time
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode

from paymentvault import factors
from paymentvault.models import User

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
Handler = Callable[[HttpRequest], HttpResponse]

KEPT = "kept_while_asked_again"
GO_ON = "go_on"


class AskAgain(Exception):
    """Whoever is signed in must show again who they are; `AskingAgain` leads them there."""


def is_recent(request: HttpRequest) -> bool:
    """Whether somebody confirmed who they are just now; signing in is not enough."""
    return is_fresh(confirmed_at(request))


def is_fresh(at: float | None) -> bool:
    """Whether a confirmation of that time still counts."""
    if not settings.ASK_AGAIN_AFTER_S:
        return True
    return at is not None and at > time.time() - settings.ASK_AGAIN_AFTER_S


def confirmed_at(request: HttpRequest) -> float | None:
    """When somebody last confirmed in this session who they are.

    Whoever has a second factor does so by it: a password that was seen or guessed confirms nothing.
    """
    records = get_authentication_records(request, request.user)
    all_of_them = [one for one in records if one.get("reauthenticated")]
    counting = [one for one in all_of_them if one["method"] == factors.SHOWN_AS]
    if len(counting) < len(all_of_them) and not _has_factor(request):
        counting = all_of_them
    return max((one["at"] for one in counting), default=None)


def _has_factor(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and factors.is_set_up(request.user)


def demand(request: HttpRequest) -> None:
    if not is_recent(request):
        raise AskAgain


def demand_above(request: HttpRequest, amount: Decimal | int) -> None:
    """For letting money go: only from ASK_AGAIN_ABOVE on."""
    if amount > settings.ASK_AGAIN_ABOVE:
        demand(request)


def freshly(view: View[P], to_change: str = "") -> View[P]:
    """Let a view be opened, and posted to, only by who confirmed just now who they are.

    A page that others may look at asks those alone who have the right to change it.
    """

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not to_change or request.user.has_perm(to_change):
            demand(request)
        return view(request, *args, **kwargs)

    return guarded


class AskingAgain:
    """Middleware: leads to the question and back, with what was typed."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if _changes_by_admin(request) and not is_recent(request):
            return _led_to_question(request)
        if KEPT not in request.session or request.session[KEPT]["path"] != request.get_full_path():
            return None
        if request.method == "GET" and is_recent(request):
            kept = request.session[KEPT]
            return render(request, "account/go_on.html", {"had_files": kept["had_files"]})
        if request.method == "POST":
            kept = request.session.pop(KEPT)
            if GO_ON in request.POST:
                request.POST = QueryDict(kept["typed"])
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return _led_to_question(request) if isinstance(error, AskAgain) else None


def _changes_by_admin(request: HttpRequest) -> bool:
    """Django's own admin changes connections, shortcodes and people too."""
    match = request.resolver_match
    if request.method != "POST" or match is None or match.namespace != "admin":
        return False
    is_form = (match.url_name or "").endswith(("_add", "_change", "_delete"))
    return is_form or request.POST.get("action") == "delete_selected"


def _led_to_question(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        request.session[KEPT] = {
            "path": request.get_full_path(),
            "typed": request.POST.urlencode(),
            "had_files": bool(request.FILES),
        }
    return sent_to(request, f"{question(request)}?{urlencode({'next': here(request)})}")


def question(request: HttpRequest) -> str:
    """Where somebody is asked; who has nothing to answer with is refused there."""
    methods = get_adapter().get_reauthentication_methods(request.user)
    return str(methods[0]["url"] if methods else reverse("account_reauthenticate"))


def here(request: HttpRequest) -> str:
    """The page that somebody has open; what htmx asks for is a part of one."""
    return request.headers.get("HX-Current-URL", "") or request.get_full_path()


def sent_to(request: HttpRequest, url: str) -> HttpResponse:
    """A redirect of the whole page, also where htmx asked for a part of it."""
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return redirect(url)
