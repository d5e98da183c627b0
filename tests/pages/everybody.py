"""Everybody who may come to a page, from nobody to the platform's administrator."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction
from django.test import Client

from partners.models import Membership, Partner, Role
from paymentvault.models import User

AT_A_PARTNER = (Role.VIEWER, Role.OPERATOR, Role.APPROVER, Role.PARTNER_ADMINISTRATOR)
LET_THROUGH = (200, 204, 302, 409, 422)
SIGN_IN = ("/login/", "/admin/login/")


def everybody(here: Partner, there: Partner) -> dict[str, Client]:
    """A browser of each: one has a role `here`, and two have every role `there`."""
    all_there = [(role, there) for role in AT_A_PARTNER]
    roles: dict[str, list[tuple[Role, Partner | None]]] = {
        "stranger": [],
        "viewer": [(Role.VIEWER, here)],
        "operator": [(Role.OPERATOR, here)],
        "approver": [(Role.APPROVER, here)],
        "manager": [(Role.PARTNER_ADMINISTRATOR, here)],
        "elsewhere": [*all_there],
        "both": [(Role.VIEWER, here), *all_there],
        "platform": [(Role.ADMINISTRATOR, None)],
        "auditor": [(Role.AUDITOR, None)],
    }
    return {"nobody": Client()} | {name: browser(name, *held) for name, held in roles.items()}


def browser(name: str, *roles: tuple[Role, Partner | None], is_staff: bool = False) -> Client:
    user = User.objects.create_user(name, password=name, is_staff=is_staff)
    for role, partner in roles:
        Membership.objects.create(user=user, role=role, partner=partner)
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


@dataclass(frozen=True)
class Answer:
    """What came back: "ok" for whoever is let through, "in" where it leads to signing in."""

    word: str
    body: str


def ask(client: Client, method: str, path: str) -> Answer:
    """What a request is answered; what it did, or signing out, is undone."""
    cookies = client.cookies.copy()
    with _undone():
        answer = getattr(client, method)(path, headers={"accept": "text/html"})
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    client.cookies = cookies
    status = answer.status_code
    if status == 302 and answer["Location"].startswith(SIGN_IN):
        return Answer("in", "")
    return Answer("ok" if status in LET_THROUGH else str(status), body.decode(errors="replace"))


@contextmanager
def _undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
