"""API keys: only a hash is kept, they end, they are from somewhere, and they can be replaced."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from partners import keys
from partners.models import ApiKey, Role, Scope
from paymentvault.models import AuditEvent
from tests.api.conftest import Api, code

pytestmark = pytest.mark.django_db


def test_only_a_hash_of_it_is_in_the_database(program):
    text = program().text

    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s', [f"%{text}%"])
            assert cursor.fetchone() == (0,), table
    assert len(text) > 40
    assert ApiKey.objects.get().sha256 == keys.hashed(text)


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, (401, "key_expired")),
        ({"revoked": True}, (401, "key_revoked")),
        ({"allowed_networks": ["196.201.214.0/24"]}, (403, "address_not_allowed")),
        ({"allowed_networks": ["127.0.0.0/8"]}, None),
        ({}, None),
    ],
)
def test_which_keys_are_let_in(program, baraka, changes, told):
    is_revoked = changes.pop("revoked", False) if (changes := dict(changes)) else False
    api = program(**changes)
    if is_revoked:
        keys.revoke(api.key, by=baraka, reason="Lost.")

    answer = api.get("partners")

    assert (answer.status_code, code(answer) if told else None) == (told or (200, None))
    refused = AuditEvent.objects.filter(act="refused", actor=str(api.key))
    assert refused.exists() is bool(told)


@pytest.mark.parametrize("text", ["pv_", "pv_00000000_guess", "pv_\u00e4", "x.y.z", "", "pv_a b"])
def test_no_other_text_is_a_key(program, text):
    program()

    answer = Api(Client(), Authorization=f"Bearer {text}").get("partners")

    assert answer.status_code == 401
    assert code(answer) == "invalid_credentials"


def test_a_forwarded_address_counts_only_as_far_as_the_proxies_are_ours(program, settings):
    api = program(allowed_networks=["41.90.0.0/16"])
    api.headers["X-Forwarded-For"] = "41.90.1.1, 10.0.0.1"

    assert api.get("partners").status_code == 403
    settings.TRUSTED_PROXIES = 1
    assert api.get("partners").status_code == 403
    settings.TRUSTED_PROXIES = 2
    assert api.get("partners").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_telling_the_use_waits_for_nobody(program):
    """Somebody rotates the key meanwhile, which holds its row."""
    api = program("partners:read")
    answers = []

    def ask():
        answers.append(api.get("partners").status_code)
        connection.close()

    with transaction.atomic():
        ApiKey.objects.select_for_update().get()
        asking = Thread(target=ask)
        asking.start()
        asking.join(5)
        assert answers == [200]
    asking.join()
    assert ApiKey.objects.get().last_used_at is None
    api.get("partners")
    assert ApiKey.objects.get().last_used_at


def test_the_keys_of_a_partner_that_is_switched_off_only_read(program, lender):
    api = program()
    lender.is_active = False
    lender.save()

    assert api.get("disbursements").status_code == 200
    for answer in (api.ask(), api.post("mifos/test-connection", {"partner": "pamoja"})):
        assert (answer.status_code, code(answer)) == (403, "forbidden")
        assert "switched off" in answer.json()["error"]["message"]
    assert "lacks the scope" in program("partners:read").ask().json()["error"]["message"]


def test_the_last_use_is_told_and_written_once_a_minute(program):
    api = program()
    api.get("partners")
    first = ApiKey.objects.get()

    api.get("partners")

    again = ApiKey.objects.get()
    assert (again.last_used_at, again.last_used_from) == (first.last_used_at, "127.0.0.1")
    assert again.last_used_at is not None
    # Not even a query, from whichever of its servers the program asks.
    with CaptureQueriesContext(connection) as queries:
        api.get("partners", REMOTE_ADDR="203.0.113.9")
    assert not [one for one in queries if "UPDATE" in one["sql"]]


def test_rotating_leaves_the_old_one_valid_for_a_while(program, baraka, time_machine_at):
    old = program()
    new, text = keys.rotate(old.key, both_for=timedelta(hours=1), by=baraka,
                            expires_at=timezone.now() + timedelta(days=30))  # fmt: skip
    fresh = Api(Client(), Authorization=f"Bearer {text}")

    assert old.get("partners").status_code == fresh.get("partners").status_code == 200
    assert (new.scopes, new.replaces) == (old.key.scopes, old.key)
    with time_machine_at(hours=1, seconds=1):
        assert code(old.get("partners")) == "key_expired"
        assert fresh.get("partners").status_code == 200


@pytest.fixture
def time_machine_at():
    import time_machine

    return lambda **later: time_machine.travel(timezone.now() + timedelta(**later))


def test_rotating_twice_or_after_its_end_is_refused(program, baraka):
    api = program()
    given = {"both_for": timedelta(0), "by": baraka, "expires_at": timezone.now()}
    keys.rotate(api.key, **given)

    with pytest.raises(ValueError, match="valid|rotated"):
        keys.rotate(api.key, **given)
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize(
    "change", [{"scopes": ["events:read"]}, {"allowed_networks": []}, {"sha256": "x"}]
)
def test_postgresql_keeps_what_a_key_is(program, change):
    program("partners:read", allowed_networks=["10.0.0.0/8"])

    with pytest.raises(DatabaseError, match="[Cc]annot update"), transaction.atomic():
        ApiKey.objects.update(**change)


def test_a_revoked_key_stays_revoked(program, baraka):
    keys.revoke(program().key, by=baraka, reason="Lost.")

    with pytest.raises(DatabaseError, match="[Cc]annot update"), transaction.atomic():
        ApiKey.objects.update(revoked_at=None, revoked_by=None)


def test_no_scope_gives_a_right_to_decide():
    given = set().union(*keys.RIGHTS.values())

    assert set(keys.RIGHTS) == set(Scope)
    assert "disbursements.approve_disbursement" not in given
    assert "disbursements.settle_disbursement" not in given
    assert "partners.change_apikey" not in given


# The pages


@pytest.fixture
def manager(person):
    return person(Role.PARTNER_ADMINISTRATOR).client


def press(client, path, **given):
    page = client.get(path)
    return client.post(path, {"once": page.context["once"], **given})


MADE = {"name": "Loan system", "scopes": ["partners:read"], "networks": "127.0.0.1", "lives": "30"}


def test_a_key_is_made_on_its_page_and_shown_once(manager, lender):
    answer = press(manager, "/partners/pamoja/keys/new/", **MADE)

    text = answer.context["text"]
    assert answer.status_code == 200
    assert text in answer.text
    assert "no-store" in answer["Cache-Control"]
    assert text not in manager.get("/partners/pamoja/keys/").text
    assert Api(Client(), Authorization=f"Bearer {text}").get("partners").status_code == 200
    line = AuditEvent.objects.get(act="api key made")
    assert (line.partner_code, line.detail["scopes"]) == ("pamoja", ["partners:read"])
    assert text not in str(line.detail)


def test_a_second_press_makes_no_second_key(manager):
    page = manager.get("/partners/pamoja/keys/new/")
    given = {"once": page.context["once"], **MADE}

    manager.post("/partners/pamoja/keys/new/", given)
    again = manager.post("/partners/pamoja/keys/new/", given)

    assert again.status_code == 302
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    "wrong", [{"networks": "nowhere"}, {"scopes": ["all"]}, {"scopes": []}, {"lives": "9999"}]
)
def test_what_is_wrong_makes_no_key(manager, wrong):
    assert press(manager, "/partners/pamoja/keys/new/", **(MADE | wrong)).status_code == 422
    assert not ApiKey.objects.exists()


def test_rotating_and_revoking_on_their_pages(manager, program):
    key = program("partners:read").key

    made = press(manager, f"/partners/pamoja/keys/{key.pk}/rotate/", both_for="24", lives="30")
    press(manager, f"/partners/pamoja/keys/{key.pk}/revoke/", reason="Replaced.")

    key.refresh_from_db()
    assert key.revoked_at
    assert made.context["key"].replaces == key
    assert AuditEvent.objects.filter(act__startswith="api key ro").count() == 1
    assert AuditEvent.objects.get(act="api key revoked").detail["reason"] == "Replaced."


@pytest.mark.parametrize("role", [None, *Role], ids=str)
def test_who_sees_and_makes_keys(person, program, jamii, role):
    client, key = person(role).client, program().key
    may_see = role in (Role.PARTNER_ADMINISTRATOR, Role.ADMINISTRATOR, Role.AUDITOR)
    may_change = role in (Role.PARTNER_ADMINISTRATOR, Role.ADMINISTRATOR)

    assert (client.get("/partners/pamoja/keys/").status_code == 200) is may_see
    for path in ("new/", f"{key.pk}/rotate/", f"{key.pk}/revoke/"):
        answer = client.get(f"/partners/pamoja/keys/{path}")
        assert answer.status_code == (200 if may_change else 403)
    if role is Role.PARTNER_ADMINISTRATOR:
        assert client.get("/partners/jamii/keys/").status_code == 404
        assert client.get(f"/partners/jamii/keys/{key.pk}/revoke/").status_code == 404
