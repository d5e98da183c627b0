"""Partners in Django's admin: to be read. Secrets are never shown."""

from typing import Any

from django.contrib import admin
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from fernet_fields import EncryptedField

from partners.models import (
    PLATFORM_ROLES,
    Membership,
    MifosConnection,
    MpesaShortcode,
    Partner,
    SettingsChange,
)
from paymentvault import audit
from paymentvault.addresses import source_address
from paymentvault.readonly import ReadOnly


class InThePortal(ReadOnly):
    """What moves money is changed in the portal alone, where a second person confirms it."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [*self.get_readonly_fields(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        named = [field.name for field in self.model._meta.fields if not is_secret(field)]
        return ["in_the_portal", *named]

    @admin.display(description="In the portal")
    def in_the_portal(self, row: Any) -> str:
        partner = getattr(row, "partner", row)
        page = reverse("partners:detail", args=[partner.code])
        return format_html('<a href="{}">{}: see and change it there</a>', page, partner)


def is_secret(field: "Field[Any, Any]") -> bool:
    """Also what stands for one: whoever has the hash of a token needs only to guess offline."""
    return isinstance(field, EncryptedField) or field.name.endswith("_hash")


@admin.register(Partner)
class PartnerAdmin(InThePortal):
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

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever gives the platform's roles has every right already."""
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

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
class MifosConnectionAdmin(InThePortal):
    list_display = ["partner", "host_url", "configured_at", "is_on", "polled_at", "failing_since"]
    list_select_related = ["partner"]


@admin.register(MpesaShortcode)
class MpesaShortcodeAdmin(InThePortal):
    list_display = ["shortcode", "environment", "partner", "is_active", "is_default", "pause",
                    "utility_balance", "balance_at", "password_ends_on"]  # fmt: skip
    list_select_related = ["partner"]


@admin.register(SettingsChange)
class SettingsChangeAdmin(InThePortal):
    list_display = ["__str__", "state", "proposed_by", "proposed_at", "decided_by", "decided_at"]
    list_select_related = ["partner", "proposed_by", "decided_by"]
    list_filter = ["state", "kind"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever sees the settings sees how they changed."""
        return request.user.has_perm("partners.view_partner")
