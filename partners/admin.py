"""Partners in Django's admin. Secrets can be set there, never read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from partners.forms import MifosConnectionForm, MpesaShortcodeForm, PartnerForm
from partners.models import MifosConnection, MpesaShortcode, Partner


class NeverDeleted(admin.ModelAdmin):
    """What money was paid under stays."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Partner)
class PartnerAdmin(NeverDeleted):
    form = PartnerForm
    list_display = ["name", "code", "is_active", "is_automatic", "min_amount", "max_amount"]
    search_fields = ["name", "code"]


@admin.register(MifosConnection)
class MifosConnectionAdmin(NeverDeleted):
    form = MifosConnectionForm
    fields = ["partner", *MifosConnectionForm.Meta.fields]
    list_display = ["partner", "host_url", "configured_at", "is_on", "polled_at", "failing_since"]
    list_select_related = ["partner"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["partner"] if obj else []


@admin.register(MpesaShortcode)
class MpesaShortcodeAdmin(NeverDeleted):
    form = MpesaShortcodeForm
    fields = ["partner", *MpesaShortcodeForm.Meta.fields]
    list_display = ["shortcode", "environment", "partner", "is_active", "is_default", "pause",
                    "utility_balance", "balance_at"]  # fmt: skip
    list_select_related = ["partner"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["partner"] if obj else []
