"""Forms of one's own account."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import LoginForm, ReauthenticateForm
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as AgainForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from django import forms
from django.conf import settings
from django.contrib.auth.forms import PasswordChangeForm

from paymentvault.models import User
from paymentvault.signing_in import Guess


class SignInForm(LoginForm):  # type: ignore[misc]
    """Says the same of an unknown user, a wrong password and a closed account: a stranger who
    guesses learns nothing."""

    WRONG = (
        "This user name and password don't belong together. Mind capital and small letters. If "
        "you forgot the password, ask an administrator for a new one."
    )

    fields: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name = self.fields.pop("login")
        told = {"autocomplete": "username", "autocapitalize": "none", "autofocus": True}
        name.widget.attrs = told
        del self.fields["password"].widget.attrs["placeholder"]
        self.fields["password"].help_text = ""
        self.fields = {"username": name, **self.fields}

    def user_credentials(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in ("username", "password")}

    def _clean_with_password(self, credentials: dict[str, str]) -> dict[str, Any]:
        try:
            given: dict[str, Any] = super()._clean_with_password(credentials)
        except (forms.ValidationError, KeyError) as error:
            raise forms.ValidationError(locked_out(self.request) or self.WRONG) from error
        return given


def locked_out(request: Any) -> str:
    """What to say where too many wrong passwords came from here; "" if not."""
    if not getattr(request, "axes_locked_out", False):
        return ""
    return (
        f"There were too many wrong passwords for this user name from here. Nothing is looked at "
        f"for {settings.LOCKED_OUT_FOR_S // 60} minutes, not even the right one. Elsewhere it "
        f"still works. If it wasn't you, tell an administrator."
    )


class PasswordAgainForm(ReauthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _without_placeholder(self, "password")

    def clean_password(self) -> str:
        try:
            password: str = super().clean_password()
        except forms.ValidationError as error:
            wrong = "This isn't your password."
            raise forms.ValidationError(locked_out(context.request) or wrong) from error
        return password


class Guessable(forms.Form):
    """Before allauth's forms, whose own limit is off: it was by person alone, so that whoever knew
    a password could lock its owner out."""

    user: User

    def clean_code(self) -> str:
        guess = Guess(context.request, self.user)
        if not guess.is_looked_at:
            raise forms.ValidationError(
                f"There were too many wrong codes {guess.why_not}, not even the right one. A "
                f"passkey still works. Whoever tried them knows your password: if it wasn't you, "
                f"tell an administrator."
            )
        code: str = super().clean_code()  # type: ignore[misc]
        guess.was_right()
        return code


class CodeForm(Guessable, AuthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _asks_for_code(self, "Six digits from your authenticator app, or a recovery code.")


class CodeAgainForm(Guessable, AgainForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _asks_for_code(self, "Six digits from your authenticator app, or a recovery code.")


class FirstCodeForm(ActivateTOTPForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _asks_for_code(self, "Six digits; the app shows new ones every half minute.")


def _asks_for_code(form: Any, help_text: str) -> None:
    field = form.fields["code"]
    field.label, field.help_text = "Code", help_text
    field.widget.attrs |= {"inputmode": "numeric", "maxlength": "12"}
    _without_placeholder(form, "code")


def _without_placeholder(form: Any, name: str) -> None:
    form.fields[name].widget.attrs.pop("placeholder", None)


class PasswordForm(PasswordChangeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = "The password you have now"
        self.fields["new_password1"].label = "The new one"
        self.fields["new_password2"].label = "The new one once more"
        self.fields["new_password2"].help_text = ""

    def clean_old_password(self) -> str:
        """Counted and told like a sign-in: in a stolen session nobody guesses it."""
        old: str = self.cleaned_data["old_password"]
        if not get_adapter().reauthenticate(self.user, old):
            wrong = self.error_messages["password_incorrect"]
            raise forms.ValidationError(
                locked_out(context.request) or wrong, code="password_incorrect"
            )
        return old


class ProfileForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["email"]
        labels = {"email": "E-mail"}
        help_texts = {"email": "Colleagues who lack a right are told whom to ask with it."}
        widgets = {"email": forms.EmailInput(attrs={"autocomplete": "email"})}
