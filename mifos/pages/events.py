"""The inbox of Mifos X's deliveries."""

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@permission_required("mifos.view_event", raise_exception=True)
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "events/list.html")
