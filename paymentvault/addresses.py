"""Where a request came from, believing only our own proxies."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def source_address(request: HttpRequest) -> str | None:
    """The address that the outermost proxy of ours saw; None if that can't be told.

    Each of the TRUSTED_PROXIES appended one entry to X-Forwarded-For. What stands further left
    was written by whoever called, and proves nothing.
    """
    if not settings.TRUSTED_PROXIES:
        return _address(request.META.get("REMOTE_ADDR", ""))
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    if len(hops) < settings.TRUSTED_PROXIES:
        # Not every proxy is there, so nobody vouches for the leftmost entry.
        return None
    return _address(hops[-settings.TRUSTED_PROXIES])


def _address(text: str) -> str | None:
    """As PostgreSQL can keep it and as lists of networks name it."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    # A server that listens on IPv6 sees ::ffff:196.201.214.200 for an IPv4 caller.
    return str(getattr(address, "ipv4_mapped", None) or address)


def block_of(address: str) -> str:
    """What one caller commands, for counting: of IPv6 a whole /64, which every line is given."""
    try:
        if ip_address(address).version == 4:
            return address
    except ValueError:
        return address
    return str(ip_network(f"{address}/64", strict=False).network_address)


def is_within(address: str | None, networks: list[str]) -> bool:
    """Whether an address is in one of the networks. An unknown address is in none."""
    if address is None:
        return False
    return any(ip_address(address) in ip_network(network) for network in networks)
