from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.base.internal.flows import delete_dangling_recovery_codes
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from paymentvault import (
    audit,
    audit_admin,  # noqa: F401 -- registers its pages
    people_admin,  # noqa: F401 -- registers its pages
    sessions,
    stopping,
)
from paymentvault.addresses import source_address
from paymentvault.models import Heartbeat, KillSwitch
from paymentvault.readonly import ReadOnly


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


# The first shows what is secret, the second what is nobody's business, the third nothing.
for shown in (Authenticator, UserSession, EmailAddress):
    admin.site.unregister(shown)


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnly):
    """Second factors: a lost one is taken away here, and its owner sets up a new one."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_select_related = ["user"]
    search_fields = ["=user__username"]
    fields = ["user", "type", "created_at", "last_used_at"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        """With its recovery codes; and whoever has the lost phone is signed out everywhere."""
        obj.delete()
        delete_dangling_recovery_codes(obj.user)
        ended = sessions.end(obj.user)
        audit.record("sessions ended", by=request.user.get_username(), subject=obj.user,
                     count=ended)  # fmt: skip


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ["name", "at", "took_ms", "found"]
