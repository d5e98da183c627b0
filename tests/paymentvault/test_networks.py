"""Networks allowed on purpose: two people, in the code, in the database and on the pages."""

import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from disbursements import shortcodes
from mifos import polling, port
from partners.forms import web_address
from partners.models import Membership, Role
from paymentvault import networks
from paymentvault.destinations import Allowed
from paymentvault.http import NotSent
from paymentvault.models import AllowedNetwork, AuditEvent, User
from tests.paymentvault.hostile import PLAINLY

pytestmark = pytest.mark.django_db

LENDERS = ip_network("10.20.0.0/24")


@pytest.fixture
def in_production(settings):
    settings.OUTBOUND_ALLOW_PRIVATE = settings.OUTBOUND_ALLOW_HTTP = False


@pytest.fixture
def proposed(amina):
    return networks.propose(LENDERS, ports=[443], reason="Pamoja's own network.", by=amina)


@pytest.fixture
def confirmed(proposed, baraka):
    networks.confirm(proposed, by=baraka)
    return proposed


def administrator(user):
    Membership.objects.create(user=user, role=Role.ADMINISTRATOR)
    client = Client()
    client.force_login(user)
    return client


def press(client, url, **typed):
    """Open the page of an act, and press its button."""
    page = client.get(url)
    once = re.search(r'name="once" value="([^"]+)"', page.content.decode())
    return client.post(url, {"once": once[1], "reason": "For a test.", **typed})


def test_what_one_person_proposed_is_not_in_force(proposed):
    assert networks.allowed() == ()


def test_what_two_people_allowed_is(confirmed):
    assert networks.allowed() == (Allowed(LENDERS, frozenset({443})),)


def test_nobody_confirms_what_they_proposed(proposed, amina):
    with pytest.raises(networks.NetworkRefused, match="somebody else"):
        networks.confirm(proposed, by=amina)

    assert networks.allowed() == ()


def test_the_database_refuses_one_person_too(proposed, amina):
    with pytest.raises(IntegrityError, match="second_person"), transaction.atomic():
        AllowedNetwork.objects.update(confirmed_by=amina, confirmed_at=timezone.now())


def test_the_database_refuses_a_confirmation_by_nobody(proposed):
    with pytest.raises(IntegrityError, match="second_person"), transaction.atomic():
        AllowedNetwork.objects.update(confirmed_at=timezone.now())


@pytest.mark.parametrize("changes", [{"network": "0.0.0.0/0"}, {"ports": [22]}, {"reason": "x"}])
def test_what_was_proposed_cannot_become_something_else(confirmed, changes):
    with pytest.raises(DatabaseError, match="what_was_proposed_stays"), transaction.atomic():
        AllowedNetwork.objects.update(**changes)


def test_a_withdrawn_one_is_out_of_force_for_good(confirmed, amina, baraka):
    networks.withdraw(confirmed, by=amina, reason="They moved.")

    assert networks.allowed() == ()
    with pytest.raises(networks.NetworkRefused):
        networks.confirm(confirmed, by=baraka)
    with pytest.raises(DatabaseError, match="withdrawn_for_good"), transaction.atomic():
        AllowedNetwork.objects.update(withdrawn_by=None, withdrawn_at=None)


def test_it_stands_in_the_list_once_until_it_is_withdrawn(confirmed, amina):
    with pytest.raises(networks.NetworkRefused, match="already"):
        networks.propose(LENDERS, ports=[443], reason="Again.", by=amina)

    networks.withdraw(confirmed, by=amina, reason="For a test.")
    networks.propose(LENDERS, ports=[443], reason="Again.", by=amina)


