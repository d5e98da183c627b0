"""Four groups to begin with, so that a newcomer only has to put people into them.

They are made once. What an administrator changes in them later stays as it is.
"""

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.models import Group, Permission

VIEWING = frozenset({
    "disbursements.view_disbursement", "disbursements.view_transition",
    "disbursements.view_attempt", "disbursements.view_inquiry", "disbursements.view_callback",
    "disbursements.view_settlement", "disbursements.view_case", "mifos.view_event",
    "partners.view_partner", "partners.view_mifosconnection", "partners.view_mpesashortcode",
    "partners.view_loanproduct",
})  # fmt: skip
# What is safe to do again: nothing is paid by it that wouldn't be paid anyway.
TENDING = frozenset({
    "mifos.change_event", "disbursements.change_callback", "disbursements.change_case",
    "disbursements.export_disbursement",
})  # fmt: skip

GROUPS = {
    "Viewers": VIEWING,
    "Operators": VIEWING | TENDING | {"disbursements.add_disbursement"},
    "Approvers": VIEWING | TENDING
    | {"disbursements.approve_disbursement", "disbursements.settle_disbursement"},
    # People are not theirs: whoever may change people could give themselves every right.
    "Administrators": VIEWING | TENDING | {
        "partners.add_partner", "partners.change_partner", "partners.add_mifosconnection",
        "partners.change_mifosconnection", "partners.add_mpesashortcode",
        "partners.change_mpesashortcode", "partners.change_loanproduct",
        "partners.view_apikey", "partners.change_apikey",
        "paymentvault.add_killswitch", "paymentvault.delete_killswitch",
        "paymentvault.view_killswitch", "paymentvault.view_auditevent",
        "paymentvault.view_heartbeat",
        "paymentvault.view_allowednetwork", "paymentvault.add_allowednetwork",
        "paymentvault.confirm_allowednetwork",
    },
}  # fmt: skip
ABOUT = {
    "Viewers": "see everything and change nothing",
    "Operators": "ask for payouts by hand, work on what is stuck, and export",
    "Approvers": "approve or reject what others asked for, and settle what is in doubt",
    "Administrators": "set partners up, and switch payouts on and off",
}
# Django makes the permissions of one app after the other, and this app's come last.
LAST_APP = "mifos"


def make(sender: AppConfig, using: str = "default", **given: Any) -> None:
    """Make those groups that don't exist, once all permissions do."""
    if sender.label != LAST_APP:
        return
    for name, rights in GROUPS.items():
        group, is_new = Group.objects.using(using).get_or_create(name=name)
        if is_new:
            group.permissions.set(_permissions(rights, using))


def _permissions(rights: frozenset[str], using: str) -> list[Permission]:
    known = Permission.objects.using(using).select_related("content_type")
    return [p for p in known if f"{p.content_type.app_label}.{p.codename}" in rights]
