from django.urls import re_path

from mifos import webhooks

urlpatterns = [
    re_path(r"^mifos-webhook/test/?$", webhooks.health),
    re_path(r"^mifos-webhook/loan-approval/?$", webhooks.loan_approval, name="loan-approval"),
    re_path(r"^mifos-webhook/(?P<token>[A-Za-z0-9_-]{16,64})/?$", webhooks.native_hook,
            name="native-hook"),
]  # fmt: skip
