"""Django's admin, for the platform's own people."""

from django.contrib.admin.apps import AdminConfig


class PlatformAdmin(AdminConfig):
    default_site = "partners.platform_site.PlatformSite"
