"""Addresses of the pages of a partner's M-Pesa shortcodes."""

from django.urls import path

from disbursements.pages import mpesa
from paymentvault.recent import freshly

urlpatterns = [
    path("add/", freshly(mpesa.add), name="add"),
    path("<int:pk>/", mpesa.detail, name="detail"),
    path("<int:pk>/edit/", freshly(mpesa.edit), name="edit"),
    path("<int:pk>/test/", mpesa.test, name="test"),
    path("<int:pk>/pause/", mpesa.pause, name="pause"),
    path("<int:pk>/resume/", freshly(mpesa.resume), name="resume"),
]
