"""Two people for settings that can move money: what waits, who decides, and what is left of it."""

import json
from html import unescape

import pgtrigger
import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from disbursements import entry
from disbursements.models import Disbursement
from partners import changes
from partners.models import (
    LoanProduct,
    Membership,
    MifosConnection,
    MpesaShortcode,
    Partner,
    Role,
    SettingsChange,
)
from paymentvault.acts import Refusal
from paymentvault.models import AuditEvent, User
from paymentvault.sandbox.keys import shared_keys
from tests.disbursements.at_once import at_once
from tests.partners.pages.people import ALL, said, words
from tests.samples import AMINA

CANARY = "canary-9c41"
EDIT, MIFOS, ADD = (f"/partners/pamoja/{name}/" for name in ("edit", "mifos", "mpesa/add"))
PRODUCTS = f"{MIFOS}products/"


def posted(client, url, **changes):
    """What the page's form holds, with some fields typed over; None leaves a box empty."""
    page = client.get(url)
    forms = page.context["forms"] if url == PRODUCTS else [page.context["form"]]
    data = {}
    if url == PRODUCTS:
        initial = forms.management_form.initial
        data = {f"form-{name}": str(value) for name, value in initial.items()}
    for field in (field for form in forms for field in form):
        value = field.value()
        if value not in (None, False, ""):
            data[field.html_name] = "on" if value is True else str(value)
    given = data | {"reason": "The lender asked for it."} | changes
    return client.post(url, {name: value for name, value in given.items() if value is not None})


def only():
    return SettingsChange.objects.get()


def page_of(change, act=""):
    return f"/settings-changes/{change.pk}/{act and act + '/'}"


@pytest.fixture
def used(connection, shortcode, settings):
    """In use, for its connection is on; with two products, one of them paid automatically."""
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "hooks.pamoja.test"]
    for number, is_automatic in ((1, True), (2, False)):
        LoanProduct.objects.create(connection=connection, product_id=number,
                                   name=f"Loan {number}", is_automatic=is_automatic)  # fmt: skip
    second = MpesaShortcode.objects.create(
        partner=connection.partner, shortcode="600100", consumer_key="k", consumer_secret="s",
        initiator_name="api", initiator_password="p", certificate=shared_keys().certificate_pem,
    )  # fmt: skip
    return {"EDIT": EDIT, "MIFOS": MIFOS, "PRODUCTS": PRODUCTS, "ADD": ADD,
            "DEFAULT": f"/partners/pamoja/mpesa/{shortcode.pk}/edit/",
            "OTHER": f"/partners/pamoja/mpesa/{second.pk}/edit/"}  # fmt: skip


NEW_SHORTCODE = {
    "shortcode": "600200", "environment": "sandbox", "consumer_key": "k", "consumer_secret": "s",
    "initiator_name": "api", "initiator_password": "p", "is_active": "on",
    "certificate": shared_keys().certificate_pem,
}  # fmt: skip
WAITS, AT_ONCE = True, False
TABLE = [
    ("EDIT", {"max_amount": "900"}, WAITS),
    ("EDIT", {"min_amount": "1"}, WAITS),
    ("EDIT", {"max_amount": "900", "name": "Mixed"}, WAITS),
    ("EDIT", {"max_amount": "900", "is_active": None}, WAITS),
    ("EDIT", {"is_active": None}, AT_ONCE),
    ("EDIT", {"name": "Renamed", "contact": "0700"}, AT_ONCE),
    ("MIFOS", {"host_url": "https://new.test", "password": "typed"}, WAITS),
    ("MIFOS", {"tenant_id": "other"}, WAITS),
    ("MIFOS", {"api_path": "/api/v1"}, WAITS),
    ("MIFOS", {"username": "other"}, WAITS),
    ("MIFOS", {"password": "typed"}, WAITS),
    ("MIFOS", {"ca_bundle": shared_keys().certificate_pem, "password": "typed"}, WAITS),
    ("MIFOS", {"payment_type_id": "9"}, WAITS),
    ("MIFOS", {"hook_host": "hooks.pamoja.test"}, WAITS),
    ("MIFOS", {"oauth_token_url": "https://new.test/t", "oauth_client_id": "i",
               "oauth_client_secret": "s", "password": "typed"}, WAITS),
    ("MIFOS", {"time_zone": "Africa/Kampala"}, AT_ONCE),
    ("MIFOS", {"time_zone": "Africa/Kampala", "tenant_id": "other"}, WAITS),
    ("PRODUCTS", {"form-1-is_automatic": "on"}, WAITS),
    ("PRODUCTS", {"form-0-max_amount": "5"}, WAITS),
    ("PRODUCTS", {"form-0-is_automatic": None, "form-1-min_amount": "5"}, WAITS),
    ("PRODUCTS", {"form-0-is_automatic": None}, AT_ONCE),
    ("ADD", NEW_SHORTCODE, WAITS),
    ("DEFAULT", {"initiator_name": "other"}, WAITS),
    ("DEFAULT", {"initiator_password": "typed"}, WAITS),
    ("DEFAULT", {"consumer_key": "typed"}, WAITS),
    ("DEFAULT", {"shortcode": "600998"}, WAITS),
    ("OTHER", {"is_default": "on"}, WAITS),
    ("OTHER", {"is_active": None, "initiator_name": "other"}, WAITS),
    ("DEFAULT", {"is_active": None}, AT_ONCE),
]  # fmt: skip


