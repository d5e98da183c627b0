from django.apps import AppConfig


class DisbursementsConfig(AppConfig):
    name = "disbursements"

    def ready(self) -> None:
        from disbursements import deliveries
        from disbursements.models import moved

        moved.connect(deliveries.announce, dispatch_uid="deliveries")
