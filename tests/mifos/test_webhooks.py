import json
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerAway

from mifos import tasks
from mifos.models import Event
from partners import webhook_tokens
from partners.models import MifosConnection
from paymentvault import doorbell
from paymentvault.models import AuditEvent
from tests.mifos.conftest import envelope, flat, headers

pytestmark = pytest.mark.django_db
SLASHES = pytest.mark.parametrize("end", ["/", ""])


@pytest.fixture
def address(connection):
    return f"/mifos-webhook/{connection.webhook_token}"


def send(client, path, body, **more):
    return client.post(path, body, content_type="application/json", **more)


@pytest.mark.lesson(10)
@SLASHES
def test_a_native_hook_is_accepted_with_and_without_a_slash(client, address, end):
    answer = send(client, address + end, flat(3198))

    assert answer.status_code == 202
    assert answer.json() == {"status": "accepted", "event": str(Event.objects.get().pk)}


@SLASHES
@pytest.mark.parametrize("path", ["test", "loan-approval", "{token}", "A-token-of-nobody-22xx"])
@pytest.mark.parametrize("method", ["get", "head"])
def test_get_on_every_address_is_healthy_and_gives_nothing_away(
    client, connection, path, end, method
):
    path = path.format(token=connection.webhook_token)

    answer = getattr(client, method)(f"/mifos-webhook/{path}{end}")

    assert answer.status_code == 200
    assert answer.content in (b"", b'{"status": "ok"}')


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused_without_a_redirect(client, address, method):
    assert getattr(client, method)(address).status_code == 405


@pytest.mark.lesson(9)
def test_a_wrong_token_is_404_and_leaves_only_an_audit_line(client, connection):
    answer = send(client, "/mifos-webhook/A-token-of-nobody-22xx/", flat(3198))

    assert answer.status_code == 404
    assert not Event.objects.exists()
    assert AuditEvent.objects.get().detail == {"what": "a webhook with a wrong token"}


def test_the_previous_token_is_valid_while_rotating(client, connection, address):
    webhook_tokens.generate(connection)

    assert send(client, address, flat(3198)).status_code == 202
    new = MifosConnection.objects.get().webhook_token
    assert send(client, f"/mifos-webhook/{new}", flat(3198)).status_code == 202


def test_the_previous_token_is_404_after_rotating(client, connection, address, time_machine):
    webhook_tokens.generate(connection)
    time_machine.move_to(timezone.now() + MifosConnection.ROTATION + timedelta(seconds=1))

    assert send(client, address, flat(3198)).status_code == 404


def test_a_delivery_is_kept_as_it_came(client, connection, address):
    body = json.dumps(envelope(3198))
    sent = headers() | {"X-Mifos-Entity": "LOAN", "X-Fineract-Endpoint": "https://mifos/api/v1/"}

    send(client, address, body, headers=sent | {"Cookie": "secret"}, REMOTE_ADDR="203.0.113.9")

    event = Event.objects.get()
    assert (event.body, event.headers, event.source_address) == (body, sent, "203.0.113.9")
    assert (event.connection, event.form, event.state) == (connection, "native", "waiting")


@pytest.mark.lesson(3)
def test_what_breaks_interpretation_was_kept_before(client, heard, connection, monkeypatch):
    event = heard(flat(3198))
    monkeypatch.setattr("mifos.port.read_facts", lambda *_: 1 / 0)

    words = tasks.process_event(str(event.pk))

    event.refresh_from_db()
    assert words == "A fault of ours: ZeroDivisionError."
    assert (event.state, event.tries) == ("waiting", 1)


@pytest.mark.lesson(15)
def test_the_tokens_are_masked_where_a_hook_tells_them(client, connection, address):
    old = connection.webhook_token
    webhook_tokens.generate(connection)
    config = {"Payload URL": connection.webhook_url, "old": f"https://vault.test/{old}/"}

    send(client, address, envelope(4, request={"config": config}))

    kept = Event.objects.get().body
    assert old not in kept and connection.webhook_token not in kept
    assert kept.count("[masked]") == 2


