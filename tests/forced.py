"""What only a superuser can do, who switches the triggers off."""

from django.db import connection

from paymentvault.models import AuditEvent


def by_force(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, values)
        cursor.execute("SET LOCAL session_replication_role = origin")


def written(act, *, at, by="amina"):
    """A line of the audit of another time, which waits for no link."""
    by_force("INSERT INTO paymentvault_auditevent (at, actor, request_id, act, subject, about_type,"
             " about_id, partner_code, detail) VALUES (%s, %s, '', %s, '', '', '', '', '{}')",
             at, by, act)  # fmt: skip
    return AuditEvent.objects.latest("pk")
