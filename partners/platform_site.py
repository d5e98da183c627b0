"""Django's admin knows no partners: a right at one of them counts nothing there."""

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
