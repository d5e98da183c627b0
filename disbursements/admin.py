"""Disbursements in Django's admin: everything that happened, read-only; and what people decide."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from disbursements import approval, cases, shortcodes
from disbursements.models import Attempt, Callback, Case, Disbursement, Inquiry, Transition
from disbursements.states import TransitionRefused
from partners.admin import MpesaShortcodeAdmin
from partners.models import MpesaShortcode
from paymentvault.readonly import ReadOnly


class Lines(admin.TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class History(Lines):
    model = Transition


class Attempts(Lines):
    model = Attempt
    fields = ["originator_conversation_id", "status", "amount_kes", "msisdn", "sends", "sent_at",
              "answer_words", "result_code", "result_words"]  # fmt: skip


@admin.register(Disbursement)
class DisbursementAdmin(ReadOnly):
    list_display = ["reference", "client_name", "msisdn", "amount", "status", "why",
                    "mpesa_receipt", "partner", "status_at"]  # fmt: skip
    list_filter = ["status", "partner", "origin"]
    list_select_related = ["partner"]
    search_fields = ["=id", "=loan_id", "=msisdn", "=mpesa_receipt", "client_name",
                     "=attempts__originator_conversation_id"]  # fmt: skip
    inlines = [History, Attempts]
    actions = ["approve", "reject", "release", "retry", "cancel"]

    @admin.display(description="why")
    def why(self, row: Disbursement) -> str:
        """What it is held for, waits for, or failed of."""
        return row.hold_words or row.waits_for or row.failure_words or row.recording_error

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("disbursements.change_disbursement")

    @admin.action(description="Approve: pay what awaits approval", permissions=["decide"])
    def approve(self, request: HttpRequest, chosen: QuerySet[Disbursement]) -> None:
        self._each(request, chosen, lambda d: approval.approve(d, by=request.user))  # type: ignore[arg-type]

    @admin.action(description="Reject what awaits approval, for good", permissions=["decide"])
    def reject(self, request: HttpRequest, chosen: QuerySet[Disbursement]) -> None:
        self._each(request, chosen, lambda d: approval.reject(d, by=request.user, reason=_WHERE))  # type: ignore[arg-type]

    @admin.action(description="Release: pay in spite of the hold", permissions=["decide"])
    def release(self, request: HttpRequest, chosen: QuerySet[Disbursement]) -> None:
        self._each(request, chosen, lambda d: approval.release(d, by=request.user, reason=_WHERE))  # type: ignore[arg-type]

    @admin.action(description="Retry what failed, as a new attempt", permissions=["decide"])
    def retry(self, request: HttpRequest, chosen: QuerySet[Disbursement]) -> None:
        self._each(request, chosen, lambda d: approval.retry(d, by=request.user, reason=_WHERE))  # type: ignore[arg-type]

    @admin.action(description="Cancel what hasn't been paid", permissions=["decide"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Disbursement]) -> None:
        self._each(request, chosen, lambda d: approval.cancel(d, by=request.user, reason=_WHERE))  # type: ignore[arg-type]

    def _each(
        self, request: HttpRequest, chosen: QuerySet[Disbursement], act: Callable[..., None]
    ) -> None:
        for disbursement in chosen:
            try:
                act(disbursement)
            except (TransitionRefused, approval.NotAllowed) as error:
                messages.error(request, f"{disbursement}: {error} Nothing changed.")
                continue
            messages.success(request, f"{disbursement} is {disbursement.get_status_display()}.")


_WHERE = "Decided in the admin."


admin.site.unregister(MpesaShortcode)


@admin.register(MpesaShortcode)
class ResumableShortcodeAdmin(MpesaShortcodeAdmin):
    """The partners' page of shortcodes, and the end of a pause."""

    actions = ["resume"]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("partners.change_mpesashortcode")

    @admin.action(description="Resume: what was wrong is put right", permissions=["decide"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        for shortcode in chosen:
            if shortcodes.resume(shortcode, by=str(request.user), reason=_WHERE):
                messages.success(request, f"{shortcode} sends again, one payout first.")


@admin.register(Callback)
class CallbackAdmin(ReadOnly):
    list_display = ["id", "kind", "received_at", "state", "outcome", "source_address"]
    list_filter = ["state", "kind"]


@admin.register(Inquiry)
class InquiryAdmin(ReadOnly):
    list_display = ["id", "kind", "shortcode", "sent_at", "answer_words", "outcome"]
    list_filter = ["kind"]
    exclude = ["callback_token", "callback_token_hash"]


@admin.register(Case)
class CaseAdmin(ReadOnly):
    list_display = ["opened_at", "kind", "words", "closed_at", "closed_by"]
    list_filter = ["kind", ("closed_at", admin.EmptyFieldListFilter)]
    actions = ["close"]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("disbursements.change_case")

    @admin.action(description="Close: it has been settled", permissions=["decide"])
    def close(self, request: HttpRequest, chosen: QuerySet[Case]) -> None:
        for case in chosen.filter(closed_at=None):
            cases.close(case, by=str(request.user), note=_WHERE)
            messages.success(request, f"Closed: {case}")
