"""What each role may do, in rights that views and templates ask for, and in words."""

from partners.models import Role

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
SETTING_UP = frozenset({
    "partners.change_partner", "partners.add_mifosconnection", "partners.change_mifosconnection",
    "partners.add_mpesashortcode", "partners.change_mpesashortcode", "partners.change_loanproduct",
    "partners.view_apikey", "partners.change_apikey",
})  # fmt: skip
# Who has which role at a partner. Accounts and the platform's roles are its superusers'.
PEOPLE = frozenset({"partners.view_membership", "partners.change_membership"})

RIGHTS: dict[Role, frozenset[str]] = {
    Role.VIEWER: VIEWING,
    Role.OPERATOR: VIEWING | TENDING | {"disbursements.add_disbursement"},
    Role.APPROVER: VIEWING | TENDING
    | {"disbursements.approve_disbursement", "disbursements.settle_disbursement"},
    Role.PARTNER_ADMINISTRATOR: VIEWING | TENDING | SETTING_UP | PEOPLE,
    Role.ADMINISTRATOR: VIEWING | TENDING | SETTING_UP | PEOPLE | {
        "partners.add_partner",
        "paymentvault.add_killswitch", "paymentvault.delete_killswitch",
        "paymentvault.view_killswitch", "paymentvault.view_auditevent",
        "paymentvault.view_heartbeat", "paymentvault.view_allowednetwork",
        "paymentvault.add_allowednetwork", "paymentvault.confirm_allowednetwork",
    },
    Role.AUDITOR: VIEWING | {
        "paymentvault.view_auditevent", "paymentvault.view_heartbeat",
        "paymentvault.view_killswitch", "disbursements.export_disbursement",
        "partners.view_apikey", "paymentvault.view_allowednetwork", "partners.view_membership",
    },
}  # fmt: skip
ABOUT: dict[Role, str] = {
    Role.VIEWER: "sees everything of this partner, and changes nothing",
    Role.OPERATOR: "enters payouts by hand, works on what is stuck, and exports",
    Role.APPROVER: "approves or rejects what others entered, and settles what is in doubt",
    Role.PARTNER_ADMINISTRATOR: "sets the partner up, switches it on and off, and gives roles",
    Role.ADMINISTRATOR: "sets every partner up, switches payouts on and off, and gives roles",
    Role.AUDITOR: "sees everything and the audit, and changes nothing",
}


def with_right(right: str) -> list[Role]:
    """The roles that bring a right."""
    return [role for role in Role if right in RIGHTS[role]]
