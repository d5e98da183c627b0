"""Signing in, and one's own account."""

from django.contrib.auth import views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from paymentvault.acts import user_of
from paymentvault.context import THEMES


class LogIn(views.LoginView):
    template_name = "registration/login.html"
    redirect_authenticated_user = True


class LogOut(views.LogoutView):
    http_method_names = ["post"]


def profile(request: HttpRequest) -> HttpResponse:
    return render(request, "registration/profile.html", {"account": user_of(request)})


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the choice in a cookie, so that the server renders it without a flash."""
    answer = redirect("profile")
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        answer.set_cookie("theme", chosen, max_age=365 * 86_400, samesite="Lax", httponly=True)
    else:
        answer.delete_cookie("theme")
    return answer
