"""The page for programmers: what it says is so, and its example verifies what is sent."""

import re
import time
from html import unescape

import pytest

from disbursements import deliveries, signing
from partners.models import Role, new_signing_secret
from paymentvault.api.errors import CODES

pytestmark = pytest.mark.django_db

SECRET, BODY = new_signing_secret(), b'{"type":"webhook.test"}'


@pytest.fixture
def page(person):
    return person(Role.VIEWER).client.get("/api/v1/docs").text


@pytest.fixture
def verify(page):
    """The example, as somebody copies it from the page."""
    found = re.search(r'<pre id="verify"><code>(.*?)</code></pre>', page, re.DOTALL)
    names = {}
    exec(unescape(found[1]), names)  # noqa: S102 -- our own page
    return names["verify"]


def headers(*secrets, at=0, body=BODY):
    return signing.headers("msg_1", timestamp=int(time.time()) + at, body=body, secrets=secrets)


def test_the_example_takes_what_we_send(verify):
    verify(BODY, headers(SECRET), SECRET)
    verify(BODY, headers(new_signing_secret(), SECRET), SECRET)


@pytest.mark.parametrize(
    "body, told",
    [
        (b"{}", headers(SECRET)),
        (BODY, headers(new_signing_secret())),
        (BODY, headers(SECRET, at=-301)),
        (BODY, headers(SECRET) | {"webhook-id": "msg_2"}),
    ],
    ids=["another body", "another secret", "too old", "another id"],
)
def test_the_example_refuses_everything_else(verify, body, told):
    with pytest.raises(ValueError, match="secret|old"):
        verify(body, told, SECRET)


def test_every_code_is_on_the_page_and_no_other(page):
    assert all(f"<code>{code}</code>" in page for code in CODES)
    # Whatever the guide names as one.
    named = set(re.findall(r"<code>([a-z]+_[a-z_]+)</code>", page))
    assert named <= {*CODES, "own_reference", "loan_id", "loan_account", "in_doubt"} | named_fields(
        page
    )


def named_fields(page):
    return set(re.findall(r"<dt><code>([a-z_.]+)</code></dt>", page))


def test_the_schedule_is_told_as_it_is(page):
    hours = [f"{w.total_seconds() / 3600:g}" for w in deliveries.SCHEDULE[3:]]
    assert [w.total_seconds() for w in deliveries.SCHEDULE[:3]] == [5, 300, 1800]
    words = f"5 seconds, 5 and 30 minutes, {', '.join(hours[:-1])} and {hours[-1]} hours"
    assert words in page
    assert deliveries.READ_TIMEOUT_S == 15 and deliveries.FAILING_TOO_LONG.days == 5


def test_every_link_within_the_page_leads_somewhere(page):
    targets = set(re.findall(r'href="#([\w-]+)"', page)) - {"content"}

    assert targets
    assert targets <= set(re.findall(r'id="([\w-]+)"', page))
