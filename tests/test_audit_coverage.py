"""One table: what people and the system do, and exactly what the audit says of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from io import StringIO
from ipaddress import ip_network

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from disbursements import approval, audited, entry, settlement
from disbursements.models import Attempt
from disbursements.states import Status
from partners import endpoints, keys
from partners.models import Membership, Role, Scope, WebhookEndpoint
from paymentvault import audit, networks, stopping
from paymentvault.models import AuditEvent, KillSwitch, User
from tests.forced import by_force
from tests.samples import AMINA

pytestmark = pytest.mark.django_db

PEOPLE = "/admin/paymentvault/user/"
JOINED = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}


@dataclass
class Line:
    """What is expected of a line of the audit, beside who, from where and in which request."""

    act: str
    about: str = ""
    partner: str = ""
    detail: dict = field(default_factory=dict)
    actor: str = "admin"


class World:
    """What the acts of the table are done to."""

    def __init__(self, request, client, people):
        self.get = request.getfixturevalue
        self.client, (self.admin, self.amina, self.baraka) = client, people

    @property
    def lender(self):
        return self.get("lender")

    def post(self, path, **typed):
        answer = self.client.post(path, typed)
        assert answer.status_code in (200, 302), answer.content.decode()
        return answer

    def person(self, **typed):
        """The admin's form of a person, as it stands, with what is changed in it."""
        return self.post(f"{PEOPLE}{self.amina.pk}/change/",
                         **({"username": "amina", "is_active": "on"} | JOINED | typed))  # fmt: skip

    def group(self):
        return Group.objects.create(name="Tellers")


@pytest.fixture
def world(request, client, admin_user, amina, baraka):
    client.force_login(admin_user)
    return World(request, client, (admin_user, amina, baraka))


def right(name):
    return Permission.objects.get(codename=name)


def change(was, now):
    return {"from": was, "to": now}


# -- people, groups and roles, in the admin


def adds_person(w):
    w.post(f"{PEOPLE}add/", username="chege", usable_password="true",
           password1="a-long-one-2026", password2="a-long-one-2026")  # fmt: skip


def makes_superuser(w):
    w.person(is_superuser="on", is_staff="on")


def makes_inactive(w):
    w.post(f"{PEOPLE}{w.amina.pk}/change/", username="amina", **JOINED)


def changes_persons_name(w):
    w.person(first_name="Ada", email="ada@example.com")


def gives_right(w):
    w.person(user_permissions=[right("change_partner").pk])


def puts_into_group(w):
    w.person(groups=[w.group().pk])


def sets_password(w):
    w.post(f"{PEOPLE}{w.amina.pk}/password/", usable_password="true",
           password1="a-long-one-2026", password2="a-long-one-2026")  # fmt: skip


def adds_group(w):
    w.post("/admin/auth/group/add/", name="Tellers", permissions=[right("add_disbursement").pk])


def changes_group(w):
    group = w.group()
    w.post(f"/admin/auth/group/{group.pk}/change/", name="Tellers",
           permissions=[right("add_disbursement").pk])  # fmt: skip


def deletes_group(w):
    w.post(f"/admin/auth/group/{w.group().pk}/delete/", post="yes")


def deletes_groups(w):
    w.post("/admin/auth/group/", action="delete_selected", _selected_action=w.group().pk,
           post="yes")  # fmt: skip


def gives_platform_role(w):
    w.post("/admin/partners/membership/add/", user=w.amina.pk, role=Role.AUDITOR)


def takes_platform_role(w):
    role = Membership.objects.create(user=w.amina, role=Role.AUDITOR)
    w.post(f"/admin/partners/membership/{role.pk}/delete/", post="yes")


# -- one's own account


def signs_in(w):
    w.client.logout()
    w.post("/login/", username="amina", password="amina")


def signs_in_wrongly(w):
    w.client.logout()
    w.post("/login/", username="amina", password="not-it")


def signs_out(w):
    w.post("/logout/")


def changes_profile(w):
    w.post("/profile/", email="ada@example.com")


def changes_password(w):
    w.admin.set_password("a-long-one-2026")
    w.admin.save()
    w.client.force_login(w.admin)
    w.post("/profile/password/", old_password="a-long-one-2026",
           new_password1="quite-another-2026", new_password2="quite-another-2026")  # fmt: skip


def sees_recovery_codes(w):
    RecoveryCodes.activate(w.admin)
    AuditEvent.objects.filter(act="second factor added").get()
    for _ in range(2):
        assert w.client.get(reverse("mfa_view_recovery_codes")).status_code == 200


def takes_recovery_codes_away(w):
    RecoveryCodes.activate(w.admin)
    assert w.client.get(reverse("mfa_download_recovery_codes")).status_code == 200


