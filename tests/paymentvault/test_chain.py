"""The audit's chain shows every change, also of whoever has psql and switches triggers off."""

import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.db.utils import ProgrammingError
from django.utils import timezone

from paymentvault import audit, chain
from paymentvault.models import AuditEvent, AuditLink, AuditWaiting

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines(amina):
    """Five lines, linked."""
    for number in range(5):
        audit.record("approved", by="amina", subject=f"DSB-{number}", partner_code="pamoja",
                     source_address="192.0.2.7", amount=number, was=None)  # fmt: skip
    assert chain.link_what_waits() == 5
    return list(AuditEvent.objects.order_by("pk"))


def by_force(statement, *values):
    """As a superuser who switches the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, values)
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_an_untouched_chain_is_whole(lines):
    found = chain.verify()

    assert (found.checked, found.wrong) == (5, "")
    assert found.newest == chain.newest() == str(AuditLink.objects.last())


def test_an_empty_chain_is_whole(db):
    assert chain.verify() == chain.Finding(0, f"0:{chain.BEGINNING}")


CHANGES = {
    "at": "at + interval '1 microsecond'", "actor": "'Amina'", "user_id": "%s",
    "source_address": "'192.0.2.8'", "request_id": "'r'", "act": "'rejected'",
    "subject": "'DSB-22'", "about_type": "'x'", "about_id": "'x'", "partner_code": "'jamii'",
    "detail": """'{"amount": 3, "was": null}'""",
}  # fmt: skip


def test_every_column_of_a_line_is_tried():
    assert {*CHANGES, "id"} == {f.column for f in AuditEvent._meta.local_fields}


@pytest.mark.parametrize("column", CHANGES)
def test_a_changed_column_of_a_line_is_found(lines, amina, column):
    value = CHANGES[column].replace("%s", str(amina.pk))
    by_force(f"UPDATE paymentvault_auditevent SET {column} = {value} WHERE id = %s", lines[2].pk)

    found = chain.verify()

    assert found.checked == 2
    assert f"Line {lines[2].pk} " in found.wrong


@pytest.mark.parametrize(
    "change",
    ["previous = repeat('f', 64)", "hash = repeat('f', 64)", "number = 77",
     "made_at = made_at + interval '1 microsecond'"],
)  # fmt: skip
def test_a_changed_link_is_found(lines, change):
    by_force(f"UPDATE paymentvault_auditlink SET {change} WHERE number = 3")

    assert chain.verify().wrong


@pytest.mark.parametrize("number", [1, 3])
def test_a_removed_line_is_found(lines, number):
    by_force("DELETE FROM paymentvault_auditlink WHERE number = %s", number)
    by_force("DELETE FROM paymentvault_auditevent WHERE id = %s", lines[number - 1].pk)

    assert f"Link {number} is missing" in chain.verify().wrong


def test_a_removed_last_line_is_found_with_a_link_that_was_kept_elsewhere(lines):
    kept = chain.newest()
    by_force("DELETE FROM paymentvault_auditlink WHERE number = 5")
    by_force("DELETE FROM paymentvault_auditevent WHERE id = %s", lines[4].pk)

    assert chain.verify().wrong == ""
    assert "link 5 was there before" in chain.verify(kept).wrong


def test_a_chain_made_anew_is_found_with_a_link_that_was_kept_elsewhere(lines):
    kept = chain.newest()
    by_force("DELETE FROM paymentvault_auditlink")
    by_force("UPDATE paymentvault_auditevent SET actor = 'nobody' WHERE id = %s", lines[4].pk)
    by_force("INSERT INTO paymentvault_auditwaiting SELECT id FROM paymentvault_auditevent")
    chain.link_what_waits()

    assert chain.verify().wrong == ""
    assert "is not the one that was kept" in chain.verify(kept).wrong


def test_a_line_that_was_kept_out_of_the_chain_is_found(lines):
    audit.record("rejected", by="amina")
    by_force("DELETE FROM paymentvault_auditwaiting")
    by_force("UPDATE paymentvault_auditevent SET at = %s WHERE act = 'rejected'",
             timezone.now() - 2 * chain.WAITS_AT_MOST)  # fmt: skip

    assert "has no link" in chain.verify().wrong


def test_a_line_that_psql_added_is_linked_too(lines):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO paymentvault_auditevent (at, actor, request_id, act, subject, about_type,"
            " about_id, partner_code, detail) VALUES (now(), 'psql', '', 'x', '', '', '', '', '{}')"
        )

    assert chain.link_what_waits() == 1
    assert not AuditWaiting.objects.exists()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE paymentvault_auditlink SET hash = ''", "DELETE FROM paymentvault_auditlink",
     "UPDATE paymentvault_auditevent SET actor = ''", "DELETE FROM paymentvault_auditevent"],
)  # fmt: skip
def test_postgresql_refuses_to_change_lines_and_links(lines, statement):
    with (
        pytest.raises(ProgrammingError.__mro__[1], match="Cannot"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_the_command_tells_the_newest_link(lines, capsys):
    call_command("verify_audit")

    assert chain.newest() in capsys.readouterr().out


def test_the_command_fails_on_the_first_line_that_does_not_fit(lines):
    by_force("UPDATE paymentvault_auditevent SET actor = '' WHERE id = %s", lines[0].pk)

    with pytest.raises(CommandError, match=f"Line {lines[0].pk} .* 0 links before"):
        call_command("verify_audit")


def test_the_command_refuses_what_is_no_link(lines):
    with pytest.raises(CommandError, match="number:hash"):
        call_command("verify_audit", known="5")


@pytest.mark.django_db(transaction=True)
def test_two_hundred_writers_at_once_keep_the_chain_whole():
    """Each with a connection of its own, while two linkers are at work."""
    done = threading.Event()

    def write(number):
        try:
            with transaction.atomic():
                audit.record("approved", by=f"writer {number}", number=number)
        finally:
            connections.close_all()

    def link():
        try:
            while not done.is_set():
                chain.link_what_waits()
        finally:
            connections.close_all()

    linkers = [threading.Thread(target=link) for _ in range(2)]
    for start in range(0, 200, 50):
        writers = [threading.Thread(target=write, args=[n]) for n in range(start, start + 50)]
        if not start:
            [linker.start() for linker in linkers]
        [writer.start() for writer in writers]
        [writer.join() for writer in writers]
    done.set()
    [linker.join() for linker in linkers]
    chain.link_what_waits()

    assert chain.verify().checked == AuditEvent.objects.count() == 200
    assert chain.verify().wrong == ""


@pytest.mark.django_db(transaction=True)
def test_a_writer_does_not_wait_for_another_that_has_not_committed():
    """Its line gets its link after the ones that were committed before it."""
    wrote, go = threading.Event(), threading.Event()

    def slow():
        try:
            with transaction.atomic():
                audit.record("slow", by="amina")
                wrote.set()
                go.wait(10)
        finally:
            connections.close_all()

    writer = threading.Thread(target=slow)
    writer.start()
    wrote.wait(10)
    audit.record("quick", by="baraka")
    assert chain.link_what_waits() == 1

    go.set()
    writer.join()
    assert chain.link_what_waits() == 1
    assert [link.event.act for link in AuditLink.objects.all()] == ["quick", "slow"]
    assert chain.verify().wrong == ""
