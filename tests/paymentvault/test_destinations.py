"""Where requests may go: hostile addresses, names that change, networks allowed on purpose."""

import contextlib
import socket
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymentvault.destinations import Allowed, NotAllowed, Rules, is_never, is_private
from paymentvault.http import NotSent, Transport
from tests.paymentvault.hostile import LOOKED_UP, NAMES, PLAINLY
from tests.paymentvault.wire import Wire, certificate, says, tls_server

PUBLIC, OTHER_PUBLIC, LENDERS = "196.201.214.200", "41.90.1.2", "10.20.0.9"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CERTIFICATE, KEY = certificate(name="mifos.test")

looked_up = socket.getaddrinfo


def infos(addresses, port):
    """As getaddrinfo tells them; of numbers it makes no look-up."""
    flags = socket.AI_NUMERICHOST
    return [i for a in addresses for i in looked_up(a, port, type=socket.SOCK_STREAM, flags=flags)]


@pytest.fixture
def names(monkeypatch):
    """The names there are; each look-up of one takes the next of its answers, then the last."""
    known = {name: [addresses] for name, addresses in NAMES.items()}

    def look_up(host, port, *args, **kwargs):
        with contextlib.suppress(socket.gaierror):
            return infos([host], port)
        if host not in known:
            # The resolver takes 127.1 and 0x7f.1 for addresses, without asking anybody.
            return looked_up(host, port, *args, **kwargs)
        answers = known[host]
        return infos(answers.pop(0) if len(answers) > 1 else answers[0], port)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def dialled(monkeypatch):
    """Every address that anybody connects to, none of which is reached."""
    asked = []

    def connect(sock, address):
        asked.append(address[:2])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return asked


@pytest.fixture
def server(tmp_path):
    """A real one for mifos.test, with TLS."""
    with Wire(says(ANSWER), tls=tls_server(tmp_path, CERTIFICATE, KEY)) as wire:
        yield wire


@pytest.fixture
def world(monkeypatch, server):
    """A router: whatever is dialled, the server is reached, and the address is noted."""
    asked, really = [], socket.socket.connect

    def connect(sock, address):
        asked.append(address[:2])
        really(sock, ("127.0.0.1", server.port))

    monkeypatch.setattr(socket.socket, "connect", connect)
    return asked


def ask(url, **more):
    return Transport(ca_bundle=CERTIFICATE, connect_timeout_s=1, **more).send("GET", url)


def test_the_table_is_long_enough():
    assert len(PLAINLY) + len(LOOKED_UP) >= 60


@pytest.mark.parametrize("url, words", (PLAINLY | LOOKED_UP).items())
def test_a_hostile_address_is_refused_before_any_connection(names, dialled, url, words):
    with pytest.raises(NotSent) as error:
        ask(url)

    assert dialled == []
    assert words in str(error.value)


def test_the_proof_can_fail(names, dialled):
    names["mifos.test"] = [[PUBLIC]]

    with pytest.raises(NotSent, match="refused the connection"):
        ask("https://mifos.test")

    assert dialled == [(PUBLIC, 443)]


@pytest.mark.parametrize("port", ["", ":443", ":8443"])
def test_an_honest_server_is_reached_and_its_certificate_belongs_to_its_name(
    names, world, server, port
):
    names["mifos.test"] = [[PUBLIC]]

    answer = ask(f"https://mifos.test{port}/loans")

    assert answer.status == 200
    assert world == [(PUBLIC, int(port[1:] or 443))]
    assert f"Host: mifos.test{port.replace(':443', '')}\r\n".encode() in server.requests[0]


def test_a_certificate_of_another_name_is_not_accepted_at_the_right_address(names, world):
    names["other.test"] = [[PUBLIC]]

    with pytest.raises(NotSent, match="TLS certificate"):
        ask("https://other.test")


def test_a_name_that_changes_after_the_check_is_connected_to_where_it_was_checked(names, world):
    names["mifos.test"] = [[PUBLIC], ["127.0.0.1"], ["169.254.169.254"]]

    assert ask("https://mifos.test").status == 200
    assert world == [(PUBLIC, 443)]


def test_a_name_that_changes_between_requests_is_checked_again(names, world):
    names["mifos.test"] = [[PUBLIC], ["127.0.0.1"]]
    ask("https://mifos.test")

    with pytest.raises(NotSent, match="private"):
        ask("https://mifos.test")

    assert world == [(PUBLIC, 443)]