def told(value):
    """For the test's name."""
    return "+".join(value) if isinstance(value, dict) else str(value)


def saved():
    """All settings as they stand."""
    rows = [Partner, MifosConnection, MpesaShortcode, LoanProduct]
    left_out = {"updated_at", "credential_set_at", "password_set_at"}
    return [
        {name: value for name, value in row.items() if name not in left_out}
        for model in rows
        for row in model.objects.order_by("pk").values()
    ]


class TestWhatWaits:
    @pytest.mark.parametrize("at, changed, waits", TABLE, ids=told)
    def test_once_a_partner_is_in_use(self, admin, used, confirm, at, changed, waits):
        before = saved()

        answer = posted(admin, used[at], **changed)

        assert answer.status_code == 302, words(answer)
        assert SettingsChange.objects.exists() == waits
        assert (saved() == before) == waits
        if waits:
            assert "Saved as a proposal." in said(answer)[0]
            assert "Applied." in said(confirm())[-1] and saved() != before
            assert only().state == "applied"

    @pytest.mark.parametrize(
        "at, changed", [row[:2] for row in TABLE if row[2] and row[0] != "ADD"], ids=told
    )
    def test_what_a_second_person_applies_is_what_one_would_have_saved(
        self, admin, used, confirm, at, changed
    ):
        """One code path: proofs void, switches off and a default taken over as ever."""
        point = transaction.savepoint()
        _never_in_use()
        assert posted(admin, used[at], **changed).status_code == 302
        assert not SettingsChange.objects.exists()
        alone = saved()
        transaction.savepoint_rollback(point)

        posted(admin, used[at], **changed)
        confirm()

        assert _without_use(saved()) == _without_use(alone)

    @pytest.mark.parametrize("at, changed", [row[:2] for row in TABLE if row[2]], ids=told)
    def test_before_a_partner_is_in_use_one_person_sets_it_up(self, admin, used, at, changed):
        _never_in_use()

        answer = posted(admin, used[at], **changed)

        assert answer.status_code == 302 and not SettingsChange.objects.exists()

    def test_a_change_of_nothing_is_no_proposal(self, admin, used):
        for url in used.values():
            if url != ADD:
                assert posted(admin, url).status_code == 302

        assert not SettingsChange.objects.exists() and not AuditEvent.objects.exists()

    def test_it_needs_a_reason(self, admin, used):
        answer = posted(admin, EDIT, max_amount="900", reason=" ")

        assert answer.status_code == 422 and "tell them why" in words(answer)
        assert not SettingsChange.objects.exists()

    def test_nothing_more_of_a_thing_is_proposed_while_a_change_of_it_waits(self, admin, used):
        posted(admin, EDIT, max_amount="900")

        answer = posted(admin, EDIT, max_amount="800")

        assert answer.status_code == 422 and "waits for a second person already" in words(answer)
        assert page_of(only()) in words(admin.get(EDIT))
        assert page_of(only()) in words(admin.get("/partners/pamoja/"))
        posted(admin, used["DEFAULT"], initiator_name="other")
        assert SettingsChange.objects.count() == 2

    def test_what_is_safer_needs_nobody_while_a_change_waits(self, admin, used):
        posted(admin, EDIT, max_amount="900")

        posted(admin, EDIT, is_active=None)

        assert not Partner.objects.get().is_active and only().state == "waiting"


