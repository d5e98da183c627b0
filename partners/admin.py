"""Partners in Django's admin. Secrets can be set there, never read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from partners.forms import MifosConnectionForm, MpesaShortcodeForm, PartnerForm
from partners.models import (
    PLATFORM_ROLES,
    Membership,
    MifosConnection,
    MpesaShortcode,
    Partner,
)
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


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    """Here only the platform's roles are given; a partner's are on its page of people."""

    list_display = ["user", "role", "partner", "created_at"]
    list_filter = ["role", "partner"]
    list_select_related = ["user", "partner"]
    search_fields = ["=user__username", "=user__email"]
    fields = ["user", "role"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["choices"] = [(role, role.label) for role in PLATFORM_ROLES]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self._record(request, "role given", obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._record(request, "role taken away", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> None:
        for membership in queryset.select_related("user", "partner"):
            self.delete_model(request, membership)

    def _record(self, request: HttpRequest, act: str, membership: Membership) -> None:
        audit.record(
            act, by=request.user.get_username(), subject=membership.user, role=membership.role,
            partner_code=membership.partner.code if membership.partner else "",
            source_address=source_address(request),
        )  # fmt: skip


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
    fields = ["partner", *MpesaShortcodeForm.Meta.fields]
    list_display = ["shortcode", "environment", "partner", "is_active", "is_default", "pause",
                    "utility_balance", "balance_at", "password_ends_on"]  # fmt: skip
    list_select_related = ["partner"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["partner"] if obj else []
