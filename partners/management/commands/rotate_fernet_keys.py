"""Encrypt every secret anew with the first of FERNET_KEYS. Safe to run twice."""

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import models, transaction
from fernet_fields import EncryptedField


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        for model in apps.get_models():
            names = [f.name for f in model._meta.fields if isinstance(f, EncryptedField)]
            if names:
                count = sum(1 for pk in _keys(model) if _encrypt_anew(model, pk, names))
                self.stdout.write(f"{model._meta.label}: {count} rows, {', '.join(names)}")


def _keys(model: type[models.Model]) -> "models.QuerySet[Any, Any]":
    return model._default_manager.order_by("pk").values_list("pk", flat=True)


@transaction.atomic
def _encrypt_anew(model: type[models.Model], pk: Any, names: list[str]) -> bool:
    """Read with any key, write with the first, while nobody else changes the row."""
    row = model._default_manager.select_for_update(no_key=True).only("pk", *names).get(pk=pk)
    model._default_manager.filter(pk=pk).update(**{name: getattr(row, name) for name in names})
    return True
