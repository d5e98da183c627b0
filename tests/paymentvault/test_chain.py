"""The audit's chain shows every change, also of whoever has psql and switches triggers off."""

import string
import threading
from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction
from django.db.utils import ProgrammingError
from django.utils import timezone

from paymentvault import audit, chain
from paymentvault.models import AuditEvent, AuditLink, AuditWaiting
from tests.forced import by_force, written

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines(amina):
    """Five lines, linked."""
    for number in range(5):
        audit.record("approved", by="amina", subject=f"DSB-{number}", partner_code="pamoja",
                     source_address="192.0.2.7", amount=number, was=None)  # fmt: skip
    assert chain.link_what_waits() == 5
    return list(AuditEvent.objects.order_by("pk"))


def test_an_untouched_chain_is_whole(lines):
    found = chain.verify()

    assert (found.checked, found.wrong) == (5, "")
    assert found.newest == chain.newest() == str(AuditLink.objects.last())


def test_an_empty_chain_is_whole(db):
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE paymentvault_auditevent_id_seq RESTART")

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


@pytest.fixture
def broken():
    """What the test leaves behind may point nowhere: it is rolled back unseen."""
    yield
    transaction.set_rollback(True)


ROWS = [("paymentvault_auditevent", "id"), ("paymentvault_auditlink", "number")]
COLUMNS = """
    SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY 1
"""


def flipped(text, random):
    """The text with one letter or digit in it turned into another one of its kind."""
    places = [place for place, sign in enumerate(text) if sign.isalnum()]
    if not places:
        return text + "x"
    place = random.choice(places)
    kind = string.digits if text[place].isdigit() else string.ascii_letters
    other = random.choice([sign for sign in kind if sign != text[place]])
    return text[:place] + other + text[place + 1 :]


@pytest.mark.parametrize("seed", range(120))
def test_any_sign_of_any_column_that_is_turned_into_another_is_found(lines, broken, seed):
    """In lines and links alike; what PostgreSQL itself wouldn't take is tried anew."""
    random = Random(seed)
    table, key = random.choice(ROWS)
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS, [table])
        column = random.choice([name for (name,) in cursor.fetchall()])
        cursor.execute(f"SELECT {key}, {column}::text FROM {table} ORDER BY random() LIMIT 1")
        at, was = cursor.fetchone()
        cursor.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attname = %s", [table, column]
        )  # fmt: skip
        kind = cursor.fetchone()[0]
    is_turned = False
    while not is_turned:
        # Without a value, whichever value.
        now = flipped(was, random) if was is not None else {"bigint": "1"}.get(kind, "192.0.2.9")
        with suppress(DatabaseError), transaction.atomic():
            by_force(f"UPDATE {table} SET {column} = %s::text::{kind} WHERE {key} = %s"
                     f" AND {column} IS DISTINCT FROM %s::text::{kind}", now, at, now)  # fmt: skip
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {table} WHERE {column}::text = %s"
                               f" AND {column}::text IS DISTINCT FROM %s", [now, was])  # fmt: skip
                is_turned = bool(cursor.fetchone()[0])

    assert chain.verify().wrong, (table, column, was, now)


@pytest.mark.parametrize(
    "column, value",
    [("detail", """'{"was": null, "amount": 2.0}'"""), ("detail", """'{"was": 0, "amount": 2}'"""),
     ("at", "'infinity'"), ("at", "'10000-01-01'"), ("at", "'0044-03-15 BC'"),
     ("source_address", "'192.0.2.7/24'")],
)  # fmt: skip
def test_what_python_could_not_tell_apart_or_read_is_found_too(lines, column, value):
    by_force(f"UPDATE paymentvault_auditevent SET {column} = {value} WHERE id = %s", lines[2].pk)

    assert f"Line {lines[2].pk} " in chain.verify().wrong


def test_numbers_that_python_reads_as_the_same_one_are_told_apart(lines):
    for more in ("1.10", "1.1"):
        by_force("INSERT INTO paymentvault_auditevent (at, actor, request_id, act, subject,"
                 " about_type, about_id, partner_code, detail) VALUES"
                 " (now(), 'psql', '', 'x', '', '', '', '', %s)", f'{{"sum": {more}}}')  # fmt: skip
    one, other = AuditEvent.objects.order_by("-pk")[:2]
    by_force("INSERT INTO paymentvault_auditwaiting VALUES (%s)", one.pk)
    chain.link_what_waits()

    by_force("UPDATE paymentvault_auditevent SET detail = (SELECT detail FROM"
             " paymentvault_auditevent WHERE id = %s) WHERE id = %s", other.pk, one.pk)  # fmt: skip

    assert f"Line {one.pk} " in chain.verify().wrong