def test_a_body_that_is_too_large_is_413_and_not_kept(client, address, settings):
    answer = send(client, address, b"{" + b" " * settings.WEBHOOK_MAX_BYTES)

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert not Event.objects.exists()


def test_a_body_of_the_largest_size_is_kept(client, address, settings):
    assert send(client, address, b" " * settings.WEBHOOK_MAX_BYTES).status_code == 202


def test_a_header_that_postgresql_can_t_hold_is_kept_in_part(client, address):
    sent = {"X-Fineract-Entity": "LO\x00AN", "X-Fineract-Action": "A" * 9_000}

    answer = send(client, address, flat(3198), headers=sent)

    assert answer.status_code == 202
    assert Event.objects.get().headers["X-Fineract-Entity"] == "LO\ufffdAN"


def test_postgresql_away_is_503(client, address, monkeypatch):
    def away(**kwargs):
        raise OperationalError("away")

    monkeypatch.setattr(Event.objects, "create", away)

    answer = send(client, address, flat(3198))

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")


@pytest.mark.parametrize("path", ["/", "/mifos-webhook/a-token-of-22-letters-/"])
def test_postgresql_away_before_the_token_is_known_is_503(client, connection, path, monkeypatch):
    def away(**kwargs):
        raise OperationalError("away")

    monkeypatch.setattr(MifosConnection.objects, "filter", away)

    assert send(client, path, flat(3198)).status_code == 503


@pytest.mark.django_db(transaction=True)
def test_with_redis_away_it_is_kept_and_the_sweeper_processes_it(
    client, address, approved, monkeypatch
):
    monkeypatch.setattr(doorbell, "_quiet_until", 0.0)
    with monkeypatch.context() as broken:
        broken.setattr(tasks.process_event, "apply_async", raiser(BrokerAway("away")))
        assert send(client, address, flat(approved())).status_code == 202
    assert Event.objects.get().state == "waiting"
    monkeypatch.setattr(doorbell, "_quiet_until", 0.0)

    tasks.sweep_events()

    assert Event.objects.get().state == "done"


def raiser(error):
    def act(*args, **kwargs):
        raise error

    return act


class TestAHostOfItsOwn:
    """Fineract 1.5 and 1.6 drop the path of a hook's address."""

    @pytest.fixture
    def hook_host(self, connection):
        connection.hook_host = "a1b2c3.hooks.vault.test"
        connection.save()
        return connection.hook_host

    def test_a_hook_at_its_root_is_kept(self, client, connection, hook_host):
        answer = send(client, "/", flat(3198), headers={"Host": f"{hook_host.upper()}:443"})

        assert answer.status_code == 202
        assert Event.objects.get().connection == connection

    def test_get_at_its_root_is_healthy(self, client, hook_host):
        answer = client.get("/", headers={"Host": hook_host})

        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    def test_another_host_s_root_is_the_home_page(self, client, hook_host):
        assert client.get("/", headers={"Host": "vault.test"}).status_code == 302
        assert send(client, "/", flat(1), headers={"Host": "vault.test"}).status_code == 302
        assert not Event.objects.exists()

    @pytest.mark.parametrize("host, asked", [("vault.test", 0), ("Vault.Test:443", 0),
                                             ("other.vault.test", 1)])  # fmt: skip
    def test_only_a_host_that_may_be_a_connection_s_is_looked_up(
        self, client, db, host, asked, django_assert_num_queries
    ):
        with django_assert_num_queries(asked):
            assert client.get("/", headers={"Host": host}).status_code == 302

    def test_other_paths_of_its_host_are_the_usual_ones(self, client, hook_host):
        assert client.get("/livez", headers={"Host": hook_host}).json() == {"status": "alive"}
