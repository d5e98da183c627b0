"""One's own programs: the tokens that they were given, and the button that ends them."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from paymentvault.acts import user_of
from paymentvault.api import tokens


def index(request: HttpRequest) -> HttpResponse:
    return render(request, "registration/programs.html", {"grants": tokens.of(user_of(request))})


@require_POST
def end(request: HttpRequest) -> HttpResponse:
    """End the tokens of one sign-in, or all."""
    user, pk = user_of(request), request.POST.get("pk", "")
    if pk:
        ended = tokens.revoke_one(user, _uuid(pk))
    else:
        ended = tokens.revoke_all(user, by=user.get_username(), why="Asked for.")
    words = "Ended. What used them is refused from now on." if ended else "They had ended already."
    messages.success(request, words)
    return redirect("programs")


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404 from None
