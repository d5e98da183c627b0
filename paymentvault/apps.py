from django.apps import AppConfig


class PaymentVaultConfig(AppConfig):
    name = "paymentvault"
    verbose_name = "Payment Vault"

    def ready(self) -> None:
        from paymentvault import checks  # noqa: F401 -- registers the system checks
