"""Addresses of the changes of settings that wait for a second person."""

from django.urls import path

from partners.pages import changes
from paymentvault.recent import freshly

urlpatterns = [
    path("", changes.index, name="list"),
    path("<int:pk>/", changes.detail, name="detail"),
    path("<int:pk>/confirm/", freshly(changes.confirm), name="confirm"),
    path("<int:pk>/refuse/", changes.refuse, name="refuse"),
    path("<int:pk>/withdraw/", changes.withdraw, name="withdraw"),
]
