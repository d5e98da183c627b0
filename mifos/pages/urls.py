"""Addresses of the pages about Mifos X."""

from django.urls import path

from mifos.pages import connection, events, products, switch, webhook
from paymentvault.recent import freshly

event_urls = (
    [
        path("", events.index, name="list"),
        path("again/", events.unreadable_again, name="unreadable-again"),
        path("<uuid:pk>/", events.detail, name="detail"),
        path("<uuid:pk>/again/", events.process_again, name="again"),
    ],
    "events",
)
# Below a partner's page.
connection_urls = (
    [
        path("", freshly(connection.edit), name="edit"),
        path("test/", connection.test, name="test"),
        path("test/<uuid:pk>/", connection.test_panel, name="test-panel"),
        path("webhook/", webhook.webhook, name="webhook"),
        path("webhook/make/", freshly(webhook.make), name="webhook-make"),
        path("webhook/rotate/", freshly(webhook.rotate), name="webhook-rotate"),
        path("webhook/end-old/", webhook.end_old, name="webhook-end-old"),
        path("webhook/register/", webhook.register, name="webhook-register"),
        path("webhook/try/", webhook.send_test, name="webhook-try"),
        path(
            "products/",
            freshly(products.products, to_change=connection.RIGHT),
            name="products",
        ),
        path("products/ask/", products.ask, name="products-ask"),
        path("on/", freshly(switch.on), name="on"),
        path("off/", switch.off, name="off"),
        path("poll/", switch.poll, name="poll"),
    ],
    "connection",
)
automatic_urls = (
    [
        path("", freshly(switch.automatic_on), name="switch"),
        path("off/", switch.automatic_off, name="off"),
        path("look/", switch.look, name="look"),
        path("look/panel/", switch.look_panel, name="look-panel"),
    ],
    "automatic",
)
