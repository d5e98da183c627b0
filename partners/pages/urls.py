"""Addresses of the pages about partners."""

from django.urls import path

from partners.pages import partners, people
from paymentvault.recent import freshly

partner_urls = (
    [
        path("", partners.index, name="list"),
        path("new/", freshly(partners.new), name="new"),
        path("<slug:code>/", partners.detail, name="detail"),
        path("<slug:code>/edit/", freshly(partners.edit), name="edit"),
        path("<slug:code>/people/", people.people, name="people"),
        path("<slug:code>/people/give/", freshly(people.give), name="give-role"),
        path("<slug:code>/people/<int:pk>/take/", freshly(people.take), name="take-role"),
    ],
    "partners",
)
