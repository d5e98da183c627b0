"""Give a role of PostgreSQL what the application needs, and nothing beyond. Run it as the owner.

What is only added to, such as the audit, the role may read and add to; what is never deleted it
may not delete; it owns nothing, empties nothing, and switches no trigger off. Run it after each
migrate.
"""

from argparse import ArgumentParser
from typing import Any

import pgtrigger
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError, connection, transaction
from django.db.models import Model
from psycopg import sql

ALL = ("SELECT", "INSERT", "UPDATE", "DELETE")
MIGRATIONS = "django_migrations"


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="a role that exists and may log in")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        role = sql.Identifier(name)
        schema = sql.SQL("GRANT USAGE ON SCHEMA public TO {}; ").format(role)
        numbers = sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(role)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(schema + numbers)
                for table, rights in sorted(_rights().items()):
                    cursor.execute(_only(rights, sql.Identifier(table), role))
        except ProgrammingError as error:
            raise CommandError(str(error).strip()) from error
        self.stdout.write(f"{name} may do what the application needs, and nothing beyond.")


def _rights() -> dict[str, tuple[str, ...]]:
    models = apps.get_models(include_auto_created=True)
    rights = {model._meta.db_table: _of(model) for model in models if model._meta.managed}
    # The cache is no model; what was migrated is only read.
    return {**rights, **dict.fromkeys(_caches(), ALL), MIGRATIONS: ("SELECT",)}


def _of(model: type[Model]) -> tuple[str, ...]:
    triggers: list[pgtrigger.Trigger] = getattr(model._meta, "triggers", [])
    names = {trigger.name for trigger in triggers}
    if "append_only" in names:
        return ("SELECT", "INSERT")
    if "never_changed" in names:
        return ("SELECT", "INSERT", "DELETE")
    return ALL[:3] if "never_deleted" in names else ALL


def _caches() -> list[str]:
    from django.conf import settings

    return [
        cache["LOCATION"]
        for cache in settings.CACHES.values()
        if cache["BACKEND"].endswith("DatabaseCache")
    ]


def _only(rights: tuple[str, ...], table: sql.Identifier, role: sql.Identifier) -> sql.Composed:
    words = sql.SQL(", ").join(sql.SQL(right) for right in rights)
    statement = "REVOKE ALL ON {table} FROM {role}; GRANT {words} ON {table} TO {role}"
    return sql.SQL(statement).format(table=table, role=role, words=words)
