"""A partner's whole set-up in words, for whoever switches it on as the second person."""

from datetime import datetime
from decimal import Decimal

from django.utils import timezone

from partners import pem
from partners.models import LoanProduct, MifosConnection, MpesaShortcode, Partner

Fact = list[str]


def facts(partner: Partner) -> list[Fact]:
    """Each a name and a value. When something was last saved stands for its secrets too."""
    connection = MifosConnection.objects.filter(partner=partner).first()
    found = [["Partner", f"{partner.name} ({partner.code})"]]
    if connection:
        found += _of_mifos(connection)
    found += [_shortcode(row) for row in partner.shortcodes.order_by("shortcode", "pk")]
    found += [
        ["Smallest disbursement", _sum(partner.min_amount)],
        ["Largest disbursement", _sum(partner.max_amount)],
        ["Automatic disbursement", "On" if partner.is_automatic else "Off"],
    ]
    automatic = LoanProduct.objects.filter(connection=connection, is_automatic=True)
    return found + [_product(row) for row in automatic.order_by("name", "pk")]


def _of_mifos(connection: MifosConnection) -> list[Fact]:
    user = f"user {connection.username}"
    if connection.oauth_token_url:
        user = f"client {connection.oauth_client_id}, token from {connection.oauth_token_url}"
    bundle = connection.ca_bundle and pem.fingerprints(connection.ca_bundle)
    told = [
        ["Mifos X", connection.base_url],
        ["Tenant", connection.tenant_id],
        ["Signs in as", user],
        ["Payment type", payment_type(connection)],
        ["CA bundle, SHA-256", bundle],
        ["Host name for hooks", connection.hook_host or ""],
        ["Mifos X connection saved", _at(connection.updated_at)],
    ]
    return [fact for fact in told if fact[1]]


def payment_type(connection: MifosConnection) -> str:
    number = connection.payment_type_id
    if number is None:
        return ""
    named = {kind["id"]: kind["name"] for kind in connection.payment_types}
    return f"{named[number]} ({number})" if number in named else str(number)


def _shortcode(row: MpesaShortcode) -> Fact:
    told = [
        f"{row.shortcode}, {row.get_environment_display().lower()}",
        "paid from" if row.is_active and row.is_default else "not paid from",
        f"initiator {row.initiator_name}",
        f"at {row.base_url_override}" if row.base_url_override else "",
        f"saved {_at(row.updated_at)}",
    ]
    return ["M-Pesa shortcode", "; ".join(words for words in told if words)]


def _product(row: LoanProduct) -> Fact:
    sums = f"from {_sum(row.min_amount)} up to {_sum(row.max_amount)}"
    return ["Paid automatically", f"{row.name} (no. {row.product_id}), {sums}"]


def _sum(amount: Decimal | None) -> str:
    return "no limit" if amount is None else f"KES {amount:,.2f}"


def _at(moment: datetime) -> str:
    """To the last digit: what is saved a moment later is another set-up."""
    return f"{timezone.localtime(moment):%-d %B %Y %H:%M:%S.%f}"
