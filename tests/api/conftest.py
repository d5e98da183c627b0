"""People and programs that ask, at the lender and at Jamii, and a row of everything at both."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client
from django.utils import timezone

from disbursements.models import Attempt, Callback, Disbursement
from disbursements.states import Status
from mifos.models import Event
from partners import keys
from partners.models import Membership, MifosConnection, MpesaShortcode, Partner, Role, Scope
from paymentvault.api import limits
from paymentvault.models import User

PLATFORM = {Role.ADMINISTRATOR, Role.AUDITOR}
ASKED = {
    "name": "Amina Otieno", "msisdn": "0712 345 678", "amount": "1500", "purpose": "School fees",
}  # fmt: skip


@pytest.fixture(autouse=True)
def counted_here(settings, monkeypatch):
    """Each test counts for itself, and none is slowed down by another."""
    here = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "limits"}
    settings.CACHES = settings.CACHES | {"limits": here}
    monkeypatch.setattr(limits, "_resting_until", 0.0)
    caches["limits"].clear()


@pytest.fixture
def jamii(db):
    return Partner.objects.create(name="Jamii", code="jamii")


class Api:
    """Asks in JSON; `as_` says with which header."""

    def __init__(self, client: Client, **headers: str) -> None:
        self.client, self.headers = client, headers

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(f"/api/v1/{path}", headers=self.headers, **more)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.post(
            f"/api/v1/{path}", {} if body is None else body, content_type="application/json",
            headers=self.headers | headers,
        )  # fmt: skip

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.client.patch(
            f"/api/v1/{path}", body, content_type="application/json",
            headers=self.headers | headers,
        )  # fmt: skip

    def ask(self, key: str = "k-1", **changes: Any) -> Any:
        body = {name: value for name, value in (ASKED | changes).items() if value is not None}
        return self.post("disbursements", body, **{"Idempotency-Key": key})


@pytest.fixture
def person(db, lender):
    """Somebody with a role at a partner, or at none, signed in with a session."""

    def make(role: Role | None = None, partner: Partner | None = None, name: str = "") -> Api:
        user, _ = User.objects.get_or_create(username=name or f"p-{role or 'nobody'}")
        if role:
            at = None if role in PLATFORM else partner or lender
            Membership.objects.get_or_create(user=user, role=role, partner=at)
        client = Client()
        client.force_login(user)
        api = Api(client)
        api.user = user
        return api

    return make


@pytest.fixture
def made_key(lender, baraka):
    def make(*scopes: str, partner: Partner | None = None, **given: Any) -> tuple[Any, str]:
        plain = {"name": "Loan system", "allowed_networks": [], "by": baraka,
                 "expires_at": timezone.now() + timedelta(days=30)}  # fmt: skip
        return keys.make(partner or lender, scopes=list(scopes or Scope.values), **(plain | given))

    return make


@pytest.fixture
def program(made_key):
    """A program with an API key of a partner."""

    def make(*scopes: str, **given: Any) -> Api:
        key, text = made_key(*scopes, **given)
        api = Api(Client(), Authorization=f"Bearer {text}")
        api.key, api.text = key, text
        return api

    return make


@pytest.fixture
def row_of(lender, connection, shortcode, manual):
    """Rows of everything at one partner: the lender, or another."""

    def make(partner: Partner) -> dict[str, Any]:
        theirs = MifosConnection.objects.filter(partner=partner).first()
        theirs = theirs or MifosConnection.objects.create(
            partner=partner, host_url="https://other.test", password="other-canary"
        )
        short = MpesaShortcode.objects.filter(partner=partner).first()
        short = short or MpesaShortcode.objects.create(
            partner=partner, shortcode="600998", consumer_key="canary-k",
            consumer_secret="canary-s", initiator_name="i", utility_balance=5,
        )  # fmt: skip
        waiting = manual(Status.AWAITING_APPROVAL, partner=partner)
        sent = manual(Status.SENT, partner=partner)
        attempt = Attempt.objects.create(
            disbursement=sent, shortcode=short, msisdn=sent.msisdn, amount_kes=sent.amount_kes,
            status="sent",
        )  # fmt: skip
        return {
            "waiting": waiting, "failed": manual(Status.FAILED, partner=partner), "sent": sent,
            "callback": Callback.objects.create(kind="r", attempt=attempt, body='{"a": 1}'),
            "event": Event.objects.create(connection=theirs, form="native", body="{}"),
            "shortcode": short, "connection": theirs, "partner": partner,
        }  # fmt: skip

    return make


@pytest.fixture
def ours(row_of, lender):
    return row_of(lender)


@pytest.fixture
def theirs(row_of, jamii):
    return row_of(jamii)


def code(answer: Any) -> str:
    return answer.json()["error"]["code"]


def count() -> int:
    return Disbursement.objects.count()
