"""Addresses of a partner's API keys, below its page."""

from django.urls import path

from partners.pages import keys
from paymentvault.recent import freshly

urlpatterns = [
    path("", keys.index, name="list"),
    path("new/", freshly(keys.new), name="new"),
    path("<uuid:pk>/rotate/", freshly(keys.rotate), name="rotate"),
    path("<uuid:pk>/revoke/", keys.revoke, name="revoke"),
]
