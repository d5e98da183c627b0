"""A page of Django's admin that shows and never changes, fast also over millions of rows."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from paymentvault.bounded import BoundedPaginator


class ReadOnly(admin.ModelAdmin):
    # Counting millions of rows, or sorting them by any column, isn't worth the wait.
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