def _never_in_use():
    """As it was before its connection was switched on."""
    with pgtrigger.ignore("partners.Partner:in_use_for_good"):
        Partner.objects.update(in_use_since=None)


def _without_use(rows):
    return [{n: v for n, v in row.items() if n != "in_use_since"} for row in rows]


class TestInUse:
    def test_a_partner_is_in_use_once_its_connection_is_on_and_for_good(self, lender, connection):
        since = Partner.objects.get().in_use_since
        assert since

        MifosConnection.objects.update(is_on=False)
        Partner.objects.update(in_use_since=None)

        assert Partner.objects.get().in_use_since == since

    def test_the_first_disbursement_by_hand_puts_a_partner_in_use(self, lender, shortcode, amina):
        assert Partner.objects.get().in_use_since is None

        entry.enter(entry.Entry(lender, "Amina", AMINA, 100, "Rent"), by=amina)

        assert Disbursement.objects.exists() and Partner.objects.get().in_use_since

    def test_a_loan_that_is_taken_in_puts_a_partner_in_use(self, connection, take_in):
        _never_in_use()
        connection.partner.refresh_from_db()

        take_in()

        assert Partner.objects.get().in_use_since


class TestThePage:
    def test_it_shows_what_was_and_would_be_and_who_may_confirm(self, admin, second, used):
        posted(admin, EDIT, max_amount="900")

        page = words(second.get(page_of(only())))

        assert "Largest disbursement, KES" in page
        assert "<strong>900.00</strong>" in page and "no limit" in page
        assert "The lender asked for it." in page and "chege" in page and "wanjiru" in page
        assert "Confirm…" in page and "Withdraw…" not in page
        own = words(admin.get(page_of(only())))
        assert "Confirm…" not in own and "Withdraw…" in own

    def test_it_tells_what_else_saving_does(self, admin, used):
        posted(admin, MIFOS, tenant_id="other")
        posted(admin, used["OTHER"], is_default="on")

        connection, shortcode = SettingsChange.objects.order_by("pk")
        assert {"label": "Tenant", "from": "default", "to": "other"} in connection.difference
        assert connection.difference[-1]["to"].startswith("Switched off")
        assert shortcode.facts == [["M-Pesa shortcode", "600100 (Sandbox)"]]
        assert {"label": "Payouts go from", "from": "600997", "to": "600100"} in (
            shortcode.difference
        )

    def test_a_certificate_is_told_by_its_fingerprint(self, admin, used):
        posted(admin, MIFOS, ca_bundle=shared_keys().certificate_pem, password="typed")

        line = next(line for line in only().difference if line["label"] == "CA bundle")
        assert line["from"] == "nothing" and line["to"].count(":") == 31

    @pytest.mark.lesson(15)
    @pytest.mark.parametrize("decision", ["confirm", "refuse", "withdraw"])
    @pytest.mark.parametrize(
        "at, secrets",
        [("MIFOS", ["password"]),
         ("DEFAULT", ["consumer_key", "consumer_secret", "initiator_password"])],
    )  # fmt: skip
    def test_a_secret_is_on_no_page_nor_in_the_audit_and_gone_once_it_is_decided(
        self, admin, second, press, used, at, secrets, decision
    ):
        posted(admin, used[at], **dict.fromkeys(secrets, CANARY))
        change = only()
        assert {json.loads(change.proposal)[name] for name in secrets} == {CANARY}
        hidden = [line for line in change.difference if line["from"] == "saved, never shown"]
        assert len(hidden) == len(secrets) and all(line["to"] == "changed" for line in hidden)
        shown = [admin.get(page_of(change)), second.get(page_of(change)),
                 second.get("/settings-changes/"), second.get(page_of(change, "confirm")),
                 admin.get(used[at]), admin.get("/partners/pamoja/")]  # fmt: skip

        who = admin if decision == "withdraw" else second
        press(who, page_of(change, decision))

        shown.append(second.get(page_of(change)))
        assert not [page for page in shown if CANARY in page.text or page.status_code != 200]
        assert CANARY not in str(list(AuditEvent.objects.values()))
        with connection.cursor() as cursor:
            cursor.execute("SELECT state, proposal FROM partners_settingschange")
            [(state, proposal)] = cursor.fetchall()
        assert state != "waiting" and proposal is None

    def test_the_list_has_those_that_wait_first_and_is_filtered(self, admin, press, second, used):
        posted(admin, EDIT, max_amount="900")
        first = only()
        posted(admin, MIFOS, tenant_id="other")
        newer = SettingsChange.objects.exclude(pk=first.pk).get()
        press(second, page_of(newer, "refuse"))

        def listed(query=""):
            page = second.get(f"/settings-changes/{query}")
            return [row.pk for row, _ in page.context["shown"]]

        assert listed() == [first.pk, newer.pk]
        assert listed("?state=refused") == [newer.pk]
        assert listed("?partner=pamoja&state=waiting") == [first.pk]
        assert listed("?state=nonsense") == [first.pk, newer.pk]

    def test_home_tells_who_may_confirm_it_and_not_who_proposed_it(self, admin, second, used):
        posted(admin, EDIT, max_amount="900")

        sentence = "1 change of settings waits for a second person"
        assert sentence in words(second.get("/")) and sentence not in words(admin.get("/"))


