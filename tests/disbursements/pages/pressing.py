"""How a person opens the page of an act and presses its button."""

import re
from html import unescape
from typing import Any

from django.test import Client

from disbursements.models import Disbursement

VIEW = "disbursements.view_disbursement"
DECIDE = "disbursements.approve_disbursement"
SETTLE = "disbursements.settle_disbursement"
TEND = "disbursements.change_case"


def address(one: Disbursement, act: str = "") -> str:
    return f"/disbursements/{one.pk}/{act + '/' if act else ''}"


def once(client: Client, url: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    page = client.get(url).content.decode()
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


def press(client: Client, url: str, **typed: Any) -> Any:
    """Open the page, fill it in, and press its button."""
    hidden = once(client, url) or {"once": "3d0c9f2e-6a53-4b61-9a35-0d3d7e5f0c11"}
    return client.post(url, hidden | typed, follow=True)


def text(answer: Any) -> str:
    """What a page says, without its tags."""
    body = re.sub(r"<(script|style|title)\b.*?</\1>", "", answer.content.decode(), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
