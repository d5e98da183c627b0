"""Addresses of the pages about partners."""

from django.urls import path

from partners.pages import partners

partner_urls = (
    [
        path("", partners.index, name="list"),
        path("new/", partners.new, name="new"),
        path("<slug:code>/", partners.detail, name="detail"),
        path("<slug:code>/edit/", partners.edit, name="edit"),
    ],
    "partners",
)