def ends_others_second_factor(w):
    factor = RecoveryCodes.activate(w.amina).instance
    w.post(f"/admin/mfa/authenticator/{factor.pk}/delete/", post="yes")


def is_refused(w):
    w.client.force_login(w.amina)
    assert w.client.get("/charts/").status_code == 403


# -- the platform


def stops_payouts(w):
    w.post("/admin/paymentvault/killswitch/add/", reason="For a test.")


def lets_payouts_go(w):
    KillSwitch.objects.create(stopped_by="amina", reason="For a test.")
    w.post("/admin/paymentvault/killswitch/1/delete/", post="yes")


def stops_payouts_by_command(w):
    stopping.stop(by="psql@server", reason="For a test.")


def exports_the_audit(w):
    w.post("/admin/paymentvault/auditevent/export/?actor=amina")


def verifies_the_audit(w):
    w.post("/admin/paymentvault/auditevent/verify/")


def proposes_network(w):
    networks.propose(ip_network("10.9.0.0/16"), ports=[8443], reason="For a test.", by=w.admin)


def encrypts_anew(w):
    call_command("rotate_fernet_keys", stdout=StringIO())


# -- a partner's programs and its webhook


def makes_key(w):
    key, _ = keys.make(
        w.lender, name="Core", scopes=[Scope.PARTNERS_READ], allowed_networks=["10.0.0.0/8"],
        expires_at=timezone.now() + timedelta(days=30), by=w.admin,
    )  # fmt: skip
    return key


def revokes_key(w):
    keys.revoke(makes_key(w), by=w.admin, reason="For a test.")


def endpoint(w):
    return WebhookEndpoint.objects.create(
        partner=w.lender, url="https://core.example/hooks", made_by=w.admin
    )


def sees_signing_secret(w):
    endpoints.reveal(endpoint(w), by=w.admin)


def rotates_signing_secret(w):
    endpoints.rotate(endpoint(w), by=w.admin, keep_old=True, reason="For a test.")


def sees_webhook_address(w):
    w.get("connection")
    for _ in range(2):
        assert w.client.get("/partners/pamoja/mifos/webhook/").status_code == 200


def makes_webhook_address(w):
    row = w.get("connection")
    type(row).objects.update(webhook_token="", webhook_token_hash=None)
    w.post("/partners/pamoja/mifos/webhook/make/")


# -- money


def approves(w):
    row = w.get("manual")(Status.AWAITING_APPROVAL, requested_by=w.amina)
    approval.approve(row, by=w.admin, note="For a test.")


def takes_in_automatically(w):
    w.get("take_in")()


def enters(w):
    given = entry.Entry(w.lender, "Amina", AMINA, Decimal("10000.00"), "For a test.")
    entry.enter(given, by=w.amina)


def cancels(w):
    approval.cancel(w.get("manual")(Status.FAILED), by=w.admin, reason="For a test.")


def takes_in_a_top_up(w):
    w.get("take_in")(is_top_up=True)


def settles(w):
    attempt = w.get("sent")(Status.IN_DOUBT, attempt="unknown")
    Attempt.objects.update(created_at=PAID_AT, sent_at=PAID_AT)
    made = settlement.propose(
        attempt.disbursement, outcome="paid", evidence_words="M-Pesa's statement.", by=w.amina,
        receipt="TJM7ABCDEF", paid_at=datetime.fromisoformat(PAID_AT),
    )  # fmt: skip
    settlement.confirm(made, by=w.baraka)


def moves(to, was=Status.SENT, **changes):
    def move(w):
        w.get("sent")(was).disbursement.move(to, by="M-Pesa", note="For a test.", **changes)

    return move