def test_each_step_is_in_the_audit(confirmed, amina):
    networks.withdraw(confirmed, by=amina, reason="They moved.")

    told = list(AuditEvent.objects.order_by("pk").values_list("act", "actor"))
    assert told == [("network proposed", "amina"), ("network confirmed", "baraka"),
                    ("network withdrawn", "amina")]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "", "lender.co.ke", "10.0.0.0/8", "0.0.0.0/0", "::/0", "10.20.0.1/24", "127.0.0.1",
        "127.0.0.0/24", "169.254.169.254", "169.254.0.0/24", "100.100.100.0/24", "224.0.0.1",
        "192.0.2.1", "240.0.0.1", "::1", "fe80::/64", "ff02::1", "::ffff:10.0.0.1/128",
        "64:ff9b::/96", "2002:a00:1::/48", "fd00:ec2::/64", "168.63.129.16", "fc00::/7",
    ],
)  # fmt: skip
def test_these_nobody_may_allow(text):
    with pytest.raises(ValidationError):
        networks.readable(text)


@pytest.mark.parametrize(
    "text", ["10.20.0.0/24", " 10.20.0.9 ", "172.16.3.0/28", "100.64.7.1", "fd12:3456::/64",
             "41.90.1.2"],
)  # fmt: skip
def test_these_two_people_may_allow(text):
    assert networks.readable(text)


@pytest.mark.parametrize(
    "text, network, ports",
    [
        ("443", "10.20.0.0/24", [443]),
        ("9443, 443", "10.20.0.0/24", [443, 9443]),
        ("9443", "41.90.1.2", [9443]),
        ("443", "41.90.1.2", None),
        ("", "10.20.0.0/24", None),
        ("0", "10.20.0.0/24", None),
        ("65536", "10.20.0.0/24", None),
        ("443-9443", "10.20.0.0/24", None),
        ("1,2,3,4,5,6", "10.20.0.0/24", None),
    ],
)
def test_ports_are_read_or_refused(text, network, ports):
    if ports:
        assert networks.readable_ports(text, ip_network(network)) == ports
        return
    with pytest.raises(ValidationError):
        networks.readable_ports(text, ip_network(network))


def test_a_mifos_in_a_private_network_is_reached_only_while_it_is_allowed(
    in_production, connection, confirmed, amina, monkeypatch
):
    connection.host_url = "https://10.20.0.9"
    dialled = []

    def refuse(sock, address):
        dialled.append(address)
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        patched.setattr("socket.socket.connect", refuse)
        with pytest.raises(NotSent, match="refused the connection"):
            port.client_of(connection).get_loan(1)
    networks.withdraw(confirmed, by=amina, reason="For a test.")
    with pytest.raises(NotSent, match="private network"):
        port.client_of(connection).get_loan(1)

    assert dialled == [("10.20.0.9", 443)]


@pytest.fixture
def dialled(monkeypatch):
    asked = []

    def connect(sock, address):
        asked.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr("socket.socket.connect", connect)
    return asked


@pytest.mark.parametrize("where", ["host_url", "oauth_token_url"])
def test_neither_the_poll_nor_a_token_s_server_leads_into_a_private_network(
    in_production, connection, dialled, where
):
    connection.host_url = "https://mifos.lender.co.ke"
    setattr(connection, where, "https://169.254.169.254")
    connection.save()

    for ask in (polling.poll, lambda one: port.client_of(one).get_loan(1)):
        with pytest.raises(NotSent, match="private network"):
            ask(connection)

    assert "169.254.169.254" not in dialled


def test_nothing_leaves_but_by_the_transport_that_knows_the_rules():
    ways = {"import requests": set(), "urllib": set(), " Transport(": set()}
    for app in ("paymentvault", "partners", "disbursements", "mifos"):
        for file in Path(settings.BASE_DIR, app).rglob("*.py"):
            if {"sandbox", "demo"}.isdisjoint(file.parts):
                for way, where in ways.items():
                    if way in re.sub("urllib.parse", "", file.read_text()):
                        where.add(f"{app}/{file.name}")

    assert ways == {
        "import requests": {"paymentvault/http.py"},
        # The development stack looks whether its own servers are there.
        "urllib": {"paymentvault/http.py", "paymentvault/stack.py"},
        # The test of a webhook calls our own address.
        " Transport(": {"paymentvault/networks.py", "mifos/connection_jobs.py"},
    }


def test_both_clients_know_what_is_allowed(in_production, connection, shortcode, confirmed):
    for client in (port.client_of(connection), shortcodes.client_of(shortcode)):
        assert client.transport.allowed_networks == networks.allowed()
        assert not client.transport.allow_private


