"""Forms of one's own account."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm

from paymentvault.models import User


class SignInForm(AuthenticationForm):
    """Says the same of an unknown user, a wrong password and a closed account: a stranger who
    guesses learns nothing."""

    error_messages = {
        "invalid_login": "This user name and password don't belong together. Mind capital and "
        "small letters. If you forgot the password, ask an administrator for a new one."
    }


class PasswordForm(PasswordChangeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = "The password you have now"
        self.fields["new_password1"].label = "The new one"
        self.fields["new_password2"].label = "The new one once more"
        self.fields["new_password2"].help_text = ""


class ProfileForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["email"]
        labels = {"email": "E-mail"}
        help_texts = {"email": "Colleagues who lack a right are told whom to ask with it."}
        widgets = {"email": forms.EmailInput(attrs={"autocomplete": "email"})}
