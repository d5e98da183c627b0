from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PaymentVaultConfig(AppConfig):
    name = "paymentvault"
    verbose_name = "Payment Vault"

    def ready(self) -> None:
        # The checks and the receivers of signals register themselves.
        from paymentvault import checks, groups, sessions, signing_in  # noqa: F401

        post_migrate.connect(groups.make, dispatch_uid="groups")