@pytest.mark.parametrize("url", PLAINLY)
def test_what_is_refused_when_it_is_called_is_refused_when_it_is_typed(in_production, url):
    with pytest.raises(ValidationError) as error:
        web_address(url)

    assert "".join(error.value.messages)


@pytest.mark.parametrize(
    "url, words",
    [
        ("https://10.20.0.9", "Two people can allow it"),
        ("https://mifos.lender.co.ke:9443", "port 9443 is not allowed there"),
        ("https://localhost", "this machine itself"),
        ("https://127.1", "a number, not a name"),
        ("https://[::1", "not a whole web address"),
        ("https://mifos.lender.co.ke:99999", "not a whole web address"),
    ],
)
def test_the_form_says_why_and_what_to_do(in_production, url, words):
    with pytest.raises(ValidationError, match=words):
        web_address(url)


@pytest.mark.parametrize(
    "url", ["https://mifos.lender.co.ke", "https://mifos.lender.co.ke:8443/path",
            "https://41.90.1.2", "https://10.20.0.9", ""],
)  # fmt: skip
def test_an_address_that_may_be_called_may_be_typed(in_production, confirmed, url):
    assert web_address(url) == url


def test_two_people_allow_a_network_on_the_pages(amina, baraka):
    maker, checker = administrator(amina), administrator(baraka)
    typed = {"network": "10.20.0.0/24", "ports": "443", "reason": "Pamoja's own."}
    press(maker, reverse("networks:propose"), **typed)
    row = AllowedNetwork.objects.get()

    again = press(maker, reverse("networks:confirm", args=[row.pk]))
    assert again.status_code == 409
    assert networks.allowed() == ()

    assert press(checker, reverse("networks:confirm", args=[row.pk])).status_code == 302
    assert networks.allowed()
    press(maker, reverse("networks:withdraw", args=[row.pk]))
    assert networks.allowed() == ()


def test_a_wrong_network_is_told_at_its_field(amina):
    typed = {"network": "10.0.0.0/8", "ports": "443"}
    page = press(administrator(amina), reverse("networks:propose"), **typed)

    assert page.status_code == 422
    assert "Too wide" in page.content.decode()
    assert not AllowedNetwork.objects.exists()


def test_the_list_offers_nobody_what_they_may_not_do(confirmed, amina, baraka, lender):
    other = networks.propose(ip_network("10.30.0.0/24"), ports=[443], reason="New.", by=amina)
    link = reverse("networks:confirm", args=[other.pk])

    assert link not in administrator(amina).get(reverse("networks:list")).content.decode()
    assert link in administrator(baraka).get(reverse("networks:list")).content.decode()


@pytest.mark.parametrize("role", [r for r in Role if r not in (Role.ADMINISTRATOR, Role.AUDITOR)])
def test_a_partners_people_neither_see_nor_propose(proposed, lender, role):
    chege = User.objects.create_user("chege")
    Membership.objects.create(user=chege, role=role, partner=lender)
    client = Client()
    client.force_login(chege)

    for name, args in (("list", []), ("propose", []), ("confirm", [proposed.pk]),
                       ("withdraw", [proposed.pk])):  # fmt: skip
        assert client.get(reverse(f"networks:{name}", args=args)).status_code == 403


def test_an_auditor_sees_and_changes_nothing(proposed):
    chege = User.objects.create_user("chege")
    Membership.objects.create(user=chege, role=Role.AUDITOR)
    client = Client()
    client.force_login(chege)

    assert client.get(reverse("networks:list")).status_code == 200
    assert client.get(reverse("networks:propose")).status_code == 403
    assert client.get(reverse("networks:confirm", args=[proposed.pk])).status_code == 403


def test_the_list_needs_no_more_queries_for_more_rows(amina, baraka, django_assert_max_num_queries):
    client = administrator(baraka)
    for n in range(20):
        networks.propose(ip_network(f"10.20.{n}.0/24"), ports=[443], reason="One.", by=amina)

    with django_assert_max_num_queries(8):
        client.get(reverse("networks:list"))
