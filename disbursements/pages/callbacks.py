"""The inbox of M-Pesa's callbacks."""

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@permission_required("disbursements.view_callback", raise_exception=True)
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "callbacks/list.html")
