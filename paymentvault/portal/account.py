"""Signing in and out, and one's own account."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import views
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_POST

from paymentvault import audit, groups, rights
from paymentvault.acts import user_of
from paymentvault.addresses import source_address
from paymentvault.context import THEMES
from paymentvault.models import Job, User
from paymentvault.portal.forms import PasswordForm, ProfileForm, SignInForm

JOBS_SHOWN = 10


class SignIn(views.LoginView):
    template_name = "registration/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        answer = super().form_valid(form)
        _told(self.request, "signed in")
        return answer

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        address = source_address(self.request)
        audit.refused("a sign-in with a wrong name or password", source_address=address)
        return super().form_invalid(form)


class SignOut(views.LogoutView):
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            _told(request, "signed out")
        return super().post(request, *args, **kwargs)


class ChangePassword(views.PasswordChangeView):
    template_name = "registration/password.html"
    form_class = PasswordForm
    success_url = reverse_lazy("profile")

    @transaction.atomic
    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        answer = super().form_valid(form)
        _told(self.request, "password changed")
        words = "Your password is changed. Wherever else you were signed in, you no longer are."
        messages.success(self.request, words)
        return answer


def profile(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    # A row of its own: the frame goes on showing what is saved, not what was typed.
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=user.pk))
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            _told(request, "profile changed", changed=form.changed_data)
        messages.success(request, "Saved.")
        return redirect("profile")
    return render(request, "registration/profile.html", {
        "account": user,
        "form": form,
        "groups": [(g.name, groups.ABOUT.get(g.name, "")) for g in user.groups.order_by("name")],
        "rights": rights.of(user),
        "jobs": Job.objects.filter(started_by=user).defer("given", "lines")[:JOBS_SHOWN],
    }, status=422 if form.errors else 200)  # fmt: skip


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the choice in a cookie, so that the server renders it without a flash."""
    answer = redirect("profile")
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        answer.set_cookie(
            "theme", chosen, max_age=365 * 86_400, samesite="Lax", httponly=True,
            secure=request.is_secure(),
        )  # fmt: skip
    else:
        answer.delete_cookie("theme", samesite="Lax")
    return answer


def _told(request: HttpRequest, act: str, **detail: Any) -> None:
    by = request.user.get_username()
    audit.record(act, by=by, subject=by, source_address=source_address(request), **detail)
