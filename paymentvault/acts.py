"""A dangerous act has a page of its own, asks a reason, and happens once.

The page names the thing, the sum and the consequence. Its form carries a token that is spent in
the act's own transaction, so a second press, or the back button, finds it done.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString

from paymentvault.models import DoneOnce, User


class Refusal(Exception):
    """Why an act isn't done, in words for whoever asked: what happened, and what to do."""


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Reason",
        help_text="Kept in the history and in the audit.",
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class NoteForm(forms.Form):
    reason = forms.CharField(
        label="Note (optional)",
        help_text="Kept in the history and in the audit.",
        max_length=300,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


@dataclass(frozen=True)
class Act:
    """What the confirming page says."""

    title: str
    """A question that names the thing and the sum."""
    verb: str
    """The button: "Pay KES 412,000 to 38 people"."""
    back: str
    """Where Cancel leads."""
    consequence: str = ""
    """What will happen, whether money moves, and what can't be undone."""
    facts: Sequence[tuple[str, Any]] = field(default_factory=tuple)
    is_dangerous: bool = False
    form: type[forms.Form] = ReasonForm
    """What is asked; its `reason` goes to the history."""
    template: str = "confirm.html"
    more: dict[str, Any] = field(default_factory=dict)
    """What a template of the act's own shows."""


def confirmed(
    request: HttpRequest,
    act: Act,
    *,
    do: Callable[[Any], str | SafeString],
    then: str | Callable[[], str] = "",
    refusals: tuple[type[Exception], ...] = (),
    form_kwargs: dict[str, Any] | None = None,
) -> HttpResponse:
    """Show the page; on POST carry the act out once and go on.

    `do` gets the valid form and returns what happened, as a message. It runs in a transaction
    with the spending of the token. What it refuses (`Refusal`, and the exceptions named) is shown
    on the page, with nothing changed.
    """
    if request.method != "POST":
        return _page(request, act, act.form(**form_kwargs or {}), uuid.uuid4())
    form = act.form(request.POST, request.FILES or None, **form_kwargs or {})
    token = _token(request)
    # A second press doesn't even reach the form: what it asks may have changed by the first.
    if token and DoneOnce.objects.filter(token=token).exists():
        return _was_done(request, act, then)
    if not form.is_valid():
        return _page(request, act, form, token or uuid.uuid4())
    if token is None:
        form.add_error(None, "The page came back incomplete. Nothing was done: press once more.")
        return _page(request, act, form, uuid.uuid4())
    try:
        with transaction.atomic():
            _spend(token, request)
            message = do(form)
    except _AlreadyDone:
        return _was_done(request, act, then)
    except Exception as refusal:
        if not isinstance(refusal, (Refusal, *refusals)):
            raise
        form.add_error(None, f"{refusal} Nothing was changed.")
        return _page(request, act, form, token, status=409)
    messages.success(request, message)
    return redirect(then() if callable(then) else then or act.back)


class _AlreadyDone(Exception):
    pass


def _spend(token: uuid.UUID, request: HttpRequest) -> None:
    try:
        with transaction.atomic():
            DoneOnce.objects.create(token=token, user=user_of(request))
    except IntegrityError as error:
        raise _AlreadyDone from error


def _was_done(request: HttpRequest, act: Act, then: str | Callable[[], str]) -> HttpResponse:
    messages.info(request, "That was done already, by the first press. It was not done again.")
    # Where the first one led may be known to the first only.
    return redirect(act.back if callable(then) else then or act.back)


def _token(request: HttpRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.POST.get("once", ""))
    except ValueError:
        return None


def _page(
    request: HttpRequest, act: Act, form: forms.Form, token: uuid.UUID, *, status: int = 200
) -> HttpResponse:
    given = {"act": act, "form": form, "once": token, **act.more}
    if form.is_bound and form.errors and status == 200:
        status = 422
    return render(request, act.template, given, status=status)


def user_of(request: HttpRequest) -> User:
    """Whoever is signed in; LoginRequiredMiddleware lets nobody else through."""
    if not isinstance(request.user, User):
        raise TypeError("Nobody is signed in.")
    return request.user
