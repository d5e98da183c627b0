"""Somebody signed in with the rights a test gives them, who presses buttons as a browser does."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from paymentvault.models import User

ALL = ("view_partner", "add_partner", "change_partner", "view_mifosconnection",
       "change_mifosconnection", "view_mpesashortcode", "change_mpesashortcode")  # fmt: skip
SEES = tuple(name for name in ALL if name.startswith("view_"))


@pytest.fixture
def signed_in(db: None, client: Client) -> Callable[..., Client]:
    def sign_in(*rights: str, username: str = "chege") -> Client:
        user, _ = User.objects.get_or_create(username=username)
        found = Permission.objects.filter(content_type__app_label="partners", codename__in=rights)
        user.user_permissions.set(found)
        client.force_login(user)
        return client

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


def said(answer: Any) -> list[str]:
    """The messages that the next page will show."""
    return [str(message) for message in answer.wsgi_request._messages]


def words(answer: Any) -> str:
    return " ".join(answer.content.decode().split())
