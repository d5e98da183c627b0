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


def is_within(address: str | None, networks: list[str]) -> bool:
    """Whether an address is in one of the networks. An unknown address is in none."""
    if address is None:
        return False
    return any(ip_address(address) in ip_network(network) for network in networks)
