"""Addresses of the pages about Mifos X."""

from django.urls import URLPattern, path

from mifos.pages import events

event_urls = ([path("", events.index, name="list")], "events")
# Below a partner's page.
connection_urls: tuple[list[URLPattern], str] = ([], "connection")
