"""Where requests may go that leave for addresses somebody typed. No Django here.

A name is looked up once, every address that it has is checked, and the connection goes to those
very addresses: a name that changes between the check and the connection gains nothing.
"""

import re
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import idna

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
AddressInfo = tuple[Any, Any, int, str, Any]

USUAL_PORTS = frozenset({443, 8443})
# A name with more addresses than this is tried at the first ones.
MOST_ADDRESSES = 4


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


# Where lenders have servers that the internet doesn't reach. Two people may allow a part of these.
PRIVATE = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
# Never, whoever allows it: this machine, its neighbours on the wire, everybody at once, nobody.
# After IANA's registries of special-purpose addresses (2025).
NEVER = _networks(
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24",
    "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    # Clouds tell a machine's credentials here: Alibaba, Azure, AWS.
    "100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::254/128",
    # Protocols' own (Teredo, ORCHID and others), documentation, 6to4, AS112.
    "2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)  # fmt: skip
# Of IPv6 only this is ever routed to servers. Outside lie loopback, link-local, multicast, and the
# spaces that stand for an IPv4 address: mapped, compatible, and translated by NAT64.
GLOBAL_IPV6 = ip_network("2000::/3")


class NotAllowed(ValueError):
    """Why nothing was sent, in words that go on from "…: " and don't name the address."""


@dataclass(frozen=True)
class Allowed:
    """A network that was allowed on purpose, and the ports there."""

    network: Network
    ports: frozenset[int] = USUAL_PORTS


@dataclass(frozen=True)
class Rules:
    allow_private: bool = False
    """For development: any address and any port."""
    allow_http: bool = False
    allowed_networks: tuple[Allowed, ...] = ()

    def check_url(self, url: str) -> None:
        """Refuse what can be refused before a look-up. Raises NotAllowed."""
        parts = urlsplit(url)
        if not self.allow_http and parts.scheme != "https":
            raise NotAllowed("only https addresses are allowed")
        if re.search(r"[\x00-\x20\x7f\\]", url) or not parts.hostname:
            raise NotAllowed("it is not a whole web address")
        if "@" in parts.netloc:
            # Readers differ about where the host begins; and it would be sent as a password.
            raise NotAllowed("it has a user name in it")
        if self.allow_private:
            return
        port = parts.port or (80 if parts.scheme == "http" else 443)
        self._check_port(port, (a.ports for a in self.allowed_networks))
        self._check_host(parts.hostname, port)

    def check_address(self, text: str, port: int) -> None:
        """Raises NotAllowed."""
        if self.allow_private:
            return
        address = ip_address(text.partition("%")[0])
        if "%" in text or is_never(address):
            raise NotAllowed(PRIVATE_WORDS)
        allowed = [a.ports for a in self.allowed_networks if address in a.network]
        if not is_private(address):
            self._check_port(port, allowed)
        elif not any(port in ports for ports in allowed):
            raise NotAllowed(PRIVATE_WORDS)

    def reachable(self, host: str, port: int) -> Sequence[AddressInfo]:
        """Look a name up and check every address. Raises NotAllowed and socket.gaierror.

        One that isn't acceptable refuses the name: which of its addresses is used would be up to
        whoever owns the name, and an honest name has no private address beside a public one.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for info in found:
            self.check_address(str(info[4][0]), port)
        return found[:MOST_ADDRESSES]

    def _check_host(self, host: str, port: int) -> None:
        name = _in_ascii(host).rstrip(".")
        if name == "localhost" or name.endswith(".localhost"):
            raise NotAllowed("it is this machine itself, which is not allowed")
        try:
            literal = ip_address(name)
        except ValueError:
            # 2130706433, 0x7f.1 and 127.1 are 127.0.0.1 to a resolver; nobody honest writes so.
            if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", name.rpartition(".")[2]):
                raise NotAllowed("it is a number, not a name or a whole address") from None
            return
        self.check_address(str(literal), port)

    def _check_port(self, port: int, allowed: Iterable[frozenset[int]]) -> None:
        usual = USUAL_PORTS | ({80} if self.allow_http else frozenset())
        if port not in usual.union(*allowed):
            raise NotAllowed(f"port {port} is not allowed there, only 443 and 8443")


PRIVATE_WORDS = "it is in a private network, which is not allowed"


def is_never(address: Address) -> bool:
    """Whether nobody may allow it."""
    if isinstance(address, IPv6Address) and not (address in GLOBAL_IPV6 or is_private(address)):
        return True
    return any(address in network for network in NEVER)


def is_private(address: Address) -> bool:
    return any(address in network for network in PRIVATE)


def dial(
    found: Sequence[AddressInfo], *, timeout_s: float, options: Sequence[Any] = ()
) -> socket.socket:
    """Connect to the first of the addresses that answers, without another look-up.

    They share the time. Raises OSError.
    """
    ends_at = time.monotonic() + timeout_s
    failure: OSError = ConnectionError("no address")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(ends_at - time.monotonic(), 0.01))
            for option in options:
                sock.setsockopt(*option)
            sock.connect(address)
            return sock
        except OSError as error:
            failure = error
            sock.close()
    raise failure


def _in_ascii(host: str) -> str:
    """As it is looked up: full-width digits and the like become what they look like."""
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode().lower()
    except idna.IDNAError as error:
        raise NotAllowed("it is not a whole web address") from error
