"""Who may ask what, of whose rows: every resource, role and kind of key, as one table."""

import pytest

from partners.models import Role, Scope
from tests.api.conftest import ASKED, code

pytestmark = pytest.mark.django_db

V, OP, A, P, ADMIN, AUDIT = (
    Role.VIEWER, Role.OPERATOR, Role.APPROVER, Role.PARTNER_ADMINISTRATOR, Role.ADMINISTRATOR,
    Role.AUDITOR,
)  # fmt: skip
READERS = set(Role)
# Method and path; the body; who may; the scope that a key needs; the answer to who may.
TABLE = {
    "GET partners": (None, READERS, Scope.PARTNERS_READ, 200),
    "GET partners/{partner.code}": (None, READERS, Scope.PARTNERS_READ, 200),
    "PATCH partners/{partner.code}": ({"contact": "Wanjiru"}, {P, ADMIN}, None, 200),
    "GET settings-changes": (None, READERS, Scope.PARTNERS_READ, 200),
    "GET balances": (None, READERS, Scope.PARTNERS_READ, 200),
    "GET disbursements": (None, READERS, Scope.DISBURSEMENTS_READ, 200),
    "GET disbursements/{waiting.pk}": (None, READERS, Scope.DISBURSEMENTS_READ, 200),
    "GET disbursements/lookup?reference={waiting}": (
        None, READERS, Scope.DISBURSEMENTS_READ, 200,
    ),
    "POST disbursements": (
        ASKED | {"partner": "{partner.code}"}, {OP}, Scope.DISBURSEMENTS_CREATE, 201,
    ),
    "POST disbursements/{waiting.pk}/approve": ({"reason": "x"}, {A}, None, 200),
    "POST disbursements/{waiting.pk}/reject": ({"reason": "x"}, {A}, None, 200),
    "POST disbursements/{failed.pk}/retry": ({"reason": "x"}, {A}, None, 200),
    "GET callbacks": (None, READERS, Scope.CALLBACKS_READ, 200),
    "GET callbacks/{callback.pk}": (None, READERS, Scope.CALLBACKS_READ, 200),
    "GET events": (None, READERS, Scope.EVENTS_READ, 200),
    "GET events/{event.pk}": (None, READERS, Scope.EVENTS_READ, 200),
    "POST mifos/test-connection": (
        {"partner": "{partner.code}"}, {P, ADMIN}, Scope.CONNECTION_TEST, 200,
    ),
}  # fmt: skip
LISTS = {"GET partners", "GET balances", "GET disbursements", "GET callbacks", "GET events",
         "GET settings-changes"}  # fmt: skip
LISTS |= {"GET disbursements/lookup?reference={waiting}"}
NEEDS_VIEW = {line for line in TABLE if line.startswith("POST disbursements/")}


def ask(api, line, rows):
    method, _, path = line.format(**rows).partition(" ")
    body = TABLE[line][0]
    if method == "GET":
        return api.get(path)
    body = {name: value.format(**rows) for name, value in body.items()}
    act = api.patch if method == "PATCH" else api.post
    return act(path, body, **{"Idempotency-Key": "k"})


def results(answer):
    told = answer.json()
    return told if isinstance(told, list) else told["results"]


@pytest.mark.parametrize("line", TABLE)
@pytest.mark.parametrize("role", [None, *Role], ids=str)
def test_a_person_at_their_own_partner(person, ours, safaricom, line, role):
    answer = ask(person(role), line, ours)

    assert answer.status_code == (TABLE[line][3] if role in TABLE[line][1] else 403), answer.text
    assert answer.status_code != 403 or code(answer) == "forbidden"


@pytest.mark.parametrize("line", TABLE)
@pytest.mark.parametrize("role", [V, OP, A, P], ids=str)
def test_a_person_at_another_partner(person, ours, theirs, line, role):
    answer = ask(person(role), line, theirs)

    if role not in TABLE[line][1]:
        assert answer.status_code == 403
    elif line in LISTS:
        assert answer.status_code == 200
        assert theirs["partner"].code not in answer.text
        assert len(results(answer)) == (0 if "lookup" in line else len(results(ask(
            person(role), line, ours))))  # fmt: skip
    else:
        assert (answer.status_code, code(answer)) == (404, "not_found")


@pytest.mark.parametrize("line", TABLE)
@pytest.mark.parametrize("role", [ADMIN, AUDIT], ids=str)
def test_the_platforms_people_at_any_partner(person, theirs, line, role):
    answer = ask(person(role), line, theirs)

    assert answer.status_code == (TABLE[line][3] if role in TABLE[line][1] else 403)


@pytest.mark.parametrize("line", TABLE)
def test_a_key_with_the_scope(program, ours, line):
    scope = TABLE[line][2]
    answer = ask(program(*([scope] if scope else Scope.values)), line, ours)

    assert answer.status_code == (TABLE[line][3] if scope else 403)


@pytest.mark.parametrize("line", TABLE)
def test_a_key_with_every_other_scope(program, ours, line):
    others = [scope for scope in Scope.values if scope != TABLE[line][2]]

    answer = ask(program(*others), line, ours)

    assert (answer.status_code, code(answer)) == (403, "forbidden")


@pytest.mark.parametrize("line", TABLE)
def test_a_key_at_another_partner(program, ours, theirs, line):
    answer = ask(program(), line, theirs)

    if TABLE[line][2] is None:
        assert answer.status_code == 403
    elif line in LISTS:
        assert answer.status_code == 200
        assert theirs["partner"].code not in answer.text
    else:
        assert (answer.status_code, code(answer)) == (404, "not_found")


@pytest.mark.parametrize("line", TABLE)
def test_nobody(client, ours, line):
    from tests.api.conftest import Api

    answer = ask(Api(client), line, ours)

    assert (answer.status_code, code(answer)) == (401, "not_authenticated")
    assert "Bearer" in answer["WWW-Authenticate"]


def test_what_nobody_was_matched_to_is_seen_by_the_platforms_people_only(person, program, ours):
    from disbursements.models import Callback

    stray = Callback.objects.create(kind="r", body="stray")

    assert person(V).get(f"callbacks/{stray.pk}").status_code == 404
    assert program().get(f"callbacks/{stray.pk}").status_code == 404
    assert person(AUDIT).get(f"callbacks/{stray.pk}").json()["partner"] is None


def test_every_operation_of_the_schema_is_in_the_table():
    from paymentvault.api.schema import described

    def plain(path):
        return path.partition("?")[0].count("/"), path.partition("/")[0].partition("?")[0]

    told = {
        (method.upper(), plain(path.removeprefix("/api/v1/")))
        for path, operations in described()["paths"].items()
        for method in operations
        if "tokens" not in path
    }
    assert told == {(line.partition(" ")[0], plain(line.partition(" ")[2])) for line in TABLE}


def test_no_secret_of_a_partner_is_told(person, program, ours, theirs):
    for api in (person(ADMIN), program()):
        said = api.get("partners/pamoja").text
        assert "mifos-password" not in said
        assert ours["connection"].webhook_token not in said
        assert "Safaricom999!" not in said
        assert '"has_password":true' in said
    assert "canary" not in person(ADMIN).get("partners/jamii").text
