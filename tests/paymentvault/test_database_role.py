"""What PostgreSQL refuses to the application's own role, and to the owner by mistake."""

from io import StringIO

import pgtrigger
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from disbursements.models import Disbursement
from disbursements.states import Status
from partners.models import Partner
from paymentvault import audit, chain
from paymentvault.models import AuditEvent, AuditLink, AuditWaiting, RowChange

pytestmark = pytest.mark.django_db
NAME = "vault_application"

ONLY_ADDED_TO = [
    "disbursements_apirequest", "disbursements_floatreading", "disbursements_transition",
    "paymentvault_auditevent", "paymentvault_auditlink", "paymentvault_rowchange",
]  # fmt: skip
NEVER_DELETED = [
    "disbursements_attempt", "disbursements_callback", "disbursements_case",
    "disbursements_delivery", "disbursements_disbursement", "disbursements_inquiry",
    "disbursements_settlement", "mifos_event", "partners_apikey", "partners_settingschange",
    "partners_webhookendpoint", "paymentvault_allowednetwork", "paymentvault_auditkey",
]  # fmt: skip


def tables(trigger):
    return sorted(
        model._meta.db_table
        for model in apps.get_models()
        if any(one.name == trigger for one in getattr(model._meta, "triggers", []))
    )


def by_sql(statement):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture
def application(db):
    """Whatever follows is done as a role that owns nothing."""
    by_sql(f"CREATE ROLE {NAME}")
    call_command("database_role", NAME, stdout=StringIO())
    by_sql(f"SET LOCAL ROLE {NAME}")


def test_the_tables_of_this_test_are_those_of_the_models():
    assert tables("append_only") == ONLY_ADDED_TO
    assert tables("never_deleted") == NEVER_DELETED
    kept_too = ["partners_mifosconnection", "partners_mpesashortcode", "partners_partner",
                "paymentvault_auditwaiting"]  # fmt: skip
    assert tables("never_truncated") == sorted(ONLY_ADDED_TO + NEVER_DELETED + kept_too)


@pytest.mark.parametrize("table", tables("never_truncated"))
def test_nobody_empties_a_table_by_truncate(table):
    by_sql("SET LOCAL paymentvault.may_truncate = off")

    for statement in (f"TRUNCATE {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(DatabaseError, match="Cannot truncate|referenced in a foreign key"):
            by_sql(statement)


def test_nor_by_way_of_another_table():
    by_sql("SET LOCAL paymentvault.may_truncate = off")

    with pytest.raises(DatabaseError, match="Cannot truncate"):
        by_sql("TRUNCATE paymentvault_user CASCADE")


@pytest.mark.parametrize("table", ONLY_ADDED_TO)
@pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_application_may_only_add(application, table, statement):
    statement = statement.replace("id = id", "number = number") if "link" in table else statement

    with pytest.raises(DatabaseError, match="permission denied"):
        by_sql(statement.format(table))


@pytest.mark.parametrize("table", NEVER_DELETED)
def test_the_application_may_not_delete(application, table):
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(DatabaseError, match="permission denied"):
            by_sql(statement)


def test_the_application_hides_no_line_and_stalls_no_link(application):
    audit.record("rejected", by="amina")

    with pytest.raises(DatabaseError, match="permission denied"):
        by_sql("UPDATE paymentvault_auditwaiting SET event_id = event_id")
    with pytest.raises(DatabaseError, match="Cannot take line"):
        by_sql("DELETE FROM paymentvault_auditwaiting")
    assert chain.check(by="amina").wrong == ""


@pytest.mark.parametrize(
    "statement",
    ["SET LOCAL session_replication_role = replica",
     "ALTER TABLE paymentvault_auditevent DISABLE TRIGGER ALL",
     "DROP TABLE paymentvault_auditlink", "CREATE TABLE evil (id int)",
     "DELETE FROM django_migrations"],
)  # fmt: skip
def test_the_application_may_not_get_around_it(application, statement):
    with pytest.raises(DatabaseError, match="permission denied|must be owner"):
        by_sql(statement)


def test_the_application_can_do_its_work(application, manual, client, amina):
    disbursement = manual(Status.AWAITING_APPROVAL)
    disbursement.move(Status.APPROVED, by="baraka")
    Partner.objects.update(max_amount=5)
    audit.record("approved", by="baraka", subject=disbursement)
    client.force_login(amina)

    assert client.get("/profile/").status_code == 200
    assert chain.link_what_waits() == AuditEvent.objects.count() == AuditLink.objects.count() > 0
    assert not AuditWaiting.objects.exists() and RowChange.objects.exists()
    assert Disbursement.objects.get().status == Status.APPROVED
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_a_role_that_is_not_there_is_told(db):
    with pytest.raises(CommandError, match="does not exist"):
        call_command("database_role", "nobody_such")


def test_every_guard_is_installed_in_the_database(db):
    for model, trigger in pgtrigger.registered():
        assert trigger.get_installation_status(model)[0] == "INSTALLED", (model, trigger.name)
