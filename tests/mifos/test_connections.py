"""A connection's test tells each step's real result in words, and switches nothing on."""

import json
from datetime import timedelta

import pytest

from mifos import connections
from partners.models import MifosConnection
from paymentvault.models import AuditEvent
from paymentvault.sandbox.mifos import Mifos
from paymentvault.sandbox.server import Answer, Server
from tests.paymentvault.wire import certificate, tls_server

pytestmark = [pytest.mark.django_db, pytest.mark.lesson(14)]


def results(steps):
    return {step.name: step.result for step in steps}


def words(steps, name):
    return next(step.words for step in steps if step.name == name)


def test_where_all_is_well_every_step_says_so(generation, registered, mifos):
    steps = connections.test(registered, by="amina")

    assert set(results(steps).values()) == {"ok"} and len(steps) == 7
    assert words(steps, "Payment type") == "mPesa (26)."
    assert words(steps, "Loan products") == "2 loan products, among them Biashara Loan."
    assert all(step.took_ms >= 0 for step in steps)
    registered.refresh_from_db()
    assert registered.configured_at and registered.last_tested_by == "amina"
    assert [step["words"] for step in registered.last_test] == [step.words for step in steps]


def test_a_passed_test_switches_nothing_on(registered):
    connections.test(registered, by="amina")

    registered.refresh_from_db()
    assert not registered.is_on and registered.switched_on_at is None


def setting(**changes):
    return lambda mifos, connection: vars(connection).update(changes)


def user(*permissions, **more):
    return lambda mifos, _: mifos.add_user(
        "vault", "mifos-password", permissions=permissions, **more
    )


NEARLY_ALL = ("READ_LOAN", "READ_CLIENT", "CREATE_LOANNOTE", "READ_LOANPRODUCT",
              "READ_PAYMENTTYPE")  # fmt: skip
ADDRESS, CREDENTIALS, TYPE = "Address and TLS", "Credentials and tenant", "Payment type"
SPOILT = {
    "nobody at the address": (
        setting(host_url="http://127.0.0.1:9"), ADDRESS, "failed", "refused the connection"),
    "a wrong name": (
        setting(host_url="http://mifos.invalid"), ADDRESS, "failed", "can't be looked up"),
    "a wrong path": (
        setting(api_path="/mifosng-provider/api/v1"), ADDRESS, "failed", "at the API path"),
    "not Mifos X": (
        lambda m, c: m.plan("html_502"), ADDRESS, "failed", "but not like Mifos X"),
    "a wrong password": (
        setting(password="wrong"), CREDENTIALS, "failed", "password is wrong"),
    "a wrong tenant": (
        setting(tenant_id="nobody"), CREDENTIALS, "failed", "doesn't know this tenant"),
    "an outdated password": (
        user("ALL_FUNCTIONS", password_expired=True), CREDENTIALS, "failed", "has expired"),
    "a missing permission": (
        user(*NEARLY_ALL), "Permissions", "failed", "Missing: DISBURSE_LOAN."),
    "several missing permissions": (
        user("READ_LOAN", "READ_LOANPRODUCT", "READ_PAYMENTTYPE", "DISBURSE_LOAN"),
        "Permissions", "failed", "Missing: READ_CLIENT, CREATE_LOANNOTE."),
    "maker-checker": (
        lambda m, c: m.set_maker_checker(True), "Permissions", "warning", "needs a checker"),
    "another business date": (
        lambda m, c: setattr(m, "business_date", m.today() - timedelta(days=2)),
        "System information", "warning", "Recording uses its date"),
    "no product": (
        lambda m, c: m.products.clear(), "Loan products", "warning", "no loan product"),
    "no payment type": (
        setting(payment_type_id=None), TYPE, "failed", "Choose one of: mPay (25), mPesa (26)"),
    "a cash payment type": (
        setting(payment_type_id=24), TYPE, "failed", "PTC is for cash"),
    "an unknown payment type": (
        setting(payment_type_id=99), TYPE, "failed", "99 is not a payment type there."),
    "no hook": (
        lambda m, c: m.hooks.clear(), "Hook", "warning", "No hook points here"),
    "an inactive hook": (
        lambda m, c: [setattr(h, "is_active", False) for h in m.hooks.values()],
        "Hook", "warning", "not active"),
    "a hook for other events": (
        lambda m, c: [setattr(h, "events", [("LOAN", "APPROVES")]) for h in m.hooks.values()],
        "Hook", "warning", "lacks events"),
    "no webhook address": (
        setting(webhook_token=""), "Hook", "warning", "No webhook address"),
    "hooks that may not be seen": (
        user("DISBURSE_LOAN", *NEARLY_ALL), "Hook", "warning", "may not see hooks"),
}  # fmt: skip


