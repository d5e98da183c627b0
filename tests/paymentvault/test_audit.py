"""The audit only grows, also for whoever has psql."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from paymentvault import audit
from paymentvault.models import AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def line():
    return audit.record("approved", by="amina", subject="DSB-1", partner_code="pamoja", amount=10)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE paymentvault_auditevent SET actor = 'nobody'",
        "UPDATE paymentvault_auditevent SET detail = '{}'",
        "DELETE FROM paymentvault_auditevent",
    ],
)
def test_postgresql_refuses_to_change_or_delete_a_line(line, statement):
    with (
        pytest.raises(DatabaseError, match="Cannot (update|delete)"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert AuditEvent.objects.get().actor == "amina"


def test_so_do_the_models(line):
    with pytest.raises(DatabaseError), transaction.atomic():
        line.save()
    with pytest.raises(DatabaseError), transaction.atomic():
        line.delete()


def test_a_line_tells_who_did_what_to_what(line):
    line.refresh_from_db()

    assert (line.actor, line.act, line.subject) == ("amina", "approved", "DSB-1")
    assert line.detail == {"amount": 10}
    assert str(line).endswith("amina approved DSB-1")


def test_a_line_goes_with_the_transaction_of_what_it_tells():
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        audit.record("approved", by="amina")
        raise ZeroDivisionError

    assert not AuditEvent.objects.exists()


def test_a_long_subject_is_cut():
    assert len(audit.record("refused", by="stranger", subject="x" * 500).subject) == 100


def test_the_same_refusal_leaves_one_line_a_minute_for_an_address(monkeypatch):
    for _ in range(3):
        audit.refused("a wrong token", source_address="192.0.2.1")
    audit.refused("a wrong token", source_address="192.0.2.2")
    monkeypatch.setattr(audit, "TOLD_ONCE_IN", timedelta(0))
    audit.refused("a wrong token", source_address="192.0.2.1")

    lines = AuditEvent.objects.filter(act="refused").order_by("pk")
    assert [line.source_address for line in lines] == ["192.0.2.1", "192.0.2.2", "192.0.2.1"]


def test_a_small_refusal_hides_no_worse_one_of_the_same_minute():
    for what in ("GET /charts/", "POST /stop/", "GET /charts/"):
        audit.refused(what, by="amina", source_address="192.0.2.1", partner_code="pamoja")

    lines = AuditEvent.objects.filter(act="refused").order_by("pk")
    assert [line.detail["what"] for line in lines] == ["GET /charts/", "POST /stop/"]
    assert {line.partner_code for line in lines} == {"pamoja"}


def test_ever_new_refusals_of_a_stranger_fill_nothing():
    for number in range(audit.REFUSALS_AT_MOST + 5):
        audit.refused(f"GET /{number}", source_address="192.0.2.1")
    audit.refused("POST /stop/", by="amina", source_address="192.0.2.1")

    lines = AuditEvent.objects.filter(act="refused")
    assert lines.filter(actor="stranger").count() == audit.REFUSALS_AT_MOST
    assert lines.filter(actor="amina").count() == 1
