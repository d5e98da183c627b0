"""One disbursement, whole."""

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


@permission_required("disbursements.view_disbursement", raise_exception=True)
def show(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "disbursements/detail.html")