# Long enough ago that nothing is under way any more.
PAID_AT = timezone.localtime(timezone.now() - timedelta(days=2)).isoformat()
USER, GROUP, LOAN = "paymentvault.user", "auth.group", "disbursements.disbursement"
TO_AMINA = {"amount": "10000.00", "currency": "KES", "recipient": "…5678"}
FROM = {"shortcode": "600997 (Sandbox)"}
MONEY = {"note": "For a test.", **TO_AMINA, **FROM}
TABLE = [
    (adds_person, [Line("person added", USER, detail={
        "username": change(None, "chege"), "password": "changed"})]),
    (makes_superuser, [Line("person changed", USER, detail={
        "is_superuser": change(False, True), "is_staff": change(False, True)})]),
    (makes_inactive, [Line("person changed", USER, detail={"is_active": change(True, False)})]),
    (gives_right, [Line("person changed", USER, detail={"user_permissions": change(
        [], ["Partners | partner | Can change partner"])})]),
    (puts_into_group, [Line("person changed", USER, detail={"groups": change([], ["Tellers"])})]),
    (sets_password, [Line("person given a new password", USER, detail={"password": "changed"})]),
    (adds_group, [Line("group added", GROUP, detail={
        "name": change(None, "Tellers"), "permissions": change(
            None, ["Disbursements | disbursement | Can add disbursement"])})]),
    (changes_group, [Line("group changed", GROUP, detail={"permissions": change(
        [], ["Disbursements | disbursement | Can add disbursement"])})]),
    (deletes_group, [Line("group deleted", GROUP)]),
    (deletes_groups, [Line("group deleted", GROUP)]),
    (gives_platform_role, [Line("role given", USER, detail={"role": "auditor"})]),
    (takes_platform_role, [Line("role taken away", USER, detail={"role": "auditor"})]),
    (signs_in, [Line("signed in", USER, detail={"shown": "password"}, actor="amina")]),
    (signs_in_wrongly, [Line("refused", USER, actor="stranger", detail={
        "what": "a sign-in with a wrong name or password"})]),
    (signs_out, [Line("signed out", USER)]),
    (changes_profile, [Line("profile changed", USER, detail={"changed": ["email"]})]),
    (changes_persons_name, [Line("person changed", USER, detail={
        "first_name": "changed", "email": "changed"})]),
    (changes_password, [Line("password changed", USER, detail={"sessions_ended": 1})]),
    (sees_recovery_codes, [Line("second factor added", USER, actor="system"),
                           Line("recovery codes shown", USER)]),
    (takes_recovery_codes_away, [Line("second factor added", USER, actor="system"),
                                 Line("recovery codes downloaded", USER)]),
    (ends_others_second_factor, [
        Line("second factor added", USER, actor="system"),
        Line("second factor removed", USER, detail={"which": "recovery code"}),
        Line("sessions ended", USER, detail={"count": 0})]),
    (is_refused, [Line("refused", actor="amina", detail={"what": "GET /charts/"})]),
    (stops_payouts, [Line("payouts stopped", detail={"reason": "For a test."})]),
    (lets_payouts_go, [Line("payouts go again")]),
    (stops_payouts_by_command, [Line("payouts stopped", actor="psql@server")]),
    (exports_the_audit, [Line("audit exported", detail={"filter": "actor=amina"})]),
    (verifies_the_audit, [Line("audit's check started", detail={"kept_link": ""})]),
    (proposes_network, [Line("network proposed", "paymentvault.allowednetwork", detail={
        "reason": "For a test."})]),
    (encrypts_anew, [Line("secrets encrypted anew", actor="system")]),
    (makes_key, [Line("api key made", "partners.apikey", "pamoja", detail={
        "scopes": ["partners:read"], "networks": ["10.0.0.0/8"]})]),
    (revokes_key, [Line("api key made", "partners.apikey", "pamoja"),
                   Line("api key revoked", "partners.apikey", "pamoja",
                        {"reason": "For a test."})]),
    (sees_signing_secret, [
        Line("webhook endpoint secret shown", "partners.webhookendpoint", "pamoja")]),
    (rotates_signing_secret, [
        Line("webhook endpoint secret rotated", "partners.webhookendpoint", "pamoja")]),
    (sees_webhook_address, [
        Line("webhook address shown", "partners.mifosconnection", "pamoja")]),
    (makes_webhook_address, [
        Line("webhook address made", "partners.mifosconnection", "pamoja")]),
    (approves, [Line("disbursement approved", LOAN, "pamoja", TO_AMINA)]),
    (enters, [Line("disbursement awaits approval", LOAN, "pamoja", TO_AMINA, "amina"),
              Line("disbursement entered", LOAN, "pamoja", TO_AMINA, "amina")]),
    (cancels, [Line("disbursement cancelled", LOAN, "pamoja", TO_AMINA)]),
    (takes_in_a_top_up, [Line("disbursement held", LOAN, "pamoja", {"holds": ["top_up"]},
                              "Mifos X")]),
    (settles, [
        Line("settlement proposed", LOAN, "pamoja", {
            **TO_AMINA, **FROM, "receipt": "TJM7ABCDEF", "paid_at": PAID_AT}, "amina"),
        Line("disbursement paid", LOAN, "pamoja", TO_AMINA, "baraka"),
        Line("settlement confirmed", LOAN, "pamoja", {
            **TO_AMINA, **FROM, "receipt": "TJM7ABCDEF", "paid_at": PAID_AT}, "baraka")]),
    (takes_in_automatically, [Line("disbursement approved automatically", LOAN, "pamoja",
                                   actor="Mifos X", detail={"amount": "9500.00"})]),
    (moves(Status.APPROVED, Status.SENDING),
     [Line("M-Pesa was not asked after all", LOAN, "pamoja", MONEY, "M-Pesa")]),
    (moves(Status.SENDING, Status.APPROVED),
     [Line("M-Pesa is about to be asked to pay", LOAN, "pamoja", MONEY, "M-Pesa")]),
    (moves(Status.CANCELLED, Status.APPROVED),
     [Line("disbursement cancelled", LOAN, "pamoja", MONEY, "M-Pesa")]),
    (moves(Status.PAID, mpesa_receipt="TJM7XXXXXX", paid_at="2026-11-23T09:00Z"),
     [Line("disbursement paid", LOAN, "pamoja", {**MONEY, "receipt": "TJM7XXXXXX"}, "M-Pesa")]),
    (moves(Status.FAILED), [Line("disbursement failed", LOAN, "pamoja", MONEY, "M-Pesa")]),
    (moves(Status.IN_DOUBT), [Line("disbursement in doubt", LOAN, "pamoja", MONEY, "M-Pesa")]),
    (moves(Status.RECORDED, Status.PAID),
     [Line("disbursement recorded", LOAN, "pamoja", MONEY, "M-Pesa")]),
]  # fmt: skip
# What no page does has no address and no request of its own.
WITHOUT_A_REQUEST = {
    stops_payouts_by_command, proposes_network, encrypts_anew, makes_key, revokes_key,
    sees_signing_secret, rotates_signing_secret, approves, takes_in_automatically,
    enters, cancels, takes_in_a_top_up, settles,
}  # fmt: skip


