"""Somebody signed in with the rights a test gives them, who presses buttons as a browser does."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from partners.models import SettingsChange
from paymentvault.models import User

ALL = ("view_partner", "add_partner", "change_partner", "view_mifosconnection",
       "change_mifosconnection", "view_mpesashortcode", "change_mpesashortcode")  # fmt: skip
SEES = tuple(name for name in ALL if name.startswith("view_"))


@pytest.fixture
def signed_in(db: None, client: Client) -> Callable[..., Client]:
    def sign_in(*rights: str, username: str = "chege", on: Client = client) -> Client:
        user, _ = User.objects.get_or_create(username=username)
        found = Permission.objects.filter(content_type__app_label="partners", codename__in=rights)
        user.user_permissions.set(found)
        on.force_login(user)
        return on

    return sign_in


@pytest.fixture
def admin(signed_in: Callable[..., Client]) -> Client:
    """Whoever sets partners up."""
    return signed_in(*ALL)


@pytest.fixture
def press(django_capture_on_commit_callbacks: Any) -> Callable[..., Any]:
    """Send a form of a page, with what the page put into it; workers then do their part."""

    def send(client: Client, url: str, *, opens: bool = True, **typed: Any) -> Any:
        if opens:
            page = client.get(url)
            assert page.context and "once" in page.context, page.content.decode()
            typed |= {"once": page.context["once"]}
        headers = {name: typed.pop(name) for name in list(typed) if name.startswith("HTTP_")}
        with django_capture_on_commit_callbacks(execute=True):
            return client.post(url, {"reason": "For a test."} | typed, REMOTE_ADDR="10.1.2.3",
                               **headers)  # fmt: skip

    return send


@pytest.fixture
def second(signed_in: Callable[..., Client]) -> Client:
    """Somebody else with the same rights."""
    client = Client()
    signed_in(*ALL, username="wanjiru", on=client)
    return client


@pytest.fixture
def confirm(second: Client, press: Callable[..., Any]) -> Callable[..., Any]:
    """The second person confirms what waits; returns the answer to their press."""

    def go_on(**typed: Any) -> Any:
        change = SettingsChange.objects.filter(state="waiting").first()
        assert change, "nothing waits"
        return press(second, f"/settings-changes/{change.pk}/confirm/", **typed)

    return go_on


def said(answer: Any) -> list[str]:
    """The messages that the next page will show."""
    return [str(message) for message in answer.wsgi_request._messages]


def words(answer: Any) -> str:
    return " ".join(answer.content.decode().split())
