from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from paymentvault.models import AuditEvent, Heartbeat, KillSwitch, User
from paymentvault.readonly import ReadOnly

admin.site.register(User, UserAdmin)


@admin.register(KillSwitch)
class KillSwitchAdmin(admin.ModelAdmin):
    """Adding the one row stops every payout; deleting it lets them go again."""

    list_display = ["stopped_at", "stopped_by", "reason"]


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly):
    list_display = ["at", "actor", "act", "subject", "partner_code", "source_address"]
    list_filter = ["act", "partner_code"]
    search_fields = ["actor", "subject"]


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ["name", "at", "took_ms", "found"]