class TestDeciding:
    @pytest.fixture
    def waiting(self, admin, used):
        posted(admin, EDIT, max_amount="900")
        return only()

    def test_whoever_proposed_it_confirms_nothing(self, admin, press, waiting):
        answer = press(admin, page_of(waiting, "confirm"))

        assert answer.status_code == 409 and "somebody else must decide it" in words(answer)
        assert press(admin, page_of(waiting, "refuse")).status_code == 409
        assert only().state == "waiting" and Partner.objects.get().max_amount is None

    def test_only_whoever_proposed_it_withdraws_it(self, admin, press, second, waiting):
        assert press(second, page_of(waiting, "withdraw")).status_code == 409

        press(admin, page_of(waiting, "withdraw"))

        assert only().state == "withdrawn" and Partner.objects.get().max_amount is None
        assert AuditEvent.objects.get(act="partner change withdrawn").actor == "chege"

    def test_one_that_is_refused_changes_nothing_and_says_why(self, press, second, waiting):
        press(second, page_of(waiting, "refuse"), reason="Not agreed.")

        row = only()
        assert (row.state, row.decided_by.username) == ("refused", "wanjiru")
        assert row.decision_note == "Not agreed." and Partner.objects.get().max_amount is None
        line = AuditEvent.objects.get(act="partner change refused")
        assert (line.actor, line.detail["reason"]) == ("wanjiru", "Not agreed.")

    def test_the_audit_tells_the_proposal_and_who_changed_it(self, confirm, waiting):
        confirm()

        asked = AuditEvent.objects.get(act="partner change proposed")
        assert (asked.actor, asked.detail["max_amount"]) == ("chege", {"from": None, "to": "900"})
        line = AuditEvent.objects.get(act="partner changed")
        assert (line.actor, line.detail["proposed_by"]) == ("wanjiru", "chege")
        assert line.detail["max_amount"] == {"from": None, "to": "900"}

    @pytest.mark.parametrize("act", ["confirm", "refuse", "withdraw"])
    def test_what_is_decided_is_decided(self, press, second, confirm, waiting, act):
        once = second.get(page_of(waiting, act)).context["once"]
        confirm()
        Partner.objects.update(max_amount=5)

        answer = press(second, page_of(waiting, act), opens=False, once=once)

        assert answer.status_code == 409
        assert only().state == "applied" and Partner.objects.get().max_amount == 5

    @pytest.mark.parametrize(
        "meanwhile",
        [
            lambda: Partner.objects.update(max_amount=500),
            lambda: Partner.objects.update(max_amount=900),
            lambda: Partner.objects.update(min_amount=1_000),
        ],
        ids=["another sum was saved", "the same sum was saved", "it isn't valid any more"],
    )
    def test_what_does_not_fit_any_more_is_outdated(self, confirm, waiting, meanwhile):
        meanwhile()
        before = saved()

        answer = confirm()

        assert "Nothing was changed, and it waits no longer." in said(answer)[-1]
        assert only().state == "outdated" and saved() == before
        assert AuditEvent.objects.filter(act="partner change outdated", actor="wanjiru").exists()
        assert not AuditEvent.objects.filter(act="partner changed").exists()

    def test_what_else_was_saved_meanwhile_is_kept(self, admin, confirm, waiting):
        posted(admin, EDIT, name="Renamed")

        confirm()

        partner = Partner.objects.get()
        assert (partner.name, partner.max_amount) == ("Renamed", 900)

    def test_a_tenant_that_another_partner_took_meanwhile_is_outdated(self, admin, confirm, used):
        posted(admin, MIFOS, tenant_id="taken")
        umoja = Partner.objects.create(name="Umoja", code="umoja")
        there = MifosConnection.objects.get().host_url
        MifosConnection.objects.create(partner=umoja, host_url=there, tenant_id="taken")

        assert "already connected" in unescape(said(confirm())[-1])

        assert only().state == "outdated"

    def test_confirming_needs_the_right_to_change_the_same(self, signed_in, admin, used):
        posted(admin, used["DEFAULT"], initiator_name="other")
        client = Client()
        signed_in("view_partner", "change_partner", username="only-limits", on=client)

        assert client.get(page_of(only())).status_code == 200
        assert client.post(page_of(only(), "confirm")).status_code == 403
        assert "Confirm…" not in words(client.get(page_of(only())))

    def test_whoever_lost_the_right_meanwhile_decides_nothing(self, waiting, baraka):
        with pytest.raises(Refusal):
            changes.confirm(waiting, by=baraka)

        assert only().state == "waiting"

    @pytest.mark.parametrize("act", ["", "confirm", "refuse", "withdraw"])
    def test_another_partners_administrator_finds_none(self, waiting, baraka, act):
        umoja = Partner.objects.create(name="Umoja", code="umoja")
        Membership.objects.create(user=baraka, partner=umoja, role=Role.PARTNER_ADMINISTRATOR)
        client = Client()
        client.force_login(baraka)

        assert client.get(page_of(waiting, act)).status_code == 404
        assert client.post(page_of(waiting, act)).status_code == 404
        assert client.get("/settings-changes/").context["shown"] == []

    def test_who_sits_there_is_asked_again_before_confirming(self, second, waiting, settings):
        settings.ASK_AGAIN_AFTER_S = 300

        answer = second.post(page_of(waiting, "confirm"), {"reason": "x"})

        assert answer.status_code == 302 and answer.url.startswith("/second-factor/")
        assert only().state == "waiting"


