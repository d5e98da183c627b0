from django.apps import AppConfig


class MifosConfig(AppConfig):
    name = "mifos"
    verbose_name = "Mifos X"

    def ready(self) -> None:
        from disbursements import loans
        from mifos import (
            connection_jobs,  # noqa: F401 -- registers its kinds of job
            drafts,  # noqa: F401 -- registers its kinds of change
        )
        from mifos.port import MifosLoans

        loans.register(MifosLoans())
