"""Hooks that arrive without their path."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from partners.models import MifosConnection

Handler = Callable[[HttpRequest], HttpResponse]


def hook_hosts(get_response: Handler) -> Handler:
    """Route `/` of a connection's own host name to the webhook.

    Fineract 1.5 and 1.6 drop the path of a hook's URL (FINERACT-1502, FINERACT-1683), so there
    the host name is the secret.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if (
            request.path == "/"
            and MifosConnection.objects.filter(hook_host=_host(request)).exists()
        ):
            request.urlconf = "mifos.root_urls"
        return get_response(request)

    return middleware


def _host(request: HttpRequest) -> str:
    return request.get_host().partition(":")[0].lower()
