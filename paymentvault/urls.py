"""The addresses. What outside systems call exists with and without a slash at its end."""

from django.contrib import admin
from django.urls import include, path, re_path

from paymentvault import views

admin.site.site_header = admin.site.site_title = "Payment Vault"

urlpatterns = [
    path("", views.home, name="home"),
    re_path(r"^livez/?$", views.livez),
    re_path(r"^readyz/?$", views.readyz),
    path("admin/", admin.site.urls),
    path("", include("mifos.urls")),
    path("", include("disbursements.urls")),
]

handler500 = "paymentvault.views.server_error"
