from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PaymentVaultConfig(AppConfig):
    name = "paymentvault"
    verbose_name = "Payment Vault"

    def ready(self) -> None:
        from paymentvault import (
            checks,  # noqa: F401 -- registers the system checks
            groups,
        )

        post_migrate.connect(groups.make, dispatch_uid="groups")
