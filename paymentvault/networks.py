"""Networks that outgoing requests may go to on purpose: proposed by one, confirmed by another."""

import re
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from paymentvault import audit
from paymentvault.destinations import (
    NEVER,
    PRIVATE,
    USUAL_PORTS,
    Allowed,
    Network,
    NotAllowed,
    Rules,
    is_never,
)
from paymentvault.http import Transport
from paymentvault.models import AllowedNetwork, User

# A lender's servers stand in a small one; whoever allows half of a company allows too much.
WIDEST = {4: 20, 6: 48}
MOST_PORTS = 5


class NetworkRefused(Exception):
    """Why it can't be proposed, confirmed or withdrawn, in words for whoever asked."""


def transport(**more: Any) -> Transport:
    """For addresses that staff typed."""
    return Transport(
        allow_private=settings.OUTBOUND_ALLOW_PRIVATE,
        allow_http=settings.OUTBOUND_ALLOW_HTTP,
        allowed_networks=allowed(),
        **more,
    )


def allowed() -> tuple[Allowed, ...]:
    """Those that two people allowed."""
    rows = AllowedNetwork.objects.filter(confirmed_at__isnull=False, withdrawn_at=None)
    return tuple(Allowed(ip_network(row.network), frozenset(row.ports)) for row in rows)


def check_typed(url: str) -> None:
    """Refuse while it is being typed what would be refused anyway. Raises ValidationError."""
    rules = Rules(
        settings.OUTBOUND_ALLOW_PRIVATE, settings.OUTBOUND_ALLOW_HTTP, allowed_networks=allowed()
    )
    try:
        rules.check_url(url)
    except NotAllowed as why:
        raise ValidationError(f"This address can't be used: {why}.{_way_out(str(why))}") from why
    except ValueError as error:
        raise ValidationError("This is not a whole web address.") from error


def _way_out(why: str) -> str:
    can_be_allowed = "private network" in why or why.startswith("port ")
    return " Two people can allow it under Allowed networks." if can_be_allowed else ""


def readable(text: str) -> Network:
    """A network as somebody typed it. Raises ValidationError for one that nobody may allow."""
    try:
        network = ip_network(text.strip())
    except ValueError as error:
        raise ValidationError("Give an address or a network, such as 10.20.0.0/24.") from error
    if network.prefixlen < WIDEST[network.version]:
        raise ValidationError(f"Too wide: give /{WIDEST[network.version]} or a smaller part of it.")
    if is_never(network.network_address) or any(
        network.version == never.version and network.overlaps(never) for never in NEVER
    ):
        raise ValidationError(
            "Nobody may allow this: it is, or holds, this machine itself, a cloud's key service, "
            "or a reserved range."
        )
    return network


def readable_ports(text: str, network: Network) -> list[int]:
    """Ports as somebody typed them, such as "443, 9443". Raises ValidationError."""
    numbers = [int(part) for part in re.findall(r"[0-9]{1,6}", text)]
    is_whole = bool(re.fullmatch(r"[0-9]{1,6}([ ,]+[0-9]{1,6})*", text.strip()))
    if not is_whole or not all(0 < number < 65536 for number in numbers):
        raise ValidationError("Give ports as numbers, such as 443 or 443, 9443.")
    if len(set(numbers)) > MOST_PORTS:
        raise ValidationError(f"Give at most {MOST_PORTS} ports.")
    if not _is_private(network) and set(numbers) <= USUAL_PORTS:
        raise ValidationError("This network is public: 443 and 8443 are allowed there anyway.")
    return sorted(set(numbers))


def _is_private(network: Network) -> bool:
    return any(network.version == p.version and network.subnet_of(p) for p in PRIVATE)  # type: ignore[arg-type]


@transaction.atomic
def propose(network: Network, *, ports: Iterable[int], reason: str, by: User) -> AllowedNetwork:
    """Nothing may be reached by it before a second person confirms."""
    try:
        with transaction.atomic():
            row = AllowedNetwork.objects.create(
                network=str(network), ports=sorted(ports), reason=reason, proposed_by=by
            )
    except IntegrityError as error:
        raise NetworkRefused(
            f"{network} is in the list already: withdraw that one first."
        ) from error
    audit.record("network proposed", by=by.get_username(), subject=row, reason=reason)
    return row


@transaction.atomic
def confirm(row: AllowedNetwork, *, by: User, note: str = "") -> None:
    """Put it in force. Raises NetworkRefused, also for whoever proposed it."""
    if row.proposed_by_id == by.pk:
        raise NetworkRefused("You proposed it: somebody else must confirm it.")
    waiting = AllowedNetwork.objects.filter(pk=row.pk, confirmed_at=None, withdrawn_at=None)
    if not waiting.update(confirmed_by=by, confirmed_at=timezone.now()):
        raise NetworkRefused("It was confirmed or withdrawn meanwhile.")
    audit.record("network confirmed", by=by.get_username(), subject=row, reason=note)


@transaction.atomic
def withdraw(row: AllowedNetwork, *, by: User, reason: str) -> None:
    """Take it out of force, at once and for good. One person is enough to be careful."""
    standing = AllowedNetwork.objects.filter(pk=row.pk, withdrawn_at=None)
    if not standing.update(withdrawn_by=by, withdrawn_at=timezone.now()):
        raise NetworkRefused("It was withdrawn meanwhile.")
    audit.record("network withdrawn", by=by.get_username(), subject=row, reason=reason)