def test_a_last_link_that_got_an_earlier_number_is_found(lines):
    by_force("UPDATE paymentvault_auditlink SET number = -5 WHERE number = 5")

    assert chain.verify().wrong


def test_a_last_line_that_is_gone_while_its_link_stands_is_found(lines, broken):
    by_force("DELETE FROM paymentvault_auditevent WHERE id = %s", lines[4].pk)

    assert f"Line {lines[4].pk}, which was linked as number 5, is gone" in chain.verify().wrong


def test_a_long_chain_is_read_in_batches(lines, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(chain, "READ_AT_ONCE", 2)

    # Four batches, what has no link, how many wait, and the guards of three tables.
    with django_assert_num_queries(9):
        assert chain.verify().checked == 5


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

    assert "has no link" in chain.verify().wrong


def test_a_line_that_waits_too_long_for_its_link_is_found(lines):
    audit.record("rejected", by="amina")
    assert (chain.verify().wrong, chain.verify().waiting) == ("", 1)
    by_force("UPDATE paymentvault_auditevent SET at = %s WHERE act = 'rejected'",
             timezone.now() - 2 * chain.WAITS_AT_MOST)  # fmt: skip

    assert "has no link" in chain.verify().wrong


ADD = """
    INSERT INTO paymentvault_auditevent ({given} at, actor, request_id, act, subject, about_type,
    about_id, partner_code, detail) VALUES ({values} %s, 'psql', '', 'x', '', '', '', '', '{{}}')
"""


def by_psql(statement, *values):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_nobody_chooses_the_time_of_a_line(lines):
    by_psql(ADD.format(given="", values=""), "2020-01-01")

    assert abs((AuditEvent.objects.latest("pk").at - timezone.now()).total_seconds()) < 60


@pytest.mark.parametrize("number", ["-1", "9223372036854775807", "1"])
def test_nobody_chooses_the_number_of_a_line(lines, number):
    with pytest.raises(DatabaseError, match="Cannot choose the number"):
        by_psql(ADD.format(given="id,", values=f"{number},"), "2020-01-01")


def test_several_lines_at_once_have_their_numbers(lines):
    AuditEvent.objects.bulk_create(AuditEvent(act=act, actor="amina") for act in "abc")

    assert chain.link_what_waits() == 3


def test_a_line_leaves_the_queue_by_its_link_alone(lines):
    audit.record("rejected", by="amina")

    for statement in ("DELETE FROM", "UPDATE"):
        change = " SET event_id = 1" if statement == "UPDATE" else ""
        with pytest.raises(DatabaseError, match="Cannot"):
            by_psql(f"{statement} paymentvault_auditwaiting{change}")
    assert chain.link_what_waits() == 1


def test_a_line_that_waits_anew_stalls_nothing(lines):
    by_psql("INSERT INTO paymentvault_auditwaiting VALUES (%s)", lines[1].pk)
    audit.record("rejected", by="amina")

    assert chain.link_what_waits() == 1
    assert not AuditWaiting.objects.exists() and chain.verify().wrong == ""


LINK = """
    INSERT INTO paymentvault_auditlink (number, event_id, previous, hash, made_at, version)
    VALUES (%s, %s, %s, repeat('f', 64), now(), 1)
"""


@pytest.mark.parametrize("number, previous", [(2**63 - 1, None), (6, "f" * 64), (0, None)])
def test_a_link_that_does_not_follow_the_last_is_refused(lines, number, previous):
    line = audit.record("rejected", by="amina")
    last = AuditLink.objects.last().hash

    with pytest.raises(DatabaseError, match="does not follow"):
        by_psql(LINK, number, line.pk, previous or last)


@pytest.mark.parametrize(
    "column, value",
    [("number", "9223372036854775807"), ("number", "0"), ("made_at", "'infinity'"),
     ("made_at", "'0044-03-15 BC'"), ("version", "7"), ("hash", "''")],
)  # fmt: skip
def test_a_garbage_link_is_named_and_breaks_nothing(lines, broken, column, value):
    line = audit.record("rejected", by="amina")
    by_force(LINK, 6, line.pk, AuditLink.objects.last().hash)
    by_force(f"UPDATE paymentvault_auditlink SET {column} = {value} WHERE event_id = %s", line.pk)
    audit.record("one more", by="amina")

    found = chain.check(by="amina")

    assert found.wrong and AuditEvent.objects.latest("pk").act == chain.BROKEN


def linked_by_force(at, made_at=None):
    """A line of another time, with a link that fits it in all but that."""
    line = written("rejected", at=at)
    by_force("INSERT INTO paymentvault_auditwaiting VALUES (%s)", line.pk)
    with time_machine.travel(made_at or timezone.now(), tick=False):
        assert chain.link_what_waits() == 1
    return line


@pytest.mark.parametrize(
    "off, words", [(timedelta(hours=-1), "back-dated"), (timedelta(minutes=2), "younger")]
)
def test_a_line_whose_time_does_not_fit_its_place_is_named(lines, off, words):
    line = linked_by_force(timezone.now() + off)

    found = chain.verify()

    assert words in found.wrong and (found.checked, found.event_id) == (5, line.pk)


def test_lines_that_waited_while_no_worker_was_there_are_counted_and_fit(lines):
    later = timezone.now() + timedelta(hours=5)
    linked_by_force(later - timedelta(hours=1), made_at=later)

    assert (chain.verify().wrong, chain.verify().late) == ("", 1)


def test_lines_older_than_the_chain_are_not_late(db):
    now = timezone.now()
    for days in (3, 2):
        line = written("rejected", at=now - timedelta(days=days))
        by_force("INSERT INTO paymentvault_auditwaiting VALUES (%s)", line.pk)
    chain.link_what_waits()

    assert (chain.verify().wrong, chain.verify().late) == ("", 0)


def test_an_emptied_audit_is_found(lines, broken):
    for table in ("link", "waiting", "event"):
        by_force(f"DELETE FROM paymentvault_audit{table}")

    assert "the audit was emptied" in chain.verify().wrong


@pytest.mark.parametrize("table", ["event", "waiting", "link"])
def test_a_guard_that_is_switched_off_is_told(lines, table):
    for how in ("DISABLE TRIGGER ALL", "ENABLE REPLICA TRIGGER ALL"):
        name = f"paymentvault_audit{table}"
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass"
                           " AND tgname LIKE 'pgtrigger%%' LIMIT 1", [name])  # fmt: skip
            guard = cursor.fetchone()[0]
            cursor.execute(f"ALTER TABLE {name} {how.replace('ALL', guard)}")

        assert f"of the table {name} is switched off" in chain.verify().wrong


