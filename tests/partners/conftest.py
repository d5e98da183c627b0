"""What staff type in, whole and right, for a test to change one thing."""

import pytest

from partners.forms import MifosConnectionForm, MpesaShortcodeForm, PartnerForm
from partners.models import MifosConnection, MpesaShortcode
from paymentvault.sandbox.keys import shared_keys

CANARY = "canary-7f3a"
CREDENTIAL = "Y2FuYXJ5" * 43


@pytest.fixture
def mifos_form(lender):
    """The form of a connection; unsaved unless given one."""

    def make(instance=None, **changes):
        typed = {
            "host_url": "https://mifos.pamoja.test", "api_path": "/fineract-provider/api/v1",
            "tenant_id": "default", "username": "vault", "password": f"{CANARY}-password",
            "payment_type_id": 26, "time_zone": "Africa/Nairobi",
        }  # fmt: skip
        instance = instance or MifosConnection(partner=lender)
        return MifosConnectionForm(typed | changes, instance=instance)

    return make


@pytest.fixture
def mpesa_form(lender):
    def make(instance=None, **changes):
        typed = {
            "shortcode": "600997", "environment": "sandbox", "initiator_name": "testapi",
            "consumer_key": f"{CANARY}-key", "consumer_secret": f"{CANARY}-secret",
            "initiator_password": f"{CANARY}-initiator", "is_active": True,
            "certificate": shared_keys().certificate_pem,
        }  # fmt: skip
        return MpesaShortcodeForm(
            typed | changes, instance=instance or MpesaShortcode(partner=lender)
        )

    return make


@pytest.fixture
def partner_form():
    def make(instance=None, **changes):
        typed = {"name": "Umoja", "code": "umoja", "is_active": True}
        return PartnerForm(typed | changes, instance=instance)

    return make
