"""The addresses. What outside systems call exists with and without a slash at its end."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from disbursements.pages.urls import callback_urls, case_urls, disbursement_urls
from mifos.pages.urls import automatic_urls, connection_urls, event_urls
from partners.pages.urls import partner_urls
from paymentvault import views

admin.site.site_header = admin.site.site_title = "Payment Vault"
# The lists are wide; the way back is in the crumbs.
admin.site.enable_nav_sidebar = False

urlpatterns = [
    path("", include("paymentvault.portal.urls")),
    path("disbursements/", include(disbursement_urls)),
    path("cases/", include(case_urls)),
    path("callbacks/", include(callback_urls)),
    path("events/", include(event_urls)),
    path("partners/", include(partner_urls)),
    path("partners/<slug:code>/mifos/", include(connection_urls)),
    path("partners/<slug:code>/automatic/", include(automatic_urls)),
    path(
        "partners/<slug:code>/mpesa/",
        include(("disbursements.pages.mpesa_urls", "shortcodes")),
    ),
    path("settings-changes/", include(("partners.pages.change_urls", "changes"))),
    path("partners/<slug:code>/keys/", include(("partners.pages.key_urls", "keys"))),
    path("api/v1/", include(("paymentvault.api.urls", "api"))),
    path(
        "partners/<slug:code>/deliveries/",
        include(("disbursements.pages.delivery_urls", "deliveries")),
    ),
    re_path(r"^livez/?$", views.livez),
    re_path(r"^readyz/?$", views.readyz),
    # One way to sign in, which is guarded and recorded; the admin has none of its own.
    path("admin/login/", views.admin_sign_in),
    # Likewise one way to change one's password.
    path("admin/password_change/", RedirectView.as_view(pattern_name="password")),
    path("admin/", admin.site.urls),
    path("", include("mifos.urls")),
    path("", include("disbursements.urls")),
]

handler400 = "paymentvault.views.bad_request"
handler403 = "paymentvault.portal.refused.permission_denied"
handler404 = "paymentvault.views.page_not_found"
handler500 = "paymentvault.views.server_error"
