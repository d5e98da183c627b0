"""Tell PostgreSQL who changes a row that has a history, so that its trigger can write it down."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pgtrigger
from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import Model
from django.dispatch import receiver

from paymentvault import audit
from paymentvault.row_history import RowHistory

# For the transaction alone: the next request of the pool's connection is another's.
_TELL = (
    "SELECT set_config('paymentvault.actor', %s, true),"
    " set_config('paymentvault.request_id', %s, true); "
)


@receiver(connection_created, dispatch_uid="tell_row_history")
def _begin(connection: BaseDatabaseWrapper, **given: Any) -> None:
    if _tell not in connection.execute_wrappers:
        connection.execute_wrappers.append(_tell)


def _tell(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """In the same message as the statement, which costs no turn of its own."""
    if many or not isinstance(sql, str) or not sql.startswith(_changing()):
        return execute(sql, params, many, context)
    answer = execute(_TELL + sql, (*audit.here(), *(params or ())), many, context)
    # What the statement itself answers comes last.
    while context["cursor"].nextset():
        pass
    return answer


@cache
def _changing() -> tuple[str, ...]:
    """How the statements begin that change a table with history."""
    apps.check_models_ready()
    tables = [model._meta.db_table for model in apps.get_models() if _has_history(model)]
    verbs = ("INSERT INTO", "UPDATE", "DELETE FROM")
    return tuple(f'{verb} "{table}"' for table in tables for verb in verbs)


def _has_history(model: type[Model]) -> bool:
    triggers: list[pgtrigger.Trigger] = getattr(model._meta, "triggers", [])
    return any(isinstance(trigger, RowHistory) for trigger in triggers)
