"""Hooks that arrive without their path."""

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from partners.models import MifosConnection

Handler = Callable[[HttpRequest], HttpResponse]


def hook_hosts(get_response: Handler) -> Handler:
    """Route `/` of a connection's own host name to the webhook.

    Fineract 1.5 and 1.6 drop the path of a hook's URL (FINERACT-1502, FINERACT-1683), so there
    the host name is the secret.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path == "/" and _is_of_a_connection(_host(request)):
            request.urlconf = "mifos.root_urls"
        return get_response(request)

    return middleware


def _is_of_a_connection(host: str) -> bool:
    # The portal's own is refused as a connection's; people ask for their home all the time.
    if host == urlsplit(settings.PUBLIC_URL).hostname:
        return False
    try:
        return MifosConnection.objects.filter(hook_host=host).exists()
    except (OperationalError, InterfaceError):
        # The webhook asks again, and where that fails a view is answered 503, not 500.
        return True


def _host(request: HttpRequest) -> str:
    return request.get_host().partition(":")[0].lower()
