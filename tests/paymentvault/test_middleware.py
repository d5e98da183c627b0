"""Whoever calls while PostgreSQL is away learns that nothing was kept."""

import pytest
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpResponse
from django.urls import path

from paymentvault.middleware import UnavailableWithoutDatabase


@pytest.fixture
def away(monkeypatch):
    """Every use of the database fails, as with PostgreSQL stopped."""

    def refuse(self, *args, **kwargs):
        raise OperationalError('connection to server at "10.0.0.5" failed for user "vault"')

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", refuse)


@pytest.fixture
def caller(client):
    client.raise_request_exception = False
    return client


PATHS = {
    "hook": "/mifos-webhook/abcdefghijklmnopqrstuvwx/",
    "loan-approval": "/mifos-webhook/loan-approval",
    "callback": "/cb/0123456789abcdef0123456789abcdef/r",
    "hook at a host of its own, looked up by a middleware": "/",
}

APPROVAL = {
    "eventType": "loan_approved", "partnerId": "6a1f0f4e-3a6b-4c1e-9a53-0d7a2b1c9e11",
    "loanId": "3198", "clientId": "2", "clientPhone": "254712345678",
    "clientName": "Amina Otieno", "loanAmount": 10000, "productId": "1",
    "productName": "Business loan", "approvedAt": "2026-11-23T09:00:00Z",
    "webhookToken": "abcdefghijklmnopqrstuvwx",
}  # fmt: skip


@pytest.mark.parametrize("url", PATHS.values(), ids=PATHS.keys())
def test_without_postgresql_outside_systems_get_503_and_when_to_come_back(caller, away, url):
    answer = caller.post(url, APPROVAL, content_type="application/json")

    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert answer.json()["error"]["code"] == "unavailable"
    assert "10.0.0.5" not in answer.text


def test_so_do_people_whose_session_cannot_be_read(caller, away):
    caller.cookies["sessionid"] = "of-somebody"

    assert caller.get("/admin/").status_code == 503


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed")])
def test_an_absent_database_is_503(rf, error):
    answer = UnavailableWithoutDatabase(HttpResponse).process_exception(rf.get("/"), error)

    assert answer.status_code == 503


@pytest.mark.parametrize(
    "error", [IntegrityError("twice"), DatabaseError("odd"), ValueError("ours"), OSError("disk")]
)
def test_other_errors_are_not_touched(rf, error):
    assert UnavailableWithoutDatabase(HttpResponse).process_exception(rf.get("/"), error) is None


def breaks(request):
    raise ValueError("canary")


breaks.login_required = False
urlpatterns = [path("breaks", breaks)]
handler500 = "paymentvault.views.server_error"


@pytest.mark.urls(__name__)
def test_a_fault_of_ours_is_a_plain_500(caller):
    answer = caller.get("/breaks")

    assert answer.status_code == 500
    assert "canary" not in answer.text
