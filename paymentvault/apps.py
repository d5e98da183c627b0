from django.apps import AppConfig


class PaymentVaultConfig(AppConfig):
    name = "paymentvault"
    verbose_name = "Payment Vault"

    def ready(self) -> None:
        # The checks and the receivers of signals register themselves.
        from allauth.account.signals import user_logged_in
        from allauth.usersessions.signals import on_user_logged_in

        from paymentvault import checks, sessions, signing_in, telling  # noqa: F401

        # It would write the session's key in plain; `sessions.begin` writes what it is kept as.
        user_logged_in.disconnect(on_user_logged_in)
