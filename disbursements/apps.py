from django.apps import AppConfig


class DisbursementsConfig(AppConfig):
    name = "disbursements"

    def ready(self) -> None:
        from disbursements import (
            audited,
            deliveries,
            drafts,  # noqa: F401 -- registers its kinds of change
        )
        from disbursements.models import moved

        moved.connect(deliveries.announce, dispatch_uid="deliveries")
        moved.connect(audited.tell, dispatch_uid="audited")
