"""Switching on is deliberate: it tells first what would happen, and waits until all is ready."""

from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.utils import timezone

from disbursements.models import Disbursement
from disbursements.states import Status
from mifos import polling
from partners import work
from partners.models import (
    LoanProduct,
    MifosConnection,
    MpesaShortcode,
    Partner,
    SettingsChange,
)
from paymentvault.models import AuditEvent, Job
from tests.partners.pages.people import SEES, said, words

ON, OFF, POLL = (f"/partners/pamoja/mifos/{name}/" for name in ("on", "off", "poll"))
AUTOMATIC, LOOK = "/partners/pamoja/automatic/", "/partners/pamoja/automatic/look/"
AUTOMATIC_OFF = f"{AUTOMATIC}off/"


class TestConnection:
    @pytest.fixture
    def tested(self, connection):
        MifosConnection.objects.update(is_on=False)
        return connection

    def test_it_is_switched_on_and_the_audit_tells_who_and_from_where(
        self, admin, press, tested, mifos
    ):
        page = words(admin.get(ON))
        assert "Those approved before are listed as held" in page and "pamoja" in ON

        press(admin, ON)

        assert MifosConnection.objects.get().is_on
        line = AuditEvent.objects.get(act="connection switched on")
        assert (line.actor, line.source_address) == ("chege", "10.1.2.3")
        assert line.detail == {"reason": "For a test."}

    def test_the_first_time_a_second_person_sees_the_whole_set_up_and_switches_it(
        self, admin, press, confirm, tested, shortcode, mifos
    ):
        MifosConnection.objects.update(switched_on_at=None)

        press(admin, ON)

        assert not MifosConnection.objects.get().is_on
        facts = dict(SettingsChange.objects.get().facts)
        assert facts["Mifos X"] == tested.base_url and facts["Tenant"] == "default"
        assert facts["Payment type"] == "26" and "600997" in facts["M-Pesa shortcode"]
        confirm()
        assert MifosConnection.objects.get().is_on
        line = AuditEvent.objects.get(act="connection switched on")
        assert (line.actor, line.detail["proposed_by"]) == ("wanjiru", "chege")

    @pytest.mark.parametrize(
        "change",
        [
            lambda: MpesaShortcode.objects.get().save(),
            lambda: MifosConnection.objects.get().save(),
            lambda: Partner.objects.update(max_amount=5),
            lambda: LoanProduct.objects.update(max_amount=5),
        ],
        ids=["shortcode", "connection", "limits", "product"],
    )
    def test_a_set_up_that_changed_since_it_was_shown_is_not_switched_on(
        self, admin, press, confirm, ready, mifos, change
    ):
        MifosConnection.objects.update(is_on=False, switched_on_at=None)
        press(admin, ON)
        change()

        assert "isn't what it was" in unescape(said(confirm())[-1])

        assert not MifosConnection.objects.get().is_on
        assert SettingsChange.objects.get().state == "outdated"

    def test_it_is_refused_until_it_is_tested(self, admin, press, tested):
        once = admin.get(ON).context["once"]
        MifosConnection.objects.update(configured_at=None)

        answer = press(admin, ON, opens=False, once=once)

        assert answer.status_code == 409 and "It must pass its test first" in words(answer)
        assert 'href="/partners/pamoja/mifos/"' in words(answer)
        assert not MifosConnection.objects.get().is_on

    def test_switching_off_asks_a_reason(self, admin, press, connection):
        assert press(admin, OFF, reason=" ").status_code == 422
        assert MifosConnection.objects.get().is_on

        press(admin, OFF)

        assert not MifosConnection.objects.get().is_on
        assert AuditEvent.objects.get().act == "connection switched off"

    def test_a_double_press_does_it_once(self, admin, press, connection):
        once = admin.get(OFF).context["once"]

        press(admin, OFF, opens=False, once=once)
        answer = press(admin, OFF, opens=False, once=once)

        assert "done already" in said(answer)[-1] and AuditEvent.objects.count() == 1

    def test_polling_now_takes_in_what_is_approved(self, admin, press, connection, approved):
        loan_id = approved()

        press(admin, POLL, opens=False)

        assert Disbursement.objects.get().loan_id == loan_id
        assert Job.objects.get().outcome == "Polled to its end. New loans: 1."
        assert AuditEvent.objects.filter(act="polled", actor="chege").exists()

    def test_that_polling_failed_is_told(self, admin, press, connection, mifos):
        mifos.down = True

        press(admin, POLL, opens=False)

        assert Job.objects.get().state == "failed"

    def test_one_that_is_off_isn_t_polled(self, admin, press, tested, approved):
        approved()

        press(admin, POLL, opens=False)

        assert "switched off" in Job.objects.get().outcome and not Disbursement.objects.exists()

    @pytest.mark.parametrize("url", [ON, OFF, POLL])
    def test_only_who_may_change_it_does_so(self, signed_in, connection, url):
        assert signed_in(*SEES).post(url).status_code == 403
        assert MifosConnection.objects.get().is_on and not Job.objects.exists()


