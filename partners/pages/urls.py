"""Addresses of the pages about partners."""

from django.urls import path

from partners.pages import partners

partner_urls = ([path("", partners.index, name="list")], "partners")
