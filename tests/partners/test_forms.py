"""How staff set partners up: what is kept, what voids a proof, and the words beside each field."""

import pytest
from django.utils import timezone

from partners.models import MifosConnection, MpesaShortcode, Partner
from paymentvault.sandbox.keys import shared_keys
from tests.partners.conftest import CANARY, CREDENTIAL
from tests.paymentvault.wire import certificate

pytestmark = pytest.mark.django_db


@pytest.fixture
def mifos_row(mifos_form):
    """A saved connection that has passed its test and is on."""
    row = mifos_form().save()
    MifosConnection.objects.update(configured_at=timezone.now(), is_on=True)
    row.refresh_from_db()
    return row


@pytest.fixture
def mpesa_row(mpesa_form):
    """A saved shortcode whose credential has been proved."""
    row = mpesa_form().save()
    MpesaShortcode.objects.update(credential_proved_at=timezone.now())
    row.refresh_from_db()
    return row


def saved(form):
    assert form.is_valid(), form.errors.as_text()
    form.save()
    return type(form.instance).objects.get(pk=form.instance.pk)


TYPED = dict.fromkeys(("consumer_key", "consumer_secret", "initiator_password"), "known")
EMPTY = dict.fromkeys(("consumer_key", "consumer_secret", "initiator_password", "password"), "")


def test_empty_secrets_keep_the_saved_ones(mifos_form, mpesa_form, mifos_row, mpesa_row):
    assert saved(mifos_form(mifos_row, password="")).password == f"{CANARY}-password"

    row = saved(mpesa_form(mpesa_row, **EMPTY))
    assert (row.consumer_key, row.consumer_secret) == (f"{CANARY}-key", f"{CANARY}-secret")
    assert row.initiator_password == f"{CANARY}-initiator"


def test_a_new_secret_replaces_the_saved_one(mifos_form, mifos_row):
    assert saved(mifos_form(mifos_row, password="new")).password == "new"


def test_a_secret_that_was_never_saved_must_be_given(mpesa_form):
    form = mpesa_form(consumer_key="")

    assert form.errors == {"consumer_key": ["This field is required."]}


