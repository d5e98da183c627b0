"""A partner's loan products, as its Mifos X lists them."""

from django.db import transaction
from django.utils import timezone

from partners.models import LoanProduct, MifosConnection


@transaction.atomic
def listed(connection: MifosConnection, names: dict[int, str]) -> int:
    """Keep what Mifos X lists now; returns how many are new.

    A new one isn't paid automatically until a person says so. One that is no longer listed keeps
    its settings, for the day it is listed again.
    """
    before = LoanProduct.objects.filter(connection=connection).count()
    LoanProduct.objects.bulk_create(
        [
            LoanProduct(connection=connection, product_id=number, name=name[:100] or str(number))
            for number, name in names.items()
        ],
        update_conflicts=True,
        unique_fields=["connection", "product_id"],
        update_fields=["name", "is_listed"],
    )
    LoanProduct.objects.filter(connection=connection).exclude(product_id__in=names).update(
        is_listed=False
    )
    MifosConnection.objects.filter(pk=connection.pk).update(products_listed_at=timezone.now())
    return LoanProduct.objects.filter(connection=connection).count() - before
