"""What only a person can settle."""

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@permission_required("disbursements.view_case", raise_exception=True)
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "cases/list.html")
