from django.urls import re_path

from disbursements import webhooks

urlpatterns = [
    # Short, lower case, and without any word that Daraja refuses in an address.
    re_path(r"^cb/(?P<token>[0-9a-f]{32})/(?P<kind>[rtsb])/?$", webhooks.callback, name="callback"),
]
