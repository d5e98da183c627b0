"""Audit review in Django's admin: the audit itself, and the history of settings' rows."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from paymentvault import audit, auditing, chain, jobs, review, sheets
from paymentvault.acts import user_of
from paymentvault.models import AuditEvent, RowChange
from paymentvault.readonly import ReadOnly


class Dated(ReadOnly):
    """Shows times to the second, and long hashes on a narrow screen."""

    class Media:
        css = {"all": ["audit.css"]}  # noqa: RUF012 -- as Django has it

    @admin.display(description="When (Nairobi)")
    def when(self, row: AuditEvent | RowChange) -> str:
        return auditing.when(row.at)


@admin.register(AuditEvent)
class AuditEventAdmin(Dated):
    """The audit, for review: fast over millions of lines, since nothing reads them all."""

    list_display = ["when", "actor", "did", "subject", "partner_code", "source_address"]
    list_filter = [review.From, review.Until, review.Person, review.PartnerCode, review.Act,
                   review.Subject, review.AboutType, review.AboutId, review.Request]  # fmt: skip
    ordering = ["-at", "-pk"]
    search_fields = ["actor"]
    search_help_text = (
        "A whole person, act, partner's code, address, request's id, or a reference such as DSB-12;"
        f" shows the newest {auditing.FOUND_AT_MOST:,}."
    )
    actions = None
    readonly_fields = ["when"]
    fields = ["when", "actor", "user", "source_address", "request_id", "act", "subject",
              "about_type", "about_id", "partner_code"]  # fmt: skip
    change_form_template = "admin/audit_event.html"
    change_list_template = "admin/audit.html"

    @admin.display(description="act")
    def did(self, event: AuditEvent) -> str:
        return auditing.did(event)

    def get_urls(self) -> list[URLPattern]:
        """With the two buttons of the list."""
        name = "paymentvault_auditevent"
        buttons = [
            path("verify/", self.admin_site.admin_view(self.verify), name=f"{name}_verify"),
            path("export/", self.admin_site.admin_view(self.export), name=f"{name}_export"),
        ]
        return [*buttons, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEvent], search_term: str
    ) -> tuple[QuerySet[AuditEvent], bool]:
        term = search_term.strip()
        return (auditing.found(queryset, term) if term else queryset), False

    def verify(self, request: HttpRequest) -> HttpResponse:
        """Start checking the whole chain; a worker does it, and the job's page tells."""
        self._only_a_press(request)
        known = request.POST.get("known", "").replace("\x00", "").strip()
        back = reverse("admin:paymentvault_auditevent_changelist")
        try:
            chain.parsed(known)
        except ValueError as error:
            messages.error(request, f"Nothing was checked. {error}")
            return redirect(back)
        audit.record("audit's check started", by=request.user.get_username(), kept_link=known)
        job = jobs.start("verify_audit", title="Verify the audit's chain", by=user_of(request),
                         given={"known": known}, came_from=back)  # fmt: skip
        return redirect("job", job.pk)

    def export(self, request: HttpRequest) -> StreamingHttpResponse:
        """Whatever the filter and the search have, and that it was taken."""
        self._only_a_press(request)
        chosen = self.get_changelist_instance(request).get_queryset(request)
        header = {"Content-Disposition": 'attachment; filename="audit.csv"'}
        audit.record(
            "audit exported", by=request.user.get_username(), filter=request.GET.urlencode()
        )
        rows = auditing.rows(chosen.iterator(chunk_size=2000))
        lines = sheets.csv_lines(auditing.COLUMNS, rows)
        return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=header)

    def _only_a_press(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request) or request.method != "POST":
            raise PermissionDenied

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        event = self.get_object(request, object_id)
        shown = (
            {
                "subtitle": "",
                "title": event.act,
                "sentence": auditing.sentence(event),
                "differences": auditing.differences(event.detail),
                "link": auditing.link_to(event),
                "others": auditing.others_of(event),
                "place": getattr(event, "link", None),
                "line": event.detail.get("line") if event.act == chain.BROKEN else None,
            }
            if event
            else {}
        )
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})


@admin.register(RowChange)
class RowChangeAdmin(Dated):
    """What PostgreSQL itself wrote down of partners, connections and shortcodes."""

    list_display = ["when", "about_type", "about_id", "act", "partner_code", "actor",
                    "database_role"]  # fmt: skip
    list_filter = [review.From, review.Until, review.PartnerCode, review.KindOfRow, review.AboutId]
    ordering = ["-at", "-pk"]
    actions = None
    readonly_fields = ["when"]
    fields = ["when", "about_type", "about_id", "act", "partner_code", "actor", "request_id",
              "database_role"]  # fmt: skip
    change_form_template = "admin/row_change.html"
    change_list_template = "admin/filtered.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It tells what the audit tells, to the same people."""
        return request.user.has_perm("paymentvault.view_auditevent")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        change = self.get_object(request, object_id)
        shown = (
            {
                "subtitle": "",
                "sentence": auditing.row_sentence(change),
                "differences": auditing.differences(change.changes),
                "link": auditing.link_to(change),
            }
            if change
            else {}
        )
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})
