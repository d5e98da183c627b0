"""Signing in and out, and one's own account."""

from typing import Any

from allauth.account.views import LoginView, LogoutView
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from paymentvault import audit, groups, rights, second_factor, sessions
from paymentvault.acts import user_of
from paymentvault.addresses import source_address
from paymentvault.context import THEMES
from paymentvault.models import Job, User
from paymentvault.portal.forms import PasswordForm, ProfileForm

JOBS_SHOWN = 10


class SignIn(LoginView):  # type: ignore[misc]
    template_name = "registration/login.html"

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        return {**super().get_context_data(**given), "next": self.get_next_url() or ""}


# Whoever stands between the password and the second factor may turn back too.
@method_decorator(login_not_required, name="dispatch")
class SignOut(LogoutView):  # type: ignore[misc]
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            _told(request, "signed out")
        answer: HttpResponse = super().post(request, *args, **kwargs)
        return answer


class ChangePassword(PasswordChangeView):
    template_name = "registration/password.html"
    form_class = PasswordForm
    success_url = reverse_lazy("profile")

    @transaction.atomic
    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        before = self.request.session.session_key
        answer = super().form_valid(form)
        sessions.moved(before, to=self.request.session.session_key)
        user = user_of(self.request)
        ended = sessions.end(user, except_for=self.request.session.session_key or "")
        _told(self.request, "password changed", sessions_ended=ended)
        words = "Your password is changed. Wherever else you were signed in, you no longer are."
        messages.success(self.request, words)
        return answer


@require_POST
def end_session(request: HttpRequest) -> HttpResponse:
    """Sign oneself out at one other place, or at all of them."""
    pk = request.POST.get("pk", "")
    only = int(pk) if pk.isdecimal() and len(pk) < 19 else None
    if pk and only is None:
        raise Http404
    with transaction.atomic():
        ended = sessions.end(
            user_of(request), except_for=request.session.session_key or "", only=only
        )
        if ended:
            _told(request, "sessions ended", count=ended)
    words = f"Signed out at {ended} other place{'' if ended == 1 else 's'}."
    messages.success(request, words if ended else "It had ended already.")
    return redirect("profile")


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
        "sessions": _sessions(request, user),
        "has_second_factor": second_factor.is_set_up(user),
        "needs_second_factor": second_factor.is_needed(user),
        "jobs": Job.objects.filter(started_by=user).defer("given", "lines")[:JOBS_SHOWN],
    }, status=422 if form.errors else 200)  # fmt: skip


def _sessions(request: HttpRequest, user: User) -> list[tuple[Any, str, bool]]:
    """Each with its device, and whether it is this one."""
    here = request.session.session_key
    return [(one, sessions.device(one.user_agent), one.session_key == here)
            for one in sessions.of(user)]  # fmt: skip


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
