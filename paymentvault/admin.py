from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from paymentvault import stopping
from paymentvault.addresses import source_address
from paymentvault.models import AuditEvent, Heartbeat, KillSwitch, User
from paymentvault.readonly import ReadOnly

admin.site.register(User, UserAdmin)


@admin.register(KillSwitch)
class KillSwitchAdmin(admin.ModelAdmin):
    """Adding the one row stops every payout; deleting it lets them go again."""

    fields = ["reason"]
    list_display = ["stopped_at", "stopped_by", "reason"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not KillSwitch.objects.exists()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stopping.stop(by=request.user.get_username(), reason=obj.reason,
                      source_address=source_address(request))  # fmt: skip

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        stopping.go(by=request.user.get_username(), source_address=source_address(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[KillSwitch]) -> None:
        self.delete_model(request, None)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly):
    list_display = ["at", "actor", "act", "subject", "partner_code", "source_address"]
    list_filter = ["act", "partner_code"]
    search_fields = ["actor", "subject"]


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ["name", "at", "took_ms", "found"]
