from django.contrib import admin

from mifos.models import Event
from paymentvault.readonly import ReadOnly


@admin.register(Event)
class EventAdmin(ReadOnly):
    list_display = ["received_at", "connection", "entity", "action", "loan_id", "state", "outcome"]
    list_filter = ["state", "connection"]
    list_select_related = ["connection__partner"]
    search_fields = ["loan_id__exact"]
