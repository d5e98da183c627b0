"""How long an auditor waits over ten million lines, and the check of a chain of a million links.

Ten million audit lines are made in a database of their own, on the server of DATABASE_URL, which
is dropped at the end (KEEP=1 leaves it, and the next run uses it). Each page is asked for as a
browser does, through every middleware, four times; the worst of the last three is told. The floor
is the same page over an empty table: what no index can spare. Takes ten minutes and 10 GB.

    make bench-audit
"""

import os
import resource
import time
from contextlib import suppress
from datetime import datetime, timedelta

import django
import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paymentvault.settings")
os.environ.update(DEBUG="1", LOG_LEVEL="CRITICAL", SECOND_FACTOR="0", ALLOWED_HOSTS="*")

from django.conf import settings  # noqa: E402

KEPT_IN = settings.DATABASES["default"]["NAME"] + "_audit_benchmark"
SERVER = {**settings.DATABASES["default"], "NAME": "postgres"}
settings.DATABASES["default"]["NAME"] = KEPT_IN
settings.DEBUG = False
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from paymentvault import audit, chain  # noqa: E402
from paymentvault.models import AuditEvent, User  # noqa: E402

LINES, LINKED = int(os.environ.get("LINES", 10_000_000)), int(os.environ.get("LINKED", 1_000_000))
LIMIT_S = 0.2
PAGE = "/admin/paymentvault/auditevent/"

# Two years, evenly; few people and acts make most lines, as it is in life.
FILL = """
    INSERT INTO paymentvault_auditevent (at, actor, user_id, source_address, request_id, act,
        subject, about_type, about_id, partner_code, detail)
    SELECT now() - interval '2 years' + n * (interval '2 years' / %(lines)s),
        'person' || floor(40 * power(random(), 3)), NULL,
        ('10.0.' || n %% 4 || '.' || n %% 251)::inet,
        CASE WHEN n %% 4 = 0 THEN '' ELSE md5((n / 3)::text) END,
        CASE WHEN n %% 1000003 = 0 THEN 'payouts stopped'
             ELSE 'act ' || floor(120 * power(random(), 3)) END,
        'DSB-' || n / 5, 'disbursements.disbursement', (n / 5)::text,
        CASE WHEN n %% 10 = 0 THEN '' ELSE 'lender' || floor(300 * power(random(), 3)) END,
        jsonb_build_object('amount', n %% 70000, 'was', jsonb_build_object('from', n, 'to', n + 1))
    FROM generate_series(1, %(lines)s) AS n
"""


def main() -> None:
    _make()
    try:
        is_filled = AuditEvent.objects.filter(pk=LINES).exists()
        if not is_filled:
            print(f"{'the list, of an empty table':<32}{_seconds('') * 1000:>8.0f} ms")
            _fill()
        _tell()
        _verify()
    finally:
        connections.close_all()
        if not os.environ.get("KEEP"):
            _on_server(f'DROP DATABASE IF EXISTS "{KEPT_IN}" WITH (FORCE)')


def _on_server(statement: str) -> None:
    names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password",
             "NAME": "dbname"}  # fmt: skip
    given = {names[key]: value for key, value in SERVER.items() if key in names and value}
    known = suppress(psycopg.errors.DuplicateDatabase)
    with known, psycopg.connect(**given, autocommit=True) as server:
        server.execute(statement)


def _make() -> None:
    _on_server(f'CREATE DATABASE "{KEPT_IN}"')
    call_command("migrate", verbosity=0)
    if not User.objects.filter(username="auditor").exists():
        User.objects.create_superuser("auditor", password="auditor")


def _fill() -> None:
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET maintenance_work_mem = '1GB'")
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s"
            " AND indexname NOT LIKE '%%pkey'", ["paymentvault_auditevent"]
        )  # fmt: skip
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        cursor.execute("ALTER SEQUENCE paymentvault_auditevent_id_seq RESTART")
        cursor.execute(FILL, {"lines": LINES})
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute(
            "INSERT INTO paymentvault_auditwaiting SELECT id FROM paymentvault_auditevent"
            " WHERE id <= %s", [LINKED]
        )  # fmt: skip
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE paymentvault_auditevent")
    print(f"{LINES:,} lines made in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    chain.link_what_waits()
    print(f"{LINKED:,} lines linked in {time.monotonic() - began:.0f} s")
    began, many = time.monotonic(), 2_000
    for number in range(many):
        audit.record("a line", by="benchmark", subject=f"DSB-{number}", partner_code="lender1")
    each = (time.monotonic() - began) / many
    print(f"{'one more line, with its commit':<32}{each * 1000:>8.1f} ms")


def _pages_by_name(now: datetime) -> dict[str, str]:
    day = (now - timedelta(days=500)).date().isoformat()
    month = (now - timedelta(days=470)).date().isoformat()
    return {
        "the list": "",
        "page 200 of it": "?p=200",
        "an old day": f"?from={day}&until={day}",
        "an old month": f"?from={day}&until={month}",
        "a person": "?actor=person0",
        "a rare person": "?actor=person39",
        "nobody": "?actor=nobody",
        "a partner": "?partner_code=lender0",
        "an act": "?act=act+0",
        "a rare act": "?act=payouts+stopped",
        "an object": "?subject=DSB-12345",
        "an object's events": "?about_type=disbursements.disbursement&about_id=12345",
        "a request": "?request_id=" + _request(),
        "a partner's act": "?partner_code=lender7&act=act+70",
        "a partner's rare act": "?partner_code=lender7&act=payouts+stopped",
        "a person's act": "?actor=person0&act=act+119",
        "a person's rare act": "?actor=person0&act=payouts+stopped",
        "a person at a partner": "?actor=person39&partner_code=lender290",
        "all of it": f"?actor=person0&partner_code=lender0&act=act+0&from={day}&until={month}",
        "search: a person": "?q=person0",
        "search: a reference": "?q=DSB-12345",
        "search: an address": "?q=10.0.1.17",
        "search: nothing": "?q=no+such+thing",
        "search with an old day": f"?q=person3&from={day}&until={day}",
        "search, page 20": "?q=person0&p=20",
    }


def _request() -> str:
    row = AuditEvent.objects.exclude(request_id="").order_by("pk").first()
    return row.request_id if row else "none"


def _seconds(query: str) -> float:
    client = Client()
    client.force_login(User.objects.get(username="auditor"))
    times = []
    for _ in range(4):
        began = time.monotonic()
        answer = client.get(PAGE + query)
        times.append(time.monotonic() - began)
        assert answer.status_code == 200, (query, answer.status_code)
    return max(times[1:])


def _tell() -> None:
    slow = []
    for name, query in _pages_by_name(timezone.now()).items():
        took = _seconds(query)
        print(f"{name:<32}{took * 1000:>8.0f} ms")
        if took > LIMIT_S:
            slow.append(name)
    print(f"All must be under {LIMIT_S * 1000:.0f} ms: {', '.join(slow) or 'yes'}.")


def _verify() -> None:
    began, before = time.monotonic(), _memory()
    found = chain.verify()
    took = time.monotonic() - began
    print(
        f"{found.checked:,} links checked in {took:.1f} s ({found.checked / took:,.0f} a second),"
        f" with {_memory() - before} MB more memory"
    )


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
