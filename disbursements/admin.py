"""Disbursements in Django's admin: everything that happened, read-only.

What people decide is decided in the portal alone, which asks for the right, the sum and a reason.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from disbursements.models import Attempt, Callback, Case, Disbursement, Inquiry, Transition
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
    search_fields = ["id__exact", "loan_id__exact", "msisdn__exact", "mpesa_receipt__exact",
                     "client_name"]  # fmt: skip
    search_help_text = "A number, MSISDN, receipt or loan, whole, or a part of a name."
    ordering = ["-pk"]
    inlines = [History, Attempts]

    @admin.display(description="why")
    def why(self, row: Disbursement) -> str:
        """What it is held for, waits for, or failed of."""
        return row.hold_words or row.waits_for or row.failure_words or row.recording_error


@admin.register(Attempt)
class AttemptAdmin(ReadOnly):
    list_display = ["id", "disbursement", "status", "amount_kes", "msisdn", "sent_at",
                    "answer_words", "result_words"]  # fmt: skip
    list_select_related = ["disbursement"]
    search_fields = ["=id", "originator_conversation_id__exact", "conversation_id__exact"]
    ordering = ["-pk"]
    exclude = ["callback_token", "callback_token_hash"]


@admin.register(Transition)
class TransitionAdmin(ReadOnly):
    list_display = ["id", "at", "disbursement", "old", "new", "by", "note"]
    list_select_related = ["disbursement"]
    search_fields = ["disbursement__id__exact"]
    search_help_text = "A disbursement's number."
    ordering = ["-pk"]


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