def test_the_next_address_is_tried_when_one_does_not_answer(names, monkeypatch, server):
    names["mifos.test"] = [[PUBLIC, OTHER_PUBLIC]]
    asked, really = [], socket.socket.connect

    def connect(sock, address):
        asked.append(address[0])
        if address[0] == PUBLIC:
            raise TimeoutError
        really(sock, ("127.0.0.1", server.port))

    monkeypatch.setattr(socket.socket, "connect", connect)

    assert ask("https://mifos.test").status == 200
    assert asked == [PUBLIC, OTHER_PUBLIC]


def test_a_name_with_a_hundred_addresses_is_tried_at_the_first_few(names, dialled):
    names["mifos.test"] = [[f"41.90.1.{n}" for n in range(1, 101)]]

    with pytest.raises(NotSent):
        ask("https://mifos.test")

    assert 0 < len(dialled) < 10


def test_a_bad_address_behind_many_good_ones_refuses_the_name(names, dialled):
    names["mifos.test"] = [[*(f"41.90.1.{n}" for n in range(1, 101)), "10.0.0.1"]]

    with pytest.raises(NotSent, match="private"):
        ask("https://mifos.test")

    assert dialled == []


def allowing(network, *ports):
    allowed = Allowed(ip_network(network), frozenset(ports)) if ports else Allowed(
        ip_network(network)
    )  # fmt: skip
    return {"allowed_networks": (allowed,)}


def test_a_network_that_was_allowed_is_reached(names, world):
    names["mifos.test"] = [[LENDERS]]

    assert ask("https://mifos.test", **allowing("10.20.0.0/24")).status == 200
    assert world == [(LENDERS, 443)]


@pytest.mark.parametrize(
    "address, port, allowed",
    [
        ("10.20.1.9", 443, ("10.20.0.0/24",)),
        (LENDERS, 9443, ("10.20.0.0/24",)),
        (LENDERS, 443, ("10.20.0.0/24", 9443)),
        (PUBLIC, 9443, ("10.20.0.0/24", 9443)),
        ("::ffff:10.20.0.9", 443, ("10.20.0.0/24",)),
        # Nobody can allow these, however it came into the table.
        ("127.0.0.1", 443, ("127.0.0.0/8",)),
        ("169.254.169.254", 443, ("169.254.0.0/16",)),
        ("100.100.100.200", 443, ("100.100.0.0/16",)),
        ("fd00:ec2::254", 443, ("fd00:ec2::/48",)),
        ("64:ff9b::a14:9", 443, ("64:ff9b::/96",)),
    ],
)
def test_only_what_was_allowed_is_reached(names, dialled, address, port, allowed):
    names["mifos.test"] = [[address]]

    with pytest.raises(NotSent):
        ask(f"https://mifos.test:{port}", **allowing(*allowed))

    assert dialled == []


def test_a_port_is_allowed_in_its_network(names, world):
    names["mifos.test"] = [[PUBLIC]]

    assert ask("https://mifos.test:9443", **allowing(f"{PUBLIC}/32", 9443)).status == 200


def test_a_body_that_nobody_needs_is_not_waited_for(names, world, server):
    names["mifos.test"] = [[PUBLIC]]
    server._speak = lambda c: (
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        c.recv(9),
    )

    assert ask("https://mifos.test", reads_body=False, read_timeout_s=2).text == ""


addresses = st.ip_addresses()
special = st.one_of(
    *(
        st.ip_addresses(network=network)
        for network in (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4",
            "240.0.0.0/4", "::/16", "64:ff9b::/96", "100::/64", "2001::/16", "2002::/16",
            "fc00::/7", "fe80::/10", "ff00::/8",
        )
    )
)  # fmt: skip


@given(st.one_of(addresses, special))
def test_what_python_knows_as_not_public_is_refused(address):
    if address.is_global and not address.is_multicast:
        return

    assert is_never(address) or is_private(address)
    with pytest.raises(NotAllowed):
        Rules().check_address(str(address), 443)


@given(addresses)
def test_in_development_everything_may_be_reached(address):
    Rules(allow_private=True).check_address(str(address), 1)


def test_an_ordinary_address_is_allowed():
    Rules().check_address("8.8.8.8", 443)
    Rules().check_address("2a00:1450:4009::1", 8443)
    assert not is_never(ip_address("10.20.0.9"))
