"""A tenant of a Mifos X is connected once: two partners would each pay its loans."""

import pytest
from django.db import IntegrityError, transaction

from partners import addresses
from partners.models import MifosConnection, Partner

pytestmark = pytest.mark.django_db
API = "/fineract-provider/api/v1"
# The form's own: https://mifos.pamoja.test, the default tenant.
SAME = {
    "as it is": {},
    "slashes at the end": {"host_url": "https://mifos.pamoja.test/", "api_path": f"{API}/"},
    "no slash before the path": {"api_path": API[1:]},
    "capitals in the host": {"host_url": "https://MIFOS.Pamoja.test"},
    "the default port": {"host_url": "https://mifos.pamoja.test:443"},
    "a dot after the host": {"host_url": "https://mifos.pamoja.test./"},
    "the path cut elsewhere": {
        "host_url": "https://mifos.pamoja.test/fineract-provider", "api_path": "/api/v1"
    },
    "capitals in the tenant": {"tenant_id": "Default"},
    "blanks": {"tenant_id": " default ", "api_path": f" {API} "},
}  # fmt: skip
OTHER = {
    "another tenant": {"tenant_id": "umoja"},
    "another port": {"host_url": "https://mifos.pamoja.test:8443"},
    "another host": {"host_url": "https://mifos.umoja.test"},
    "another path": {"api_path": "/other/api/v1"},
}


@pytest.fixture
def taken():
    """Jamii's connection, to what the form of the lender names."""
    jamii = Partner.objects.create(name="Jamii Microfinance", code="jamii")
    return MifosConnection.objects.create(
        partner=jamii, host_url="https://mifos.pamoja.test", username="vault"
    )


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME)
def test_the_form_says_so_and_names_nobody_else_s_partner(mifos_form, taken, changes):
    form = mifos_form(**changes)

    assert form.errors == {
        "host_url": [
            "This tenant of this Mifos X is already connected, for another partner. Two "
            "connections would pay each loan twice. Whoever runs Payment Vault can tell which."
        ]
    }


@pytest.mark.parametrize("changes", SAME.values(), ids=SAME)
def test_the_database_refuses_it_too(lender, taken, changes):
    given = {"host_url": taken.host_url, "api_path": API} | changes

    with pytest.raises(IntegrityError, match="one_connection_per"), transaction.atomic():
        MifosConnection.objects.create(partner=lender, **given)
    with pytest.raises(IntegrityError, match="one_connection_per"), transaction.atomic():
        other = MifosConnection.objects.create(partner=lender, host_url="https://other.test")
        for name, value in given.items():
            setattr(other, name, value)
        other.save(update_fields=list(given))


@pytest.mark.parametrize("changes", OTHER.values(), ids=OTHER)
def test_what_differs_is_connected(mifos_form, taken, changes):
    form = mifos_form(**changes)

    assert form.is_valid(), form.errors
    form.save()
    assert MifosConnection.objects.count() == 2


def test_a_connection_isn_t_in_its_own_way(mifos_form):
    row = mifos_form().save()

    form = mifos_form(row, password="")

    assert form.is_valid(), form.errors


def test_what_is_saved_is_written_one_way(mifos_form):
    row = mifos_form(host_url="https://Mifos.Pamoja.test:443/x//", api_path="api//v1/").save()

    row.refresh_from_db()
    assert (row.host_url, row.api_path) == ("https://mifos.pamoja.test/x", "/api/v1")


@pytest.mark.parametrize(
    "typed, written",
    [
        ("http://127.0.0.1:80/", "http://127.0.0.1"),
        ("http://127.0.0.1:443", "http://127.0.0.1:443"),
        ("https://[::1]:443/", "https://[::1]"),
        ("https://m.test.:8443", "https://m.test:8443"),
        ("https://m.test:", "https://m.test"),
        ("https://m.test/Path", "https://m.test/Path"),
    ],
)
def test_an_address_s_server_is_written_one_way(typed, written):
    assert addresses.server(typed) == written