@pytest.mark.django_db(transaction=True)
def test_two_people_who_confirm_at_once_apply_it_once(admin, used):
    posted(admin, EDIT, max_amount="900")
    waiting = only()
    people = [User.objects.create_superuser(name, password=name) for name in ("one", "two", "tre")]

    results = at_once(lambda user: changes.confirm(waiting, by=user), people)

    assert sorted(type(result).__name__ for result in results) == ["Refusal", "Refusal", "str"]
    assert AuditEvent.objects.filter(act="partner changed").count() == 1


class TestTheDatabase:
    """Whatever the code does, and also by hand."""

    @pytest.fixture
    def row(self, lender, amina):
        return SettingsChange.objects.create(
            partner=lender, kind="partner", about="", proposal="{}", reason="So.",
            difference=[{"label": "Max", "from": "1", "to": "2"}], proposed_by=amina,
        )  # fmt: skip

    def decided(self, row, by, state="applied", **more):
        given = {"state": state, "decided_by": by, "decided_at": timezone.now(), "proposal": None}
        return SettingsChange.objects.filter(pk=row.pk).update(**given | more)

    def refuses(self, act):
        with pytest.raises(DatabaseError), transaction.atomic():
            act()

    @pytest.mark.parametrize("state", ["applied", "refused", "outdated"])
    def test_a_second_person_decides(self, row, amina, baraka, state):
        self.refuses(lambda: self.decided(row, amina, state))
        self.refuses(lambda: self.decided(row, None, state))

        assert self.decided(row, baraka, state)

    def test_only_the_proposer_withdraws(self, row, amina, baraka):
        self.refuses(lambda: self.decided(row, baraka, "withdrawn"))

        assert self.decided(row, amina, "withdrawn")

    def test_a_decision_empties_the_proposal_and_nothing_else_does(self, row, baraka):
        self.refuses(lambda: self.decided(row, baraka, proposal="{}"))
        self.refuses(lambda: SettingsChange.objects.update(proposal=None))

    @pytest.mark.parametrize(
        "change",
        [{"difference": []}, {"facts": ["x"]}, {"reason": "Other."}, {"about": "x"},
         {"kind": "shortcode"}, {"proposal": '{"max_amount": "1"}'},
         {"proposed_at": timezone.now()}],
        ids=str,
    )  # fmt: skip
    def test_what_was_proposed_stays(self, row, change):
        self.refuses(lambda: SettingsChange.objects.update(**change))

    def test_who_proposed_it_stays(self, row, baraka):
        self.refuses(lambda: SettingsChange.objects.update(proposed_by=baraka))

    def test_what_is_decided_stays_and_none_begins_decided(self, row, baraka, amina):
        self.decided(row, baraka)

        self.refuses(lambda: SettingsChange.objects.update(decision_note="x"))
        self.refuses(lambda: SettingsChange.objects.create(
            partner=row.partner, kind="partner", difference=[], reason="So.", proposed_by=amina,
            state="applied", decided_by=baraka, decided_at=timezone.now(), proposal=None,
        ))  # fmt: skip

    def test_one_of_a_thing_waits(self, row, baraka):
        def again():
            return SettingsChange.objects.create(
                partner=row.partner, kind="partner", about="", proposal="{}", reason="So.",
                difference=[], proposed_by=baraka,
            )  # fmt: skip

        self.refuses(again)
        self.decided(row, baraka)
        assert again()

    def test_none_is_deleted(self, row):
        self.refuses(lambda: SettingsChange.objects.all().delete())


