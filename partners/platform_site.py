"""Django's admin knows no partners: a right at one of them counts nothing there."""

from collections.abc import Callable
from typing import Any

from csp.constants import SELF
from csp.decorators import csp_replace
from django.contrib import admin
from django.http import HttpRequest

from partners import access


class PlatformSite(admin.AdminSite):
    def has_permission(self, request: HttpRequest) -> bool:
        """Asked before each page of the admin."""
        if not super().has_permission(request):
            return False
        access.leave_out_partners(request.user)
        return True

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Its pages' scripts are files of ours, and bear no nonce."""
        return super().admin_view(csp_replace({"script-src": [SELF]})(view), cacheable)
