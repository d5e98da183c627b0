"""Addresses of the pages about money."""

from django.urls import path, re_path

from disbursements.pages import (
    acts,
    bulk,
    callbacks,
    cases,
    detail,
    entry,
    exports,
    lists,
    settle,
)
from paymentvault.recent import freshly

disbursement_urls = (
    [
        # The list, its exports, many at once, and a new one
        path("", lists.index, name="list"),
        re_path(r"^export\.(?P<form>csv|xlsx)$", exports.export, name="export"),
        path("bulk/", bulk.approve, name="bulk"),
        path("new/", entry.new, name="new"),
        # One disbursement, and what is done with it
        path("<int:pk>/", detail.show, name="detail"),
        path("<int:pk>/live/", detail.live, name="live"),
        path("<int:pk>/approve/", acts.approve, name="approve"),
        path("<int:pk>/reject/", acts.reject, name="reject"),
        path("<int:pk>/release/", acts.release, name="release"),
        path("<int:pk>/cancel/", acts.cancel, name="cancel"),
        path("<int:pk>/retry/", acts.retry, name="retry"),
        path("<int:pk>/ask/", acts.ask, name="ask"),
        path("<int:pk>/record/", acts.record, name="record"),
        path("<int:pk>/settle/", freshly(settle.propose), name="settle"),
        path(
            "<int:pk>/settle/<int:settlement_pk>/confirm/",
            freshly(settle.confirm),
            name="settle-confirm",
        ),
        path("<int:pk>/settle/<int:settlement_pk>/refuse/", settle.refuse, name="settle-refuse"),
    ],
    "disbursements",
)
case_urls = (
    [
        path("", cases.index, name="list"),
        path("<int:pk>/close/", cases.close, name="close"),
    ],
    "cases",
)
callback_urls = (
    [
        path("", callbacks.index, name="list"),
        path("<int:pk>/", callbacks.show, name="detail"),
        path("<int:pk>/again/", callbacks.again, name="again"),
    ],
    "callbacks",
)
