"""Set a lender up through the forms and acts that staff use."""

import secrets
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.management.base import CommandError

from disbursements import doubt
from disbursements.models import Inquiry
from mifos import connections
from mifos.demo.world import Outside
from partners import automatic, webhook_tokens
from partners.forms import MifosConnectionForm, MpesaShortcodeForm, PartnerForm
from partners.models import MifosConnection, MpesaShortcode, Partner
from paymentvault.stack import DEMO_LENDER

BY = "demo"
LARGEST = Decimal(100_000)
SHORTCODE_PLACES = range(600_000, 700_000)


def set_up(outside: Outside) -> Partner:
    """A lender with automatic disbursement on, its connections tested and switched on."""
    code = f"demo-{secrets.token_hex(3)}"
    partner: Partner = _saved(
        PartnerForm(
            {"name": DEMO_LENDER, "code": code, "is_active": True, "min_amount": 50,
             "max_amount": LARGEST}
        )
    )  # fmt: skip
    connection = _connect_mifos(partner, outside)
    shortcode = _connect_mpesa(partner, outside)
    _prove(connection)
    _read_float(shortcode)
    connection.products.update(is_automatic=True)
    automatic.switch(partner, to=True, by=BY, reason="The demo.")
    return partner


def _connect_mifos(partner: Partner, outside: Outside) -> MifosConnection:
    password = secrets.token_urlsafe(12)
    outside.mifos.post("users", username="payment-vault", password=password)
    form = MifosConnectionForm(
        {"host_url": outside.mifos.url, "api_path": "/fineract-provider/api/v1",
         "tenant_id": "default", "username": "payment-vault", "password": password,
         "payment_type_id": 26, "time_zone": "Africa/Nairobi"},
        instance=MifosConnection(partner=partner),
    )  # fmt: skip
    connection = _saved(form)
    webhook_tokens.generate(connection)
    connections.register_hook(connection, by=BY)
    return MifosConnection.objects.get(pk=connection.pk)


def _connect_mpesa(partner: Partner, outside: Outside) -> MpesaShortcode:
    app = {"consumer_key": secrets.token_urlsafe(24), "consumer_secret": secrets.token_urlsafe(12)}
    number, password = _unused_shortcode(), "Demo#2026"
    outside.safaricom.post(
        "apps", **app, shortcode=number, initiator="vault-api", password=password,
        utility_balance=1_000_000,
    )  # fmt: skip
    form = MpesaShortcodeForm(
        {**app, "shortcode": number, "environment": "sandbox", "is_default": True,
         "base_url_override": outside.safaricom.url, "initiator_name": "vault-api",
         "initiator_password": password, "is_active": True,
         "certificate": outside.safaricom.get("certificate")},
        instance=MpesaShortcode(partner=partner),
    )  # fmt: skip
    shortcode: MpesaShortcode = _saved(form)
    return shortcode


def _unused_shortcode() -> str:
    taken = set(MpesaShortcode.objects.values_list("shortcode", flat=True))
    return next(str(n) for n in SHORTCODE_PLACES if str(n) not in taken)


def _prove(connection: MifosConnection) -> None:
    steps = connections.test(connection, by=BY)
    if not connections.has_passed(steps):
        raise CommandError("\n".join(f"{s.name}: {s.result}. {s.words}" for s in steps))
    connections.switch_on(connection, by=BY)
    # What the first poll finds counts as approved before, and would be held for a person.
    listed = MifosConnection.objects.filter(pk=connection.pk, backlog_listed_at__isnull=False)
    _wait(listed.exists, "Mifos X's approved loans were not listed.")


def _read_float(shortcode: MpesaShortcode) -> None:
    """Ask for the balance, which proves the credential, and wait for the answer."""
    inquiry = doubt.ask_balance(shortcode)
    answered = Inquiry.objects.exclude(outcome="").filter(pk=inquiry.pk)
    _wait(answered.exists, "M-Pesa's answer about the float didn't come.")


def _wait(come: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 20
    while not come():
        if time.monotonic() > deadline:
            raise CommandError(otherwise)
        time.sleep(0.1)


def tidy_up(partner: Partner) -> None:
    """Leave nothing switched on in a database that outlives the demo."""
    if connection := MifosConnection.objects.filter(partner=partner, is_on=True).first():
        connections.switch_off(connection, by=BY)
    # Its server is gone, and the next demo's may get the same port.
    gone = f"http://{partner.code}.invalid"
    MifosConnection.objects.filter(partner=partner).update(host_url=gone)
    Partner.objects.filter(pk=partner.pk).update(is_active=False)


def refuse_production() -> None:
    """Never among real lenders."""
    production = MpesaShortcode.Environment.PRODUCTION
    if MpesaShortcode.objects.filter(environment=production).exists() or not settings.DEBUG:
        raise CommandError("The demo won't run in a database with production shortcodes.")


def _saved(form: forms.ModelForm) -> Any:
    if not form.is_valid():
        raise CommandError(form.errors.as_text())
    return form.save()
