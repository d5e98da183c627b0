"""Where a request came from, believing only our own proxies."""

from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def source_address(request: HttpRequest) -> str | None:
    """The address that the outermost proxy of ours saw; None if it is not an address.

    Each of the TRUSTED_PROXIES appended one entry to X-Forwarded-For. What stands further left
    was written by whoever called, and proves nothing.
    """
    hops = [request.META.get("REMOTE_ADDR", "")]
    if settings.TRUSTED_PROXIES:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        hops = [hop.strip() for hop in forwarded][-settings.TRUSTED_PROXIES :]
    try:
        return str(ip_address(hops[0]))
    except ValueError:
        return None


def is_within(address: str | None, networks: list[str]) -> bool:
    """Whether an address is in one of the networks. An unknown address is in none."""
    if address is None:
        return False
    return any(ip_address(address) in ip_network(network) for network in networks)
