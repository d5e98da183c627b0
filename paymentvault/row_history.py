"""The history of a table's rows, written by PostgreSQL itself, whoever changes them.

A model that lists `of_rows(…)` among its triggers leaves a `RowChange` for each row that is added,
changed or deleted. Where a request of ours changes it, `paymentvault.telling` names its person.
"""

from typing import Any

import pgtrigger
from django.db.models import Field, Model
from fernet_fields.fields import EncryptedField

# What differs between the row before and after, in the words of the audit's details.
_FUNC = """
    was := CASE WHEN TG_OP = 'INSERT' THEN '{{}}' ELSE to_jsonb(OLD) END;
    becomes := CASE WHEN TG_OP = 'DELETE' THEN '{{}}' ELSE to_jsonb(NEW) END;
    it := CASE WHEN TG_OP = 'DELETE' THEN was ELSE becomes END;
    SELECT jsonb_object_agg(name, CASE
        WHEN name IN ({secrets}) THEN '"changed"'
        ELSE jsonb_build_object('from', was -> name, 'to', becomes -> name) END)
    INTO changes FROM unnest(ARRAY[{columns}]) AS name
    WHERE was ->> name IS DISTINCT FROM becomes ->> name;
    INSERT INTO paymentvault_rowchange (
        at, act, about_type, about_id, partner_code, changes, actor, request_id, database_role
    ) VALUES (
        clock_timestamp(),
        CASE TG_OP WHEN 'INSERT' THEN 'added' WHEN 'DELETE' THEN 'deleted' ELSE 'changed' END,
        '{model}', it ->> 'id',
        coalesce({partner_code}, ''),
        coalesce(changes, '{{}}'),
        coalesce(current_setting('paymentvault.actor', true), ''),
        coalesce(current_setting('paymentvault.request_id', true), ''),
        session_user
    );
    RETURN NULL;
"""
_PARTNER_CODE = "(SELECT code FROM partners_partner WHERE id = (it ->> 'partner_id')::uuid)"


class RowHistory(pgtrigger.Trigger):  # type: ignore[misc]
    """Writes what changed in every column but those that workers keep; secrets as "changed"."""

    when = pgtrigger.After
    declare = [("was", "JSONB"), ("becomes", "JSONB"), ("it", "JSONB"), ("changes", "JSONB")]

    def __init__(self, *, leaving_out: tuple[str, ...], secrets: tuple[str, ...], **given: Any):
        self.leaving_out, self.secrets = leaving_out, secrets
        super().__init__(**given)

    def get_condition(self, model: type[Model]) -> pgtrigger.Condition | None:
        """Workers write to these rows every few seconds; that alone is no change of settings."""
        if self.operation != pgtrigger.Update:
            return None
        changed = '(OLD."{0}" IS DISTINCT FROM NEW."{0}")'
        columns = " OR ".join(changed.format(field.column) for field in self._told(model))
        return pgtrigger.Condition(f"({columns})")

    def get_func(self, model: type[Model]) -> str:
        told = self._told(model)
        names = {field.name for field in told}
        text: str = self.format_sql(_FUNC).format(
            columns=_quoted(field.column for field in told),
            secrets=_quoted(field.column for field in told if self._is_secret(field)),
            model=model._meta.label_lower,
            partner_code=_PARTNER_CODE if "partner" in names else "it ->> 'code'",
        )
        return text

    def _told(self, model: type[Model]) -> list["Field[Any, Any]"]:
        known = {field.name for field in model._meta.local_fields}
        if unknown := {*self.leaving_out, *self.secrets} - known:
            raise ValueError(f"{model._meta.label} has no {unknown}.")
        return [f for f in model._meta.local_fields if f.name not in self.leaving_out]

    def _is_secret(self, field: "Field[Any, Any]") -> bool:
        return isinstance(field, EncryptedField) or field.name in self.secrets


def _quoted(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in names) or "''"


def of_rows(*, leaving_out: tuple[str, ...], secrets: tuple[str, ...] = ()) -> list[RowHistory]:
    """The triggers of a model. Encrypted columns are secrets anyway."""
    return [
        RowHistory(name=name, operation=operation, leaving_out=leaving_out, secrets=secrets)
        for name, operation in (
            ("history_of_rows", pgtrigger.Insert | pgtrigger.Delete),
            ("history_of_changes", pgtrigger.Update),
        )
    ]
