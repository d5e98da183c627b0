"""Addresses of the pages about money."""

from django.urls import path

from disbursements.pages import callbacks, cases, detail, lists

disbursement_urls = (
    [
        # The list, its exports, many at once, and a new one
        path("", lists.index, name="list"),
        # One disbursement, and what is done with it
        path("<int:pk>/", detail.show, name="detail"),
    ],
    "disbursements",
)
case_urls = ([path("", cases.index, name="list")], "cases")
callback_urls = ([path("", callbacks.index, name="list")], "callbacks")
