"""The test of a connection: step by step, of what is saved or tried; saved secrets stay home."""

import pytest

from partners.models import MifosConnection, Role
from paymentvault.models import AuditEvent
from paymentvault.sandbox.keys import shared_keys
from tests.api.conftest import code

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(person, connection, mifos):
    return person(Role.PARTNER_ADMINISTRATOR)


def test_the_saved_one_is_tested_and_remembered(api, connection):
    answer = api.post("mifos/test-connection", {"partner": str(connection.partner_id)})

    told = answer.json()
    connection.refresh_from_db()
    assert (answer.status_code, told["is_saved"]) == (200, True)
    assert [step["name"] for step in told["steps"]][:2] == [
        "Address and TLS", "Credentials and tenant",
    ]  # fmt: skip
    assert connection.last_tested_by == "p-partner_administrator"
    assert AuditEvent.objects.filter(act="connection tested", user=api.user).exists()


def test_values_are_tried_and_not_kept(api, connection, mifos_server):
    answer = api.post(
        "mifos/test-connection",
        {"partner": "pamoja", "username": "vault", "password": "a wrong one"},
    )

    assert answer.status_code == 200, answer.text
    steps = {step["name"]: step["result"] for step in answer.json()["steps"]}
    assert steps["Credentials and tenant"] == "failed"
    assert (answer.json()["passed"], answer.json()["is_saved"]) == (False, False)
    connection.refresh_from_db()
    assert (connection.password, connection.last_tested_at) == ("mifos-password", None)
    line = AuditEvent.objects.get(act="connection tried")
    assert "a wrong one" not in str(line.detail) + answer.text


def test_a_right_value_passes_where_the_saved_one_does_not(api, connection):
    MifosConnection.objects.update(password="out of date")

    answer = api.post("mifos/test-connection", {"partner": "pamoja", "password": "mifos-password"})

    steps = {step["name"]: step["result"] for step in answer.json()["steps"]}
    assert steps["Credentials and tenant"] == "ok"


@pytest.mark.parametrize("more", [{}, {"password": ""}])
@pytest.mark.parametrize("where", ["host_url", "oauth_token_url", "ca_bundle"])
def test_a_saved_secret_is_never_sent_to_another_address(api, connection, where, more, monkeypatch):
    monkeypatch.setattr("mifos.connections.ConnectionTest.run", lambda self: 1 / 0)
    elsewhere = shared_keys().certificate_pem if where == "ca_bundle" else "https://evil.example"

    given = {"partner": "pamoja", where: elsewhere} | more
    answer = api.post("mifos/test-connection", given)

    assert (answer.status_code, code(answer)) == (400, "invalid")
    assert list(answer.json()["error"]["fields"]) == ["password"]


@pytest.mark.parametrize("url", ["ftp://x.test", "https://a:b@x.test", "nonsense", "\x00"])
def test_what_is_no_address_is_refused(api, url):
    given = {"partner": "pamoja", "host_url": url, "password": "p"}

    assert code(api.post("mifos/test-connection", given)) == "invalid"


def test_what_another_partner_has_is_tried_and_not_told(person, connection, jamii, mifos):
    api = person(Role.PARTNER_ADMINISTRATOR, jamii, name="their-administrator")
    given = {"partner": "jamii", "host_url": connection.host_url, "username": "vault",
             "password": "mifos-password", "tenant_id": "default"}  # fmt: skip

    answer = api.post("mifos/test-connection", given)

    assert answer.status_code == 200, answer.text
    assert "Pamoja" not in answer.text
    assert not MifosConnection.objects.filter(partner=jamii).exists()


def test_a_partner_without_a_connection(person, jamii):
    api = person(Role.ADMINISTRATOR)

    assert code(api.post("mifos/test-connection", {"partner": "jamii"})) == "not_configured"


def test_it_is_limited(api, settings):
    settings.API_CONNECTION_TESTS_PER_MINUTE = 1
    api.post("mifos/test-connection", {"partner": "pamoja"})

    assert code(api.post("mifos/test-connection", {"partner": "pamoja"})) == "rate_limited"


def test_the_tests_of_a_partner_are_counted_over_all_its_keys(program, ours, settings, monkeypatch):
    settings.API_CONNECTION_TESTS_PER_MINUTE = 2
    monkeypatch.setattr("mifos.connections.ConnectionTest.run", lambda self: iter([]))

    answers = [program().post("mifos/test-connection", {"partner": "pamoja"}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
