"""Signing in and out, and one's own account."""

from typing import Any

from allauth.account.views import LoginView, LogoutView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import (
    DownloadRecoveryCodesView,
    GenerateRecoveryCodesView,
    ViewRecoveryCodesView,
)
from allauth.mfa.totp.views import ActivateTOTPView
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from django.views.generic.edit import FormView

from partners.models import Membership, Role
from partners.roles import ABOUT
from paymentvault import audit, factors, recent, rights, second_factor, sessions
from paymentvault.acts import user_of
from paymentvault.addresses import source_address
from paymentvault.context import THEMES
from paymentvault.models import Job, User
from paymentvault.portal.forms import PasswordForm, ProfileForm
from paymentvault.session_store import kept_as

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


class ByFactorItself:
    """One recovery code, which somebody may have found, doesn't open the others."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if recent.is_recent(request) and not second_factor.itself_shown(request):
            words = (
                "With a recovery code one doesn't come to the others. Set up a new app or a "
                "passkey first. Nothing was changed."
            )
            messages.warning(request, words)
            return redirect("mfa_index")
        answer: HttpResponseBase = super().dispatch(  # type: ignore[misc]
            request, *args, **kwargs
        )
        return answer


class RecoveryCodes(ByFactorItself, ViewRecoveryCodesView):  # type: ignore[misc]
    def render_to_response(self, context: dict[str, Any], **given: Any) -> HttpResponse:
        if context["unused_codes"] and context["can_view_codes"]:
            user = user_of(self.request)
            audit.shown("recovery codes shown", by=user.get_username(), subject=user)
        answer: HttpResponse = super().render_to_response(context, **given)
        return answer


class RecoveryCodesAsFile(ByFactorItself, DownloadRecoveryCodesView):  # type: ignore[misc]
    def render_to_response(self, context: dict[str, Any], **given: Any) -> HttpResponse:
        _told(self.request, "recovery codes downloaded")
        answer: HttpResponse = super().render_to_response(context, **given)
        return answer


class NewRecoveryCodes(ByFactorItself, GenerateRecoveryCodesView):  # type: ignore[misc]
    pass


class ReplaceApp(ActivateTOTPView):  # type: ignore[misc]
    """A new app in the place of the old, which is lost or goes to another phone."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = user_of(request)
        if not Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists():
            return redirect("mfa_activate_totp")
        second_factor.demand_for_replacing(request)
        # Not the parent's, which turns away whoever has one.
        answer: HttpResponseBase = FormView.dispatch(self, request, *args, **kwargs)
        return answer

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        return {**super().get_context_data(**given), "replaces": True}

    def form_valid(self, form: Any) -> HttpResponse:
        second_factor.replace_app(self.request, user_of(self.request), form.secret)
        words = "Your new app counts from now on. The codes of the old are worth nothing any more."
        messages.success(self.request, words)
        return redirect("mfa_index")


class ChangePassword(PasswordChangeView):
    template_name = "registration/password.html"
    form_class = PasswordForm
    success_url = reverse_lazy("profile")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated and factors.is_set_up(user_of(request)):
            recent.demand(request)
        return super().dispatch(request, *args, **kwargs)

    @transaction.atomic
    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        answer = super().form_valid(form)
        user = user_of(self.request)
        ended = sessions.end(user, except_for=kept_as(self.request.session.session_key))
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
            user_of(request), except_for=kept_as(request.session.session_key), only=only
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
        "roles": _roles(user),
        "groups": list(user.groups.order_by("name")),
        "rights": rights.of(user),
        "sessions": _sessions(request, user),
        "has_second_factor": factors.is_set_up(user),
        "needs_second_factor": second_factor.is_needed(user),
        "jobs": Job.objects.filter(started_by=user).defer("given", "lines")[:JOBS_SHOWN],
    }, status=422 if form.errors else 200)  # fmt: skip


def _roles(user: User) -> list[tuple[Membership, str]]:
    rows = user.memberships.select_related("partner").order_by("partner__name", "role")
    return [(one, ABOUT[Role(one.role)]) for one in rows]


def _sessions(request: HttpRequest, user: User) -> list[tuple[Any, str, bool]]:
    """Each with its device, and whether it is this one."""
    here = kept_as(request.session.session_key)
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
    user = user_of(request)
    audit.record(act, by=user.get_username(), subject=user,
                 source_address=source_address(request), **detail)  # fmt: skip
