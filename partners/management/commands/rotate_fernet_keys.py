"""Encrypt every secret anew with the first of FERNET_KEYS. Safe to run twice, and while serving.

To rotate: put the new key first and keep the old ones behind it, restart everything, run this,
then take the old ones away.
"""

from typing import Any

import pgtrigger
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction
from fernet_fields import DecryptionError, EncryptedField

from paymentvault import audit, second_factor


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        audit.record("secrets encrypted anew", by="system", secrets="changed")
        self.stdout.write(f"Second factors: {second_factor.encrypt_anew()} rows")
        unreadable = [row for model in apps.get_models() for row in self._rotate(model)]
        if unreadable:
            raise CommandError(
                f"None of FERNET_KEYS reads {', '.join(unreadable)}. They are as they were; give "
                "the key that they were written with and run this again."
            )

    def _rotate(self, model: type[models.Model]) -> list[str]:
        """Encrypt one model's rows anew and return those that no key reads."""
        names = [f.name for f in model._meta.local_fields if isinstance(f, EncryptedField)]
        if not names:
            return []
        count, unreadable = 0, []
        rows = model._default_manager.exclude(**{f"{name}__isnull": True for name in names})
        for pk in rows.order_by("pk").values_list("pk", flat=True):
            try:
                count += _encrypt_anew(model, pk, names)
            except DecryptionError:
                unreadable.append(f"{model._meta.label} {pk}")
        self.stdout.write(f"{model._meta.label}: {count} rows, {', '.join(names)}")
        return unreadable


@transaction.atomic
def _encrypt_anew(model: type[models.Model], pk: Any, names: list[str]) -> int:
    """Read with any key, write with the first, while nobody else changes the row."""
    row = model._default_manager.select_for_update(no_key=True).only("pk", *names).get(pk=pk)
    secrets = {name: getattr(row, name) for name in names}
    # The same words in another key; PostgreSQL can't see that a proposal stays what it is.
    with pgtrigger.ignore("partners.SettingsChange:proposal_is_only_emptied"):
        return model._default_manager.filter(pk=pk).update(**secrets)
