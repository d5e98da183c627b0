"""PostgreSQL itself writes down what becomes of settings' rows, whoever changes them."""

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from fernet_fields import EncryptedField

from partners import webhook_tokens
from partners.models import Membership, MifosConnection, MpesaShortcode, Partner, Role
from paymentvault.models import RowChange, User
from paymentvault.row_history import RowHistory

pytestmark = pytest.mark.django_db

# Those with a history, and what in them is no setting: workers keep it.
OF_WORKERS = {
    Partner: {"created_at", "updated_at"},
    Membership: {"created_at"},
    User: {"last_login"},
    MifosConnection: {
        "payment_types", "products_listed_at", "last_test", "last_tested_at", "last_tested_by",
        "backlog_listed_at", "polled_at", "failing_since", "resting_until", "leased_until",
        "last_error", "updated_at",
    },
    MpesaShortcode: {
        "last_test", "last_tested_at", "last_tested_by", "utility_balance", "balance_at",
        "balance_when_paused", "credential_proved_at", "updated_at",
    },
}  # fmt: skip
SECRETS = {
    Partner: set(), Membership: set(), User: {"password", "email", "first_name", "last_name"},
    MifosConnection: {"password", "oauth_client_secret", "webhook_token", "webhook_token_hash",
                      "previous_token_hash"},
    MpesaShortcode: {"consumer_key", "consumer_secret", "initiator_password",
                     "security_credential"},
}  # fmt: skip


def newest():
    return RowChange.objects.latest("pk")