@pytest.mark.parametrize("act, expected", TABLE, ids=[act.__name__ for act, _ in TABLE])
def test_each_act_leaves_exactly_its_line(world, act, expected):
    before = AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0

    act(world)

    lines = list(AuditEvent.objects.filter(pk__gt=before).order_by("pk"))
    if act in (changes_password,):
        lines = [line for line in lines if line.act != "signed in"]
    assert [(one.act, one.actor, one.about_type, one.partner_code) for one in lines] == [
        (one.act, one.actor, one.about, one.partner) for one in expected
    ]
    for line, wanted in zip(lines, expected, strict=True):
        assert {**line.detail, **wanted.detail} == line.detail
        assert bool(line.about_id) == bool(wanted.about)
        is_by_page = act not in WITHOUT_A_REQUEST and act.__name__ != "move"
        if is_by_page and wanted.actor != "system":
            assert line.source_address == "127.0.0.1" and len(line.request_id) == 36
            assert (line.user is None) == (wanted.actor == "stranger")


def test_a_line_about_money_names_its_request_to_m_pesa(sent):
    attempt = sent(Status.IN_DOUBT)
    attempt.disbursement.move(Status.FAILED, by="M-Pesa", note="For a test.")

    told = AuditEvent.objects.latest("pk").detail
    assert told["originator_conversation_id"] == attempt.originator_conversation_id
    assert AMINA not in str(told)


def test_a_recipient_that_was_changed_past_the_system_shows(sent, capsys):
    disbursement = sent().disbursement
    disbursement.move(Status.FAILED, by="M-Pesa", note="For a test.")
    call_command("verify_recipients")
    by_force("UPDATE disbursements_disbursement SET msisdn = '254711000000'")

    with pytest.raises(CommandError, match="1 lines"):
        call_command("verify_recipients")
    assert f"another recipient of {disbursement.reference}, …5678" in capsys.readouterr().err


def test_the_mark_of_a_number_survives_another_secret_key(db, settings):
    before = audited.mark("DSB-1", AMINA)
    settings.SECRET_KEY = "quite-another"
    call_command("rotate_fernet_keys", stdout=StringIO())

    assert audited.mark("DSB-1", AMINA) == before
    assert audited.mark("DSB-2", AMINA) != before and len(before) == 64


def test_no_line_of_people_has_a_password(world):
    adds_person(world)
    sets_password(world)

    kept = str(list(AuditEvent.objects.values_list("detail", flat=True)))
    hashes = User.objects.values_list("password", flat=True)
    assert "a-long-one-2026" not in kept and not any(one in kept for one in hashes if one)


def test_nobody_who_did_something_can_be_deleted(world):
    page = f"{PEOPLE}{world.amina.pk}/delete/"

    assert world.client.post(page, {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=world.amina.pk).exists()


def test_what_fails_leaves_no_line(world, monkeypatch):
    def fail(*given, **more):
        raise ZeroDivisionError

    before = AuditEvent.objects.count()
    monkeypatch.setattr("paymentvault.people_admin.PersonAdmin.log_change", fail)
    with pytest.raises(ZeroDivisionError):
        makes_superuser(world)

    assert AuditEvent.objects.count() == before
    assert not User.objects.get(pk=world.amina.pk).is_superuser


def test_a_worker_without_a_request_names_its_task(db):
    import structlog

    with structlog.contextvars.bound_contextvars(task_id="a-task"):
        assert audit.record("x", by="system").request_id == "a-task"
    with structlog.contextvars.bound_contextvars(task_id="a-task", request_id="a-request"):
        assert audit.record("x", by="system").request_id == "a-request"