@pytest.mark.lesson(14)
@pytest.mark.parametrize(
    "changes",
    [
        {"host_url": "https://other.test", "password": "typed again"},
        {"api_path": "/api"}, {"tenant_id": "pamoja"},
        {"username": "other"}, {"password": "other"}, {"payment_type_id": 27},
        {"ca_bundle": shared_keys().certificate_pem, "password": "typed again"},
        {"oauth_token_url": "https://sso.test", "oauth_client_id": "v", "oauth_client_secret": "s",
         "password": "typed again"},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_what_was_tested_must_be_tested_again_after_a_change(mifos_form, mifos_row, changes):
    row = saved(mifos_form(mifos_row, **({"password": ""} | changes)))

    assert (row.configured_at, row.is_on) == (None, False)


@pytest.mark.lesson(15)
@pytest.mark.parametrize(
    "changes, wanted",
    [
        ({"host_url": "https://elsewhere.test"}, "password"),
        ({"host_url": "http://mifos.pamoja.test"}, "password"),
        ({"host_url": "https://mifos.pamoja.test:8443"}, "password"),
        ({"oauth_token_url": "https://elsewhere.test", "oauth_client_id": "v",
          "oauth_client_secret": "s"}, "password"),
    ],
    ids=str,
)  # fmt: skip
def test_a_saved_secret_isn_t_sent_to_another_server(
    mifos_form, mifos_row, settings, changes, wanted
):
    settings.OUTBOUND_ALLOW_HTTP = True

    form = mifos_form(mifos_row, password="", **changes)

    assert form.errors == {wanted: ["The address changed: type this again, for the new server."]}
    assert mifos_form(mifos_row, password="known", **changes).is_valid()


@pytest.mark.lesson(15)
@pytest.mark.parametrize(
    "changes",
    [
        {"oauth_token_url": "https://elsewhere.test"},
        # The token that the secret buys goes to Mifos X.
        {"host_url": "https://elsewhere.test"},
        {"ca_bundle": shared_keys().certificate_pem},
    ],
    ids=str,
)
def test_a_saved_client_secret_buys_no_token_for_another_server(mifos_form, changes):
    by_oauth = {"oauth_token_url": "https://sso.test", "oauth_client_id": "v", "username": ""}
    row = saved(mifos_form(oauth_client_secret="s", **by_oauth))

    form = mifos_form(row, **by_oauth | changes)

    assert "oauth_client_secret" in form.errors


@pytest.mark.lesson(15)
def test_a_saved_password_isn_t_sent_to_whom_another_ca_vouches_for(mifos_form, mifos_row):
    changes = {"ca_bundle": shared_keys().certificate_pem}

    assert list(mifos_form(mifos_row, password="", **changes).errors) == ["password"]
    assert mifos_form(mifos_row, password="known", **changes).is_valid()


@pytest.mark.parametrize(
    "changes", [{}, {"time_zone": "Africa/Kampala"}, {"hook_host": "pamoja.vault.test"}]
)
def test_other_changes_keep_the_proof(mifos_form, mifos_row, changes):
    row = saved(mifos_form(mifos_row, password="", **changes))

    assert row.configured_at and row.is_on


@pytest.mark.parametrize(
    "changes",
    [
        {"consumer_key": "other"}, {"consumer_secret": "other"}, {"initiator_password": "other"},
        {"initiator_name": "other"}, {"shortcode": "600998"}, {"security_credential": CREDENTIAL},
        {"environment": "production"} | TYPED, {"certificate": certificate()[0]} | TYPED,
        {"base_url_override": "https://daraja.test"} | TYPED,
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_a_credential_must_prove_itself_again_after_a_change(mpesa_form, mpesa_row, changes):
    before = mpesa_row.credential_set_at

    row = saved(mpesa_form(mpesa_row, **(EMPTY | changes)))

    assert row.credential_proved_at is None
    assert row.credential_set_at > before


@pytest.mark.parametrize(
    "changes, is_new",
    [
        ({"initiator_password": "other"}, True), ({"security_credential": CREDENTIAL}, True),
        ({"consumer_key": "other"}, False), ({"initiator_name": "other"}, False),
    ],
)  # fmt: skip
def test_only_a_new_password_begins_its_90_days_anew(mpesa_form, mpesa_row, changes, is_new):
    before = mpesa_row.password_set_at

    row = saved(mpesa_form(mpesa_row, **(EMPTY | changes)))

    assert (row.password_set_at > before) is is_new


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"is_active": False}, {"is_default": True},
        # As browsers send it back.
        {"certificate": shared_keys().certificate_pem.replace("\n", "\r\n")},
    ],
)  # fmt: skip
def test_other_changes_keep_the_credential_proved(mpesa_form, mpesa_row, changes):
    assert saved(mpesa_form(mpesa_row, **(EMPTY | changes))).credential_proved_at


def test_an_edit_does_not_undo_what_workers_wrote_meanwhile(mpesa_form, mpesa_row):
    form = mpesa_form(mpesa_row, **(EMPTY | {"is_default": True}))
    MpesaShortcode.objects.update(
        pause="configuration", paused_at=timezone.now(), pause_reason="8006", utility_balance=5
    )

    row = saved(form)

    assert (row.pause, row.utility_balance, row.is_default) == ("configuration", 5, True)


@pytest.mark.parametrize(
    "changes, field, words",
    [
        ({"username": ""}, "username", "user name"),
        ({"password": ""}, "password", "password"),
        ({"oauth_token_url": "https://sso.test", "oauth_client_secret": "s"}, "oauth_client_id",
         "id"),
        ({"oauth_token_url": "https://sso.test", "oauth_client_id": "v"}, "oauth_client_secret",
         "secret"),
        ({"time_zone": "Nairobi"}, "time_zone", "not a time zone"),
        ({"host_url": "ftp://mifos.test"}, "host_url", "https://"),
        ({"host_url": "https://u:p@mifos.test"}, "host_url", "no user name"),
        ({"host_url": "https://mifos.test/?a=b"}, "host_url", "Give only the address"),
        ({"oauth_token_url": "https://sso.test/#x"}, "oauth_token_url", "Give only the address"),
        ({"ca_bundle": "nonsense"}, "ca_bundle", "not a PEM certificate"),
        ({"ca_bundle": certificate()[1]}, "ca_bundle", "private key"),
        ({"hook_host": "not a host"}, "hook_host", "valid domain"),
        ({"hook_host": "vault.test"}, "hook_host", "portal's own"),
        ({"payment_type_id": -1}, "payment_type_id", "greater than or equal"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_connection_is_said_beside_its_field(
    mifos_form, changes, field, words
):
    form = mifos_form(**changes)

    assert set(form.errors) == {field}
    assert words in form.errors[field][0]


def test_a_connection_signs_in_by_oauth_alone(mifos_form):
    oauth = {"oauth_token_url": "https://sso.test", "oauth_client_id": "v"}

    form = mifos_form(**oauth, oauth_client_secret="s", username="", password="")

    assert form.is_valid()


def test_plain_http_is_refused_where_settings_do(mifos_form, settings):
    settings.OUTBOUND_ALLOW_HTTP = False

    assert mifos_form(host_url="http://mifos.test").errors["host_url"]


def test_an_address_typed_without_a_scheme_gets_https(mifos_form):
    assert saved(mifos_form(host_url="mifos.pamoja.test")).host_url == "https://mifos.pamoja.test"


def test_a_host_of_its_own_must_be_let_in(mifos_form, settings):
    settings.ALLOWED_HOSTS = ["vault.test"]

    assert "ALLOWED_HOSTS" in mifos_form(hook_host="hook.test").errors["hook_host"][0]


def test_a_host_of_its_own_is_one_connections(mifos_form, mifos_row):
    """In any case of letters."""
    umoja = Partner.objects.create(name="Umoja", code="umoja")
    MifosConnection.objects.create(partner=umoja, host_url="https://u.test", hook_host="hook.test")

    form = mifos_form(mifos_row, hook_host="Hook.Test")

    assert "already exists" in form.errors["hook_host"][0]


@pytest.mark.parametrize(
    "changes, field, words",
    [
        ({"initiator_password": ""}, "initiator_password", "ready-made"),
        ({"certificate": ""}, "certificate", "encrypted for it"),
        ({"certificate": "-----BEGIN CERTIFICATE-----"}, "certificate", "not a PEM certificate"),
        ({"certificate": CANARY}, "certificate", "not a PEM certificate"),
        ({"certificate": certificate(rsa_key=False)[0]}, "certificate", "not RSA"),
        ({"certificate": certificate()[0] * 2}, "certificate", "one certificate"),
        ({"certificate": "".join(certificate())}, "certificate", "private key"),
        ({"security_credential": "not base64!", "initiator_password": ""}, "security_credential",
         "not base64"),
        ({"security_credential": "abcde", "initiator_password": ""}, "security_credential",
         "not base64"),
        ({"security_credential": CREDENTIAL}, "security_credential", "not both"),
        ({"shortcode": "12"}, "shortcode", "valid value"),
        ({"environment": "production", "base_url_override": "https://daraja.test"},
         "base_url_override", "Safaricom's own"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_shortcode_is_said_beside_its_field(mpesa_form, changes, field, words):
    form = mpesa_form(**changes)

    assert set(form.errors) == {field}
    assert words in form.errors[field][0]


def test_a_ready_made_credential_needs_no_password_and_may_be_broken_into_lines(mpesa_form):
    lines = f"{CREDENTIAL[:64]}\r\n {CREDENTIAL[64:]}\n"
    form = mpesa_form(initiator_password="", certificate="", security_credential=lines)

    assert saved(form).security_credential == CREDENTIAL


def test_of_password_and_ready_made_credential_the_one_given_last_counts(mpesa_form, mpesa_row):
    row = saved(mpesa_form(mpesa_row, **(EMPTY | {"security_credential": CREDENTIAL})))
    assert (row.initiator_password, row.security_credential) == ("", CREDENTIAL)

    row = saved(mpesa_form(row, **(EMPTY | {"initiator_password": "again"})))

    assert (row.initiator_password, row.security_credential) == ("again", "")


def test_a_certificate_is_told_by_its_fingerprint(mpesa_form, mpesa_row):
    page = mpesa_form(mpesa_row).as_p()

    assert "Saved: SHA-256 " in page
    assert page.count(":", page.index("SHA-256 "), page.index("SHA-256 ") + 103) == 31


def test_an_expired_certificate_is_taken_as_safaricoms_own_are(mpesa_form):
    assert mpesa_form(certificate=shared_keys().certificate_pem).is_valid()


@pytest.mark.lesson(18)
@pytest.mark.parametrize("typed, kept", [("", None), ("0", 0), ("150000.50", "150000.50")])
def test_an_empty_limit_is_none_and_0_is_0(partner_form, typed, kept):
    row = saved(partner_form(max_amount=typed))

    assert row.max_amount == kept or str(row.max_amount) == kept


def test_limits_out_of_order_are_told_in_words(partner_form):
    form = partner_form(min_amount=100, max_amount=50)

    assert form.non_field_errors() == ["The smallest sum is larger than the largest."]


@pytest.mark.parametrize("nothing", ["", "  "])
@pytest.mark.parametrize(
    "changes, wanted",
    [
        ({"environment": "production"}, set(TYPED)),
        ({"base_url_override": "https://elsewhere.test"}, set(TYPED)),
        ({"certificate": certificate()[0]}, {"initiator_password"}),
    ],
    ids=str,
)
def test_saved_secrets_of_m_pesa_go_to_nobody_else(mpesa_form, mpesa_row, changes, wanted, nothing):
    form = mpesa_form(mpesa_row, **(dict.fromkeys(TYPED, nothing) | changes))

    assert set(form.errors) == wanted
    mpesa_row.refresh_from_db()
    assert mpesa_form(mpesa_row, **(TYPED | changes)).is_valid()


def test_a_ready_made_credential_may_come_with_another_certificate(mpesa_form, mpesa_row):
    changes = {"certificate": certificate()[0], "security_credential": CREDENTIAL}

    row = saved(mpesa_form(mpesa_row, **(EMPTY | changes)))

    assert (row.initiator_password, row.security_credential) == ("", CREDENTIAL)


def test_spaces_are_no_new_password_for_another_server(mifos_form, mifos_row):
    form = mifos_form(mifos_row, password="  ", host_url="https://elsewhere.test")

    assert set(form.errors) == {"password"}
