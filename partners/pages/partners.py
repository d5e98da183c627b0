"""Partners: the list, one, and its form."""

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@permission_required("partners.view_partner", raise_exception=True)
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "partners/list.html")
