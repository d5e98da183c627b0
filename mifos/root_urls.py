"""The addresses at a connection's own host name: only the hook at its root."""

from django.urls import path

from mifos import webhooks

urlpatterns = [path("", webhooks.hook_at_root)]