def test_a_column_more_leaves_what_was_linked_whole(lines):
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE paymentvault_auditevent ADD COLUMN mood text DEFAULT 'good'")

    assert chain.verify().wrong == ""


def test_the_newest_version_covers_every_column():
    columns = {field.column for field in AuditEvent._meta.local_fields}
    assert set(chain.COLUMNS[chain.VERSION]) == columns, "another list needs another version"


@pytest.mark.parametrize(
    "known, words",
    [("0:aaaa", "number:hash"), ("x:" + "a" * 64, "number:hash"), ("5", "number:hash"),
     ("0:" + "a" * 64, "No link has the number 0"), ("-1:" + "a" * 64, "number:hash"),
     ("9" * 30 + ":" + "a" * 64, "number:hash")],
)  # fmt: skip
def test_what_is_no_kept_link_is_told_so(lines, known, words):
    with pytest.raises(CommandError, match=words):
        call_command("verify_audit", known=known)


def test_the_command_verifies_also_where_nothing_can_be_linked(lines, monkeypatch, capsys):
    def fail():
        raise DatabaseError("out of range")

    monkeypatch.setattr(chain, "link_what_waits", fail)
    call_command("verify_audit")

    assert "5 links are whole" in capsys.readouterr().out
    told = AuditEvent.objects.latest("pk")
    assert (told.act, told.detail["newest"]) == (chain.WHOLE, chain.newest())


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
