"""What PostgreSQL forbids of partners, and the words that staff get for it."""

from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module

import pgtrigger
import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db import connection as database
from django.utils import timezone

from partners.models import MifosConnection, MpesaShortcode, Partner

pytestmark = pytest.mark.django_db


def words_of(row):
    with pytest.raises(ValidationError) as error:
        row.full_clean()
    return " ".join(error.value.messages)


@pytest.mark.parametrize(
    "smallest, largest, is_right",
    [
        (None, None, True), (10, None, True), (None, 0, True), (0, 0, True), (10, 10, True),
        (10, Decimal("9.99"), False), (1, 0, False),
    ],
)  # fmt: skip
def test_a_partners_limits_are_in_order(smallest, largest, is_right):
    partner = Partner(name="Umoja", code="umoja", min_amount=smallest, max_amount=largest)

    if is_right:
        partner.full_clean()
        partner.save()
        return
    assert words_of(partner) == "The smallest sum is larger than the largest."
    with pytest.raises(IntegrityError, match="partner_limits_in_order"), transaction.atomic():
        partner.save()


@pytest.mark.parametrize("code", ["u", "Umoja", "u moja", "umoja_1", "x" * 21, "umoja\n", "ümoja"])
def test_a_code_is_short_and_plain(code):
    assert words_of(Partner(name="Umoja", code=code))


def test_a_code_belongs_to_one_partner(lender):
    assert "already exists" in words_of(Partner(name="Umoja", code="pamoja"))


def test_automatic_disbursement_is_off_unless_switched_on():
    assert not Partner().is_automatic


@pytest.fixture
def another(lender, shortcode):
    """A shortcode of another partner, like the lender's but for what a test changes."""

    def make(**changes):
        umoja = Partner.objects.create(name="Umoja", code="umoja")
        like = {"partner": umoja, "shortcode": "600998", "consumer_key": "k",
                "consumer_secret": "s", "initiator_name": "api"}  # fmt: skip
        return MpesaShortcode(**(like | changes))

    return make


def test_two_partners_never_share_a_shortcode(another):
    stolen = another(shortcode="600997")

    assert words_of(stolen) == "This shortcode is already set up."
    with pytest.raises(IntegrityError, match="one_partner"), transaction.atomic():
        stolen.save()


def test_a_sandbox_shortcode_may_have_the_number_of_a_real_one(another):
    production = another(shortcode="600997", environment="production")

    production.full_clean()
    production.save()

    assert type(production).objects.filter(shortcode="600997").count() == 2


def test_a_partner_has_one_default_shortcode(another, lender):
    second = another(partner=lender, is_default=True)

    assert words_of(second) == "The partner already has a default shortcode."
    with pytest.raises(IntegrityError, match="one_default"), transaction.atomic():
        second.save()


def test_it_may_have_several_others(another, lender):
    another(partner=lender).save()

    assert lender.shortcodes.count() == 2


@pytest.mark.parametrize("number", ["", "1234", "12345678", "60099A", "６００９９７", "600997\n"])
def test_a_shortcode_is_five_to_seven_digits(another, number):
    assert words_of(another(shortcode=number))


def test_a_connection_is_switched_on_only_when_configured(lender):
    with pytest.raises(IntegrityError, match="switched_on_only"), transaction.atomic():
        MifosConnection.objects.create(partner=lender, host_url="https://m.test", is_on=True)


@pytest.mark.parametrize(
    "pause, at, reason, is_right",
    [
        ("", None, "", True),
        ("funds", datetime(2026, 11, 23, tzinfo=UTC), "Empty.", True),
        ("funds", None, "Empty.", False),
        ("funds", datetime(2026, 11, 23, tzinfo=UTC), "", False),
        ("", datetime(2026, 11, 23, tzinfo=UTC), "", False),
    ],
)
def test_a_pause_has_a_time_and_a_reason(shortcode, pause, at, reason, is_right):
    rows = MpesaShortcode.objects.filter(pk=shortcode.pk)
    changes = {"pause": pause, "paused_at": at, "pause_reason": reason}

    if is_right:
        assert rows.update(**changes) == 1
        return
    with pytest.raises(IntegrityError, match="a_pause_has"), transaction.atomic():
        rows.update(**changes)


@pytest.mark.parametrize("zone", ["Nairobi", "Africa/Nowhere", "../../etc/passwd", "+03:00", ""])
def test_an_unknown_time_zone_is_refused(lender, zone):
    row = MifosConnection(partner=lender, host_url="https://m.test", username="u", time_zone=zone)

    assert "zone" in words_of(row) or "blank" in words_of(row)


def test_an_address_is_put_together_with_one_slash(lender):
    row = MifosConnection(partner=lender, host_url="https://m.test/", api_path="api/v1/")

    assert row.base_url == "https://m.test/api/v1"


def test_what_disbursements_hang_on_cannot_be_deleted(shortcode, lender):
    with pytest.raises(IntegrityError):
        lender.delete()


def test_a_password_ends_90_days_after_it_was_set(shortcode):
    shortcode.password_set_at = datetime(2026, 11, 23, 9, tzinfo=UTC)

    assert str(shortcode.password_ends_on) == "2027-02-21"


@pytest.mark.parametrize("table", ["partners_partner", "partners_mpesashortcode"])
def test_the_constraints_hold_for_psql_too(another, lender, shortcode, table):
    broken = {
        "partners_partner": "UPDATE partners_partner SET min_amount = 2, max_amount = 1",
        "partners_mpesashortcode": "UPDATE partners_mpesashortcode SET pause = 'funds'",
    }[table]

    with pytest.raises(IntegrityError), transaction.atomic(), database.cursor() as cursor:
        cursor.execute(broken)


def test_what_rows_call_themselves(shortcode):
    connection_row = MifosConnection(partner=Partner(name="Umoja"))

    assert str(shortcode) == "600997 (Sandbox)"
    assert str(connection_row) == "Mifos X of Umoja"
    assert str(MifosConnection()).startswith("Mifos X of")
    assert not shortcode.is_paused
    assert MifosConnection(previous_token_until=timezone.now()).accepts_previous_token() is False


def test_partners_that_were_used_before_are_in_use_from_then_on(lender, connection, manual):
    """What the migration does to those that were there."""
    migration = import_module("partners.migrations.0005_settings_changes")
    names = ["by hand", "was on once", "never"]
    others = [Partner.objects.create(name=name, code=f"p-{n}") for n, name in enumerate(names)]
    manual(partner=others[0])
    MifosConnection.objects.create(partner=others[1], host_url="https://a.test",
                                   switched_on_at=timezone.now())  # fmt: skip
    MifosConnection.objects.create(partner=others[2], host_url="https://b.test")
    with pgtrigger.ignore("partners.Partner:in_use_for_good"):
        Partner.objects.update(in_use_since=None)

    with database.cursor() as cursor:
        cursor.execute(migration.IN_USE)

    used = Partner.objects.exclude(in_use_since=None).values_list("name", flat=True)
    assert set(used) == {"Pesa Pamoja", "by hand", "was on once"}