@pytest.mark.parametrize("spoil, name, result, said", SPOILT.values(), ids=list(SPOILT))
def test_what_is_wrong_is_told_in_words(registered, mifos, spoil, name, result, said):
    spoil(mifos, registered)

    steps = connections.test(registered, by="amina")

    assert (results(steps)[name], said in words(steps, name)) == (result, True), steps
    registered.refresh_from_db()
    assert bool(registered.configured_at) == connections.has_passed(steps) == (result != "failed")
    assert not registered.is_on


def test_after_a_failure_that_the_rest_stands_on_nothing_else_is_asked(unproven, mifos):
    unproven.host_url = "http://127.0.0.1:9"

    steps = connections.test(unproven, by="amina")

    assert list(results(steps).values()) == ["failed"] + ["skipped"] * 6


def test_a_connection_that_is_on_stays_on_when_its_test_fails(connection, mifos):
    mifos.down = True

    connections.test(connection, by="amina")

    connection.refresh_from_db()
    assert connection.is_on and connection.configured_at
    assert connection.last_test[0]["result"] == "failed"


def test_what_was_changed_while_the_test_ran_is_not_proven_by_it(registered):
    tested = MifosConnection.objects.get(pk=registered.pk)
    registered.password = "another"
    registered.save()

    steps = connections.test(tested, by="amina")

    registered.refresh_from_db()
    assert connections.has_passed(steps) and registered.configured_at is None


def test_the_test_leaves_an_audit_line_without_secrets(registered):
    connections.test(registered, by="amina")

    line = AuditEvent.objects.get(act="connection tested")
    assert (line.actor, line.detail) == ("amina", {"passed": True})
    assert "mifos-password" not in json.dumps(registered.last_test)


@pytest.mark.parametrize(
    "info",
    [
        {}, [], "x", {"git": None}, {"git": "main"}, {"git": {"build": "1"}}, {"build": []},
        {"build": {"version": None}},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_the_actuator_says_the_test_goes_on(registered, monkeypatch, info):
    def actuator(world, request):
        return Answer(200, info)

    monkeypatch.setattr("paymentvault.sandbox.mifos_reference.actuator", actuator)

    steps = connections.test(registered, by="amina")

    assert words(steps, "System information").startswith("Version not told; its date is")


class TestTLS:
    @pytest.fixture
    def self_signed(self, tmp_path, unproven):
        """The pretend Mifos X behind a certificate that nobody vouches for."""
        pem, key = certificate()
        world = Mifos()
        world.add_user("vault", "mifos-password")
        server = Server(world)
        server._http.socket = tls_server(tmp_path, pem, key).wrap_socket(
            server._http.socket, server_side=True
        )
        unproven.host_url = server.url.replace("http:", "https:")
        with server:
            yield pem

    def test_a_self_signed_certificate_is_refused(self, self_signed, unproven):
        steps = connections.test(unproven, by="amina")

        assert results(steps)[ADDRESS] == "failed"
        assert "certificate" in words(steps, ADDRESS) and "CA bundle" in words(steps, ADDRESS)

    def test_a_ca_bundle_makes_it_trusted(self, self_signed, unproven):
        unproven.ca_bundle = self_signed

        assert results(connections.test(unproven, by="amina"))[ADDRESS] == "ok"

    def test_another_ca_bundle_doesn_t(self, self_signed, unproven):
        unproven.ca_bundle = certificate()[0]

        assert results(connections.test(unproven, by="amina"))[ADDRESS] == "failed"

    @pytest.mark.parametrize("bundle", ["not a certificate", "-----BEGIN CERTIFICATE-----\nAA=="])
    def test_a_bundle_that_is_none_fails_in_words(self, self_signed, unproven, bundle):
        unproven.ca_bundle = bundle

        assert results(connections.test(unproven, by="amina"))[ADDRESS] == "failed"