def by_sql(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@pytest.mark.parametrize("model", OF_WORKERS)
def test_every_column_is_a_setting_a_secret_or_a_workers(model):
    triggers = [one for one in model._meta.triggers if isinstance(one, RowHistory)]

    assert {one.name for one in triggers} == {"history_of_rows", "history_of_changes"}
    for trigger in triggers:
        told = trigger._told(model)
        assert {f.name for f in model._meta.local_fields} - {f.name for f in told} == (
            OF_WORKERS[model]
        )
        assert {f.name for f in told if trigger._is_secret(f)} == SECRETS[model]
    assert not any(
        isinstance(f, EncryptedField) and f.name not in SECRETS[model]
        for f in model._meta.local_fields
    )


def test_what_psql_changes_is_written_down(lender):
    by_sql("UPDATE partners_partner SET max_amount = 900000, is_automatic = false")

    line = newest()
    assert (line.act, line.about_type) == ("changed", "partners.partner")
    assert (line.about_id, line.partner_code) == (str(lender.pk), "pamoja")
    assert line.changes == {
        "max_amount": {"from": None, "to": 900000}, "is_automatic": {"from": True, "to": False},
    }  # fmt: skip
    assert (line.actor, line.request_id, line.database_role) == ("", "", "postgres")


def test_rows_that_are_added_or_taken_away_are_written_down(lender, amina):
    role = Membership.objects.create(user=amina, partner=lender, role=Role.APPROVER)
    added = newest()
    pk = role.pk
    role.delete()

    assert (added.act, added.about_type) == ("added", "partners.membership")
    assert added.about_id == str(pk)
    assert added.changes["role"] == {"from": None, "to": "approver"}
    assert (newest().act, newest().partner_code) == ("deleted", "pamoja")
    assert newest().changes["role"] == {"from": "approver", "to": None}


def test_a_person_made_a_superuser_outside_the_portal_is_written_down(amina):
    by_sql("UPDATE paymentvault_user SET is_superuser = true WHERE username = 'amina'")

    assert newest().changes == {"is_superuser": {"from": False, "to": True}}


def test_secrets_are_named_as_changed_and_nothing_of_them_is_kept(connection_, shortcode):
    canary = "canary-of-a-secret"
    for row, names in ((connection_, ["password", "oauth_client_secret"]),
                       (shortcode, [*SECRETS[MpesaShortcode]])):  # fmt: skip
        for name in names:
            setattr(row, name, canary)
        row.save(update_fields=names)
        assert newest().changes == dict.fromkeys(names, "changed")
    was = connection_.webhook_token
    webhook_tokens.generate(connection_)

    kept = str(list(RowChange.objects.values()))
    by_sql("SELECT 1")
    assert canary not in kept and was not in kept and connection_.webhook_token not in kept
    assert connection_.webhook_token_hash not in kept
    with connection.cursor() as cursor:
        cursor.execute("SELECT encode(password, 'hex'), encode(webhook_token, 'hex')"
                       " FROM partners_mifosconnection")  # fmt: skip
        for sealed in cursor.fetchone():
            assert sealed not in kept


@pytest.fixture
def connection_(lender, mifos_server):
    row = MifosConnection.objects.create(
        partner=lender, host_url=mifos_server.url, username="vault", password="mifos-password"
    )
    webhook_tokens.generate(row)
    return row


@pytest.mark.parametrize("name", sorted(OF_WORKERS[MifosConnection]))
def test_what_a_poll_writes_leaves_no_line(connection_, name):
    value = {"last_test": "'[1]'", "payment_types": "'[1]'", "last_error": "'x'",
             "last_tested_by": "'x'"}.get(name, "now()")  # fmt: skip
    before = RowChange.objects.count()

    by_sql(f"UPDATE partners_mifosconnection SET {name} = {value}")

    assert RowChange.objects.count() == before


def test_what_a_balance_writes_leaves_no_line(shortcode):
    before = RowChange.objects.count()

    MpesaShortcode.objects.update(utility_balance=7, balance_at="2026-11-23T09:00Z")

    assert RowChange.objects.count() == before


def test_a_write_of_what_was_there_already_leaves_no_line(lender):
    before = RowChange.objects.count()

    lender.save()

    assert RowChange.objects.count() == before


@pytest.mark.parametrize(
    "statement", ["UPDATE paymentvault_rowchange SET actor = 'nobody'",
                  "DELETE FROM paymentvault_rowchange"]
)  # fmt: skip
def test_the_history_cannot_be_changed(lender, statement):
    assert RowChange.objects.exists()
    with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
        by_sql(statement)


def test_a_change_in_a_request_names_its_person_and_its_id(
    admin_client, admin_user, amina, django_assert_num_queries
):
    address = reverse("admin:paymentvault_user_change", args=[amina.pk])
    form = {"username": "amina", "first_name": "Amina", "is_active": "on", "is_staff": "on",
            "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}  # fmt: skip

    assert admin_client.post(address, form).status_code == 302

    line = newest()
    assert (line.actor, line.about_id) == ("admin", str(amina.pk))
    assert len(line.request_id) == 36
    assert line.changes["is_staff"] == {"from": False, "to": True}
    assert line.changes["first_name"] == "changed"
    User.objects.filter(pk=amina.pk).update(first_name="x")
    assert newest().actor == ""


def test_telling_who_it_is_costs_no_query_and_leaves_the_answer_as_it_is(
    lender, django_assert_num_queries
):
    with django_assert_num_queries(3):
        made = Partner.objects.create(name="Jamii", code="jamii")
        assert Partner.objects.filter(name__contains="a").update(contact="x") == 2
        assert Partner.objects.filter(pk=made.pk).update(name="Jamii %s %%") == 1
    made.refresh_from_db()
    assert made.name == "Jamii %s %%"
    assert Partner.objects.bulk_create([Partner(name="a", code="aa"), Partner(name="b", code="bb")])


@pytest.mark.django_db(transaction=True)
def test_who_it_was_does_not_stay_with_the_connection(monkeypatch):
    monkeypatch.setattr("paymentvault.audit.here", lambda: ("amina", "a-request"))
    made = Partner.objects.create(name="Jamii", code="jamii")
    assert (newest().actor, newest().request_id) == ("amina", "a-request")
    monkeypatch.undo()

    by_sql("UPDATE partners_partner SET name = 'J'")
    assert newest().actor == ""
    Partner.objects.filter(pk=made.pk).update(name="K")
    assert newest().actor == ""


def test_its_page_reads_as_a_sentence(admin_client, lender):
    Partner.objects.update(max_amount=5)

    address = reverse("admin:paymentvault_rowchange_change", args=[newest().pk])
    page = admin_client.get(address).content.decode()

    assert f"partners.partner {lender.pk} (pamoja) was changed on " in page
    assert "signed in to the database as postgres" in page
    assert "<td>nothing</td><td>5.00</td>" in page


@pytest.mark.parametrize(
    "role, status", [(Role.AUDITOR, 200), (Role.ADMINISTRATOR, 200), (None, 403)]
)
def test_who_reads_the_audit_reads_the_history(client, amina, lender, role, status):
    User.objects.filter(pk=amina.pk).update(is_staff=True)
    if role:
        Membership.objects.create(user=amina, role=role)
    client.force_login(amina)

    assert client.get("/admin/paymentvault/rowchange/").status_code == status