def test_the_pages_ask_the_database_at_most_a_dozen_things(
    admin, second, used, django_assert_max_num_queries
):
    posted(admin, EDIT, max_amount="900")
    posted(admin, MIFOS, tenant_id="other")
    posted(admin, used["DEFAULT"], initiator_name="other")
    change = SettingsChange.objects.last()

    for url in ("/settings-changes/", page_of(change), page_of(change, "confirm"),
                "/partners/pamoja/", EDIT, MIFOS, used["DEFAULT"]):  # fmt: skip
        with django_assert_max_num_queries(12):
            assert second.get(url).status_code == 200


def test_all_that_sets_partners_up_may_confirm():
    assert {"change_partner", "change_mifosconnection", "change_mpesashortcode"} <= set(ALL)
    assert {changes.right_of(SettingsChange(kind=kind)) for kind in changes.Kind} == {
        "partners.change_partner", "partners.change_mifosconnection",
        "partners.change_mpesashortcode",
    }  # fmt: skip

    def test_a_secret_reads_as_saved_or_not_and_as_changed(self, admin, second, used):
        posted(admin, MIFOS, password="typed", oauth_client_secret="new", oauth_client_id="id",
               oauth_token_url="https://id.example.com/token")  # fmt: skip

        told = {line["label"]: (line["from"], line["to"]) for line in only().difference}

        assert told["Password"] == ("saved, never shown", "changed")
        assert ("nothing", "changed") in told.values()
        assert "saved, never shown" in words(second.get(page_of(only(), "confirm")))

    def test_it_tells_whoever_may_confirm_it_that_it_is_them(self, admin, second, used):
        posted(admin, EDIT, max_amount="900")

        assert "You may confirm it." in words(second.get(page_of(only())))
        assert "It may be confirmed by wanjiru." in words(admin.get(page_of(only())))