@pytest.fixture
def ready(connection, shortcode, mifos):
    """All is set up; only automatic disbursement is off."""
    Partner.objects.update(is_automatic=False)
    LoanProduct.objects.create(connection=connection, product_id=1, name="Biashara Loan",
                               is_automatic=True)  # fmt: skip
    return Partner.objects.get()


def is_automatic():
    return Partner.objects.get().is_automatic


NOT_READY = {
    "not tested": (lambda: MifosConnection.objects.update(configured_at=None, is_on=False),
                   "passed its test"),
    "switched off": (lambda: MifosConnection.objects.update(is_on=False), "is switched off"),
    "no shortcode": (lambda: MpesaShortcode.objects.all().delete(), "No M-Pesa shortcode"),
    "no default shortcode": (lambda: MpesaShortcode.objects.update(is_default=False),
                             "No M-Pesa shortcode"),
    "an unproven credential": (lambda: MpesaShortcode.objects.update(credential_proved_at=None),
                               "taken the credential"),
    "no product": (lambda: LoanProduct.objects.update(is_automatic=False),
                   "No loan product is chosen"),
    "an inactive partner": (lambda: Partner.objects.update(is_active=False), "is not active"),
}  # fmt: skip


class TestAutomatic:
    @pytest.mark.parametrize("spoil, told", NOT_READY.values(), ids=list(NOT_READY))
    def test_until_all_is_ready_it_is_refused_with_a_way_out(
        self, admin, press, ready, spoil, told
    ):
        press(admin, LOOK, opens=False)
        once = admin.get(AUTOMATIC).context["once"]
        spoil()

        pressed = press(admin, AUTOMATIC, opens=False, once=once)
        assert pressed.status_code == 409
        for answer in (admin.get(AUTOMATIC), pressed):
            assert "Not possible yet" in words(answer) and told in words(answer)
            assert answer.context["reasons"][0][1].startswith("/partners/pamoja/")
        assert not is_automatic()

    def test_it_must_be_looked_at_before(self, admin, press, ready):
        answer = admin.get(AUTOMATIC)

        assert "once" not in answer.context and "Look now" in words(answer)
        press(admin, AUTOMATIC, opens=False, once="0b0a4a5e-3d0c-4a55-8f27-5a1c0d4c8f11")
        assert not is_automatic()

    def test_a_look_of_long_ago_counts_no_more(self, admin, press, ready):
        press(admin, LOOK, opens=False)
        assert "once" in admin.get(AUTOMATIC).context

        with time_machine.travel(timezone.now() + timedelta(minutes=11)):
            admin.force_login(admin.get("/partners/").wsgi_request.user)
            assert "once" not in admin.get(AUTOMATIC).context

    def test_it_shows_what_would_happen_and_that_is_what_happens(
        self, admin, press, confirm, ready, approved
    ):
        loans = [
            approved(), approved(mobile=None), approved(principal=20_000, product_id=2),
            approved(mobile="0722000000", principal=300_000), approved(mobile="0712345678"),
        ]  # fmt: skip

        press(admin, LOOK, opens=False)

        assert not Disbursement.objects.exists()
        page = words(admin.get(AUTOMATIC))
        told = [(line["label"], line["words"]) for line in Job.objects.get().lines]
        assert [label for label, _ in told] == [
            "Would be paid", "Would be held", "Would wait", "Would be held", "Would be held",
        ]  # fmt: skip
        assert "Would be paid: 1, KES 10,000.00 in all." in page and told[1][1] in page

        press(admin, AUTOMATIC)
        confirm()
        polling.poll(MifosConnection.objects.select_related("partner").get())

        became = {row.loan_id: row.status for row in Disbursement.objects.all()}
        labels = {"approved": "Would be paid", "held": "Would be held",
                  "awaiting_approval": "Would wait"}  # fmt: skip
        assert [labels[became[loan]] for loan in loans] == [label for label, _ in told]

    def test_what_waits_already_goes_on_waiting_and_that_is_said(
        self, admin, press, confirm, ready, take_in
    ):
        waiting = take_in()
        press(admin, LOOK, opens=False)

        page = words(admin.get(AUTOMATIC))
        assert "Awaiting approval: 1, KES 9,500.00 in all." in page
        assert "Switching on pays none of them." in page and waiting.reference in page

        press(admin, AUTOMATIC)
        confirm()

        waiting.refresh_from_db()
        assert is_automatic() and waiting.status == Status.AWAITING_APPROVAL

    def test_it_waits_for_a_second_person_and_the_audit_tells_both(
        self, admin, press, confirm, ready
    ):
        press(admin, LOOK, opens=False)

        answer = press(admin, AUTOMATIC)

        assert "waits for a second person: wanjiru" in said(answer)[-1]
        assert not is_automatic()
        asked = AuditEvent.objects.get(act="switching automatic disbursement on proposed")
        assert (asked.actor, asked.detail["reason"]) == ("chege", "For a test.")

        confirm()

        assert is_automatic()
        line = AuditEvent.objects.get(act="automatic disbursement switched on")
        assert (line.actor, line.source_address, line.partner_code) == (
            "wanjiru", "10.1.2.3", "pamoja")  # fmt: skip
        assert (line.detail["proposed_by"], line.detail["reason"]) == ("chege", "For a test.")

    @pytest.mark.parametrize("spoil, told", NOT_READY.values(), ids=list(NOT_READY))
    def test_it_is_looked_at_anew_when_the_second_person_confirms(
        self, admin, press, confirm, ready, spoil, told
    ):
        press(admin, LOOK, opens=False)
        press(admin, AUTOMATIC)
        spoil()

        assert told in said(confirm())[-1]

        assert not is_automatic()
        assert SettingsChange.objects.get().state == "outdated"

    def test_a_mifos_that_doesn_t_answer_keeps_it_off(self, admin, press, ready, mifos):
        mifos.down = True

        press(admin, LOOK, opens=False)

        answer = admin.get(AUTOMATIC)
        assert "once" not in answer.context and "Nothing was changed." in words(answer)

    def test_the_panel_shows_the_page_anew_once_the_look_is_over(self, admin, press, ready):
        press(admin, LOOK, opens=False)
        panel = f"{LOOK}panel/"
        assert admin.get(panel)["HX-Refresh"] == "true"

        Job.objects.update(state="running", ended_at=None)
        assert "HX-Refresh" not in admin.get(panel)
        assert 'hx-trigger="every 1s"' in words(admin.get(panel))

    def test_it_is_switched_off_at_once_whatever_the_state(self, admin, press, lender):
        press(admin, AUTOMATIC_OFF)

        assert not is_automatic()
        assert AuditEvent.objects.get().act == "automatic disbursement switched off"
        assert press(admin, AUTOMATIC_OFF).status_code == 409

    def test_the_page_asks_the_database_no_more_for_many_that_wait(
        self, admin, press, ready, facts, take_in, django_assert_max_num_queries
    ):
        press(admin, LOOK, opens=False)
        for number in range(15):
            take_in(loan_id=4_000 + number)

        with django_assert_max_num_queries(12):
            assert admin.get(AUTOMATIC).status_code == 200

    @pytest.mark.parametrize("url", [AUTOMATIC, AUTOMATIC_OFF, LOOK])
    def test_only_who_may_change_the_partner_does_so(self, signed_in, ready, url):
        client = signed_in(*SEES)

        assert client.post(url).status_code == 403
        assert not Job.objects.exists()

    def test_who_may_change_only_the_connection_can_t(self, signed_in, ready):
        assert signed_in(*SEES, "change_mifosconnection").get(AUTOMATIC).status_code == 403


def test_one_look_is_under_way_at_a_time(admin, press, ready):
    press(admin, LOOK, opens=False)
    Job.objects.update(state="running", ended_at=None)

    press(admin, LOOK, opens=False)

    assert Job.objects.filter(kind=work.OUTLOOK).count() == 1
