"""The API's addresses, version 1, each with and without a slash at its end."""

from typing import Any

from django.urls import URLPattern, path, re_path

from disbursements import api as disbursements
from mifos import api as mifos
from partners import api as partners
from paymentvault.api import schema, token_resources


def _both(route: str, view: Any, name: str) -> list[URLPattern]:
    return [path(route, view, name=name), path(f"{route}/", view, name=f"{name}-slash")]


urlpatterns = [
    *_both("schema", schema.Schema.as_view(), "schema"),
    *_both("docs", schema.page, "docs"),
    *_both("tokens", token_resources.TokenList.as_view(), "tokens"),
    *_both("tokens/refresh", token_resources.TokenRefresh.as_view(), "tokens-refresh"),
    *_both("tokens/revoke", token_resources.TokenRevocation.as_view(), "tokens-revoke"),
    *_both("partners", partners.PartnerList.as_view(), "partners"),
    *_both("partners/<slug:code>", partners.PartnerDetail.as_view(), "partner"),
    *_both("settings-changes", partners.SettingsChanges.as_view(), "settings-changes"),
    *_both("balances", partners.Balances.as_view(), "balances"),
    *_both("disbursements", disbursements.DisbursementList.as_view(), "disbursements"),
    *_both("disbursements/lookup", disbursements.Lookup.as_view(), "lookup"),
    *_both("disbursements/<int:id>", disbursements.DisbursementDetail.as_view(), "disbursement"),
    *_both("disbursements/<int:id>/approve", disbursements.Approve.as_view(), "approve"),
    *_both("disbursements/<int:id>/reject", disbursements.Reject.as_view(), "reject"),
    *_both("disbursements/<int:id>/retry", disbursements.Retry.as_view(), "retry"),
    *_both("callbacks", disbursements.CallbackList.as_view(), "callbacks"),
    *_both("callbacks/<int:id>", disbursements.CallbackDetail.as_view(), "callback"),
    *_both("events", mifos.EventList.as_view(), "events"),
    *_both("events/<uuid:id>", mifos.EventDetail.as_view(), "event"),
    *_both("mifos/test-connection", mifos.TestConnection.as_view(), "test-connection"),
    # A line's end may stand in it too, which "path" doesn't know.
    re_path(r"^[\s\S]*\Z", schema.NotFound.as_view(), name="nothing"),
]
