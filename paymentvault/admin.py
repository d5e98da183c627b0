from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.base.internal.flows import delete_dangling_recovery_codes
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from paymentvault import audit, auditing, jobs, sessions, sheets, stopping
from paymentvault.acts import user_of
from paymentvault.addresses import source_address
from paymentvault.bounded import BoundedPaginator
from paymentvault.models import AuditEvent, Heartbeat, KillSwitch, User
from paymentvault.readonly import ReadOnly

admin.site.register(User, UserAdmin)

# What the links of an audit event's page filter by.
LOOKUPS = {"actor", "subject", "act", "partner_code", "request_id", "about_type", "about_id"}


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
    """The audit, for review: fast over millions of lines, since nothing counts them all."""

    list_display = ["at", "actor", "act", "subject", "partner_code", "source_address"]
    list_filter = [("at", admin.DateFieldListFilter)]
    search_fields = ["=actor", "=subject", "=act", "=partner_code", "=request_id", "=about_id"]
    search_help_text = (
        "A person, an act, a partner's code, a reference such as DSB-12, or a request's id; whole."
    )
    paginator = BoundedPaginator
    actions = ["export"]
    change_form_template = "admin/audit_event.html"
    change_list_template = "admin/audit.html"

    def get_urls(self) -> list[URLPattern]:
        verify = self.admin_site.admin_view(self.verify)
        name = "paymentvault_auditevent_verify"
        return [path("verify/", verify, name=name), *super().get_urls()]

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        """Links to "the other events of this" filter by these."""
        return lookup in LOOKUPS or super().lookup_allowed(lookup, value, request)

    def verify(self, request: HttpRequest) -> HttpResponse:
        """Start checking the whole chain; a worker does it, and the job's page tells."""
        if not self.has_view_permission(request) or request.method != "POST":
            raise PermissionDenied
        job = jobs.start("verify_audit", title="Verify the audit's chain", by=user_of(request),
                         came_from=reverse("admin:paymentvault_auditevent_changelist"))  # fmt: skip
        return redirect("job", job.pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        event = self.get_object(request, object_id)
        shown = (
            {
                "sentence": auditing.sentence(event),
                "differences": auditing.differences(event),
                "link": auditing.link_to(event),
                "place": getattr(event, "link", None),
            }
            if event
            else {}
        )
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    @admin.action(description="Export as CSV")
    def export(self, request: HttpRequest, chosen: QuerySet[AuditEvent]) -> StreamingHttpResponse:
        """What is ticked, or with "select all" whatever the filter has."""
        header = {"Content-Disposition": 'attachment; filename="audit.csv"'}
        rows = auditing.rows(chosen.order_by("-pk").iterator(chunk_size=2000))
        lines = sheets.csv_lines(auditing.COLUMNS, rows)
        audit.record(
            "audit exported", by=request.user.get_username(), filter=request.GET.urlencode()
        )
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=header)


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
        sessions.end(obj.user)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    list_display = ["name", "at", "took_ms", "found"]
