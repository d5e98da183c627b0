"""Pages that help when something is wrong, and JSON where a program asked."""

import re

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path

from paymentvault.models import User
from paymentvault.rights import needs

PERSON = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PROGRAM = {"accept": "*/*"}


@needs("disbursements.approve_disbursement")
def guarded(request):
    return HttpResponse("in")


@needs("disbursements.fly")
def unknown(request):
    return HttpResponse("in")


def denied(request):
    raise PermissionDenied


def damaged(request):
    raise SuspiciousOperation("canary")


def breaks(request):
    raise ValueError("canary")


def away(request):
    raise OperationalError("canary")


for view in (damaged, breaks, away):
    view.login_required = False
urlpatterns = [
    *(path(view.__name__, view) for view in (guarded, unknown, denied, damaged, breaks, away)),
    path("", include("paymentvault.urls")),
]
handler400 = "paymentvault.views.bad_request"
handler403 = "paymentvault.portal.refused.permission_denied"
handler404 = "paymentvault.views.page_not_found"
handler500 = "paymentvault.views.server_error"
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def caller(client):
    client.raise_request_exception = False
    return client


@pytest.fixture
def amina_s(caller, amina):
    caller.force_login(amina)
    return caller


@pytest.mark.parametrize(
    "path_, status, words",
    [
        ("/damaged", 400, "Nothing was done."),
        ("/guarded", 403, "You may not do this"),
        ("/denied", 403, "Your account lacks the right to this page."),
        ("/nowhere", 404, "There is no such page, or it isn't yours to see"),
        ("/breaks", 500, "It isn't known whether what you asked for was done."),
        ("/away", 503, "Wait a minute, then load this page again."),
    ],
)
def test_a_person_gets_a_page_that_helps(amina_s, path_, status, words):
    answer = amina_s.get(path_, headers=PERSON)

    assert answer.status_code == status
    assert words in answer.text and "canary" not in answer.text
    assert answer.text.count("<h1>") == 1 and "</title>" in answer.text
    assert answer["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path_, status, code",
    [
        ("/damaged", 400, "bad_request"),
        ("/guarded", 403, "forbidden"),
        ("/nowhere", 404, "not_found"),
        ("/breaks", 500, "fault"),
        ("/away", 503, "unavailable"),
    ],
)
@pytest.mark.parametrize("headers", [PROGRAM, {"accept": "application/json"}, {}])
def test_a_program_gets_json(amina_s, path_, status, code, headers):
    answer = amina_s.get(path_, headers=headers)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code


def test_what_is_missing_is_named_with_who_has_it_and_whom_to_ask(amina_s):
    User.objects.create_superuser("wanjiru", email="w@vault.example", first_name="Wanjiru")
    User.objects.create_superuser("gone", is_active=False)

    text = amina_s.get("/guarded", headers=PERSON).text

    assert "“Can approve, reject, release, cancel and retry”" in text
    assert "The role that brings it: Approver (checker)." in text
    assert "Wanjiru" in text and 'href="mailto:w@vault.example"' in text
    assert "gone" not in text


def test_a_right_that_nobody_made_is_named_by_its_code(amina_s):
    assert "disbursements.fly" in amina_s.get("/unknown", headers=PERSON).text


def test_whoever_has_the_right_is_let_in(amina_s, amina, lender):
    amina.memberships.create(role="approver", partner=lender)

    assert amina_s.get("/guarded").text == "in"


def test_a_stranger_without_an_account_is_asked_to_sign_in_first(caller, db):
    assert caller.get("/guarded", headers=PERSON)["Location"].startswith("/login/")


def test_a_page_that_isn_t_there_tells_a_stranger_no_names(caller, db):
    User.objects.create_superuser("wanjiru")

    text = caller.get("/nowhere", headers=PERSON).text

    assert "wanjiru" not in text and 'href="/login/"' in text


def test_an_old_form_is_told_that_nothing_was_done(amina):
    client = Client(enforce_csrf_checks=True)
    client.force_login(amina)

    answer = client.post("/theme/", {"theme": "dark"}, headers=PERSON)

    assert answer.status_code == 403
    assert "Nothing was done: the form is too old" in answer.text


def test_a_fault_names_the_request_as_the_logs_do(caller, db):
    page = caller.get("/breaks", headers=PERSON).text
    told = caller.get("/breaks").json()["error"]["request_id"]

    assert re.search(r"<dt>Request</dt><dd><code>[0-9a-f-]{36}</code>", page)
    assert re.fullmatch(r"[0-9a-f-]{36}", told)
    assert "Nairobi" in page


@pytest.mark.parametrize("path_, status", [("/breaks", 500), ("/away", 503), ("/damaged", 400)])
def test_what_may_come_without_a_database_asks_none(caller, monkeypatch, path_, status):
    def refuse(self, *args, **kwargs):
        raise OperationalError("gone")

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", refuse)

    answer = caller.get(path_, headers=PERSON)

    assert answer.status_code == status
    assert "<h1>" in answer.text


@pytest.mark.parametrize("path_", ["/breaks", "/away", "/damaged"])
def test_they_too_are_light_or_dark_as_chosen(caller, db, path_):
    caller.cookies["theme"] = "dark"

    assert 'data-theme="dark"' in caller.get(path_, headers=PERSON).text


def test_it_says_when_to_come_back(caller, db):
    assert caller.get("/away", headers=PERSON)["Retry-After"] == "10"
