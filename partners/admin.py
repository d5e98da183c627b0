"""Partners in Django's admin. Secrets can be set there, never read."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest

from partners.forms import MifosConnectionForm, MpesaShortcodeForm, PartnerForm
from partners.models import MifosConnection, MpesaShortcode, Partner
from paymentvault import audit
from paymentvault.addresses import source_address


class NeverDeleted(admin.ModelAdmin):
    """What money was paid under stays."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AuditedAdmin(NeverDeleted):
    """Each change has its line in the audit, in the transaction that the admin opens."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        changes = form.changes()
        obj.save(update_fields=form.written() if change else None)
        audit.record(
            f"{obj._meta.verbose_name} {'changed' if change else 'added'}",
            by=request.user.get_username(),
            subject=obj,
            partner_code=getattr(obj, "partner", obj).code,
            source_address=source_address(request),
            **changes,
        )


@admin.register(Partner)
class PartnerAdmin(AuditedAdmin):
    form = PartnerForm
    list_display = ["name", "code", "is_active", "is_automatic", "min_amount", "max_amount"]
    search_fields = ["name", "code"]


@admin.register(MifosConnection)
class MifosConnectionAdmin(AuditedAdmin):
    form = MifosConnectionForm
    fields = ["partner", *MifosConnectionForm.Meta.fields]
    list_display = ["partner", "host_url", "configured_at", "is_on", "polled_at", "failing_since"]
    list_select_related = ["partner"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["partner"] if obj else []


@admin.register(MpesaShortcode)
class MpesaShortcodeAdmin(AuditedAdmin):
    form = MpesaShortcodeForm
    list_display = ["shortcode", "environment", "partner", "is_active", "is_default", "pause",
                    "utility_balance", "balance_at", "password_ends_on"]  # fmt: skip
    list_select_related = ["partner"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Another server than Safaricom's is for development, as in the form."""
        left_out = set() if settings.OUTBOUND_ALLOW_HTTP else {"base_url_override"}
        return ["partner", *(n for n in MpesaShortcodeForm.Meta.fields if n not in left_out)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["partner"] if obj else []
