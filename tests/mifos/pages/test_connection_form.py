"""The form of a connection: secrets only go in, a test saves nothing, nobody is overwritten."""

import json
import threading
from copy import copy

import pytest
from django.utils import timezone

from mifos import connections
from partners import work
from partners.models import LoanProduct, MifosConnection, Partner
from paymentvault.models import AuditEvent, Job, User
from tests.disbursements.at_once import at_once
from tests.partners.pages.people import SEES, said, words

pytestmark = pytest.mark.django_db
URL, TEST = "/partners/pamoja/mifos/", "/partners/pamoja/mifos/test/"
SECRET = "canary-secret-1"
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def typed(lender, mifos_server):
    """What staff type for the pretend Mifos X."""

    def make(**changes):
        return {
            "host_url": mifos_server.url, "api_path": "/fineract-provider/api/v1",
            "tenant_id": "default", "username": "vault", "password": "mifos-password",
            "payment_type_id": "26", "time_zone": "Africa/Nairobi", "seen": "",
        } | changes  # fmt: skip

    return make


@pytest.fixture
def save(admin, typed):
    def act(**changes):
        seen = admin.get(URL).context["form"].initial["seen"]
        given = typed(seen=seen) | changes
        return admin.post(URL, given, REMOTE_ADDR="10.1.2.3")

    return act


class TestSaving:
    def test_a_new_connection_is_kept_off_and_in_the_audit(self, save):
        assert save(password=SECRET).url == "/partners/pamoja/"

        row = MifosConnection.objects.get()
        assert (row.password, row.is_on, row.configured_at) == (SECRET, False, None)
        line = AuditEvent.objects.get()
        assert (line.act, line.source_address) == ("Mifos X connection added", "10.1.2.3")
        assert line.detail["password"] == "changed" and SECRET not in str(line.detail)

    def test_an_empty_secret_keeps_the_saved_one(self, save, connection):
        save(password="", time_zone="Africa/Kampala")

        row = MifosConnection.objects.get()
        assert (row.password, row.time_zone) == ("mifos-password", "Africa/Kampala")
        assert row.is_on and row.configured_at

    def test_other_credentials_switch_it_off_once_a_second_person_confirms(
        self, save, confirm, connection
    ):
        answer = save(password="another", reason="The old one leaked.")

        assert "waits for a second person: wanjiru" in said(answer)[0]
        assert MifosConnection.objects.get().is_on

        assert "switched off" in said(confirm())[-1]
        row = MifosConnection.objects.get()
        assert (row.password, row.is_on, row.configured_at) == ("another", False, None)

    @pytest.mark.parametrize(
        "change, is_on",
        [({"host_url": "https://new.test"}, False), ({"tenant_id": "other"}, False), ({}, True)],
        ids=str,
    )
    def test_no_product_is_paid_automatically_from_another_mifos_unasked(
        self, save, confirm, connection, change, is_on
    ):
        """Its numbers are other products there."""
        LoanProduct.objects.create(
            connection=connection, product_id=1, name="Biashara", is_automatic=True
        )

        save(password="another", reason="They moved.", **change)
        told = said(confirm())[-1]

        assert LoanProduct.objects.get().is_automatic == is_on
        assert ("None of its loan products is paid automatically now" in told) != is_on

    def test_before_the_partner_is_in_use_one_person_saves_it(self, save):
        save()

        save(password="another")

        assert MifosConnection.objects.get().password == "another"

    @pytest.mark.lesson(15)
    def test_a_secret_is_shown_as_saved_with_its_day_and_never_given_back(self, admin, save):
        save(password=SECRET)
        save(password="", tenant_id="")

        page = words(admin.get(URL))
        assert f"Saved {timezone.localdate():%-d %B %Y}; never shown." in page
        assert SECRET not in page and SECRET not in words(save(password=SECRET, tenant_id=""))

    def test_the_day_is_that_of_the_secret_and_not_of_another_change(self, save, connection):
        day = timezone.now() - timezone.timedelta(days=40)
        MifosConnection.objects.update(updated_at=day)

        page = words(save(password="", tenant_id=""))
        assert f"Saved {timezone.localtime(day):%-d %B %Y}" in page

    def test_an_error_is_told_beside_its_field_and_the_rest_is_kept(self, save):
        answer = save(tenant_id="", username="wanjiru")

        assert answer.status_code == 422 and not MifosConnection.objects.exists()
        page = words(answer)
        assert 'value="wanjiru"' in page and 'id="id_tenant_id_error"' in page
        assert 'href="#id_tenant_id"' in page and "<title>Error:" in page

    def test_of_two_people_who_save_the_second_is_told(
        self, admin, save, confirm, typed, connection
    ):
        seen = admin.get(URL).context["form"].initial["seen"]
        save(password="", tenant_id="first", reason="They moved.")
        confirm()

        answer = admin.post(URL, typed(seen=seen, tenant_id="second"))

        assert answer.status_code == 422 and "Somebody else saved this" in words(answer)
        assert 'value="second"' in words(answer)
        assert MifosConnection.objects.get().tenant_id == "first"

    def test_of_two_who_add_one_the_second_is_told(self, admin, save, typed):
        save(tenant_id="first")

        assert "Somebody else saved this" in words(admin.post(URL, typed(tenant_id="second")))
        assert MifosConnection.objects.get().tenant_id == "first"


class TestPaymentType:
    TYPES = [{"id": 24, "name": "PTC", "is_cash": True}, {"id": 26, "name": "mPesa",
                                                          "is_cash": False}]  # fmt: skip

    def test_while_none_is_listed_its_number_is_typed(self, admin, connection):
        assert 'type="number" name="payment_type_id"' in words(admin.get(URL))

    def test_those_that_mifos_listed_are_offered_and_cash_is_not_usable(self, admin, connection):
        MifosConnection.objects.update(payment_types=self.TYPES)

        page = words(admin.get(URL))
        assert '<option value="26" selected>mPesa (26)</option>' in page
        assert '<option value="24" disabled>PTC (24): for cash, not usable</option>' in page

    def test_one_that_is_no_longer_listed_is_not_lost(self, admin, connection):
        MifosConnection.objects.update(payment_types=self.TYPES, payment_type_id=99)

        assert '<option value="99" selected>99: not listed by Mifos X' in words(admin.get(URL))


class TestTesting:
    def test_what_is_typed_is_tested_before_it_is_saved(self, admin, press, typed, mifos):
        answer = press(admin, TEST, opens=False, **typed())

        job = Job.objects.get()
        assert answer.url == f"/jobs/{job.pk}/"
        assert [line["result"] for line in job.lines] == ["ok"] * 6 + ["warning"]
        assert not MifosConnection.objects.exists() and not LoanProduct.objects.exists()
        assert "Nothing was switched on" in job.outcome and "isn't saved yet" in job.outcome

    def test_the_typed_secret_is_kept_encrypted_and_no_longer_than_needed(
        self, admin, typed, mifos, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks() as callbacks:
            admin.post(TEST, typed(password=SECRET))
        [job] = Job.objects.all()
        assert json.loads(job.given)["typed"]["password"] == SECRET
        raw = Job.objects.raw("SELECT id, encode(given, 'escape') AS kept FROM paymentvault_job")
        assert SECRET not in raw[0].kept

        for callback in callbacks:
            callback()

        job.refresh_from_db()
        assert job.is_over and job.given == ""
        assert SECRET not in str(job.lines) + job.outcome + str(list(AuditEvent.objects.values()))

    def test_an_empty_secret_means_the_saved_one(self, admin, press, typed, connection, mifos):
        press(admin, TEST, opens=False, **typed(password="", tenant_id="nobody"))

        job = Job.objects.get()
        assert job.lines[1]["words"] == "The server doesn't know this tenant id."
        connection.refresh_from_db()
        assert (connection.tenant_id, connection.last_test) == ("default", [])
        assert connection.is_on and connection.configured_at

    @pytest.mark.lesson(15)
    def test_the_saved_secret_isn_t_tried_on_another_server(
        self, admin, press, typed, connection, mifos
    ):
        other = "http://127.0.0.1:9"

        answer = press(admin, TEST, opens=False, **typed(password="", host_url=other))

        assert answer.status_code == 422 and not Job.objects.exists() and not mifos.requests
        assert "type this again" in words(answer)

    @pytest.mark.lesson(15)
    def test_a_secret_that_was_saved_since_isn_t_tried_on_the_server_of_before(
        self, admin, typed, connection, mifos, django_capture_on_commit_callbacks
    ):
        """A test that waited in the queue is for what was saved when it was asked for."""
        with django_capture_on_commit_callbacks() as callbacks:
            admin.post(TEST, typed(password="", tenant_id="nobody"))
        MifosConnection.objects.update(host_url="http://127.0.0.1:9", password=SECRET)

        for callback in callbacks:
            callback()

        job = Job.objects.get()
        assert job.state == Job.State.FAILED and not mifos.requests
        assert "What is saved changed meanwhile. Nothing was sent." in job.outcome

    def test_of_what_is_saved_the_result_is_kept(self, admin, press, connection, mifos):
        answer = press(admin, TEST, opens=False)

        connection.refresh_from_db()
        assert connection.last_tested_by == "chege" and len(connection.last_test) == 7
        assert {"id": 26, "name": "mPesa", "is_cash": False} in connection.payment_types
        found = list(LoanProduct.objects.values_list("name", "is_automatic"))
        assert found == [("Biashara Loan", False), ("Elimu Loan", False)]
        assert answer.status_code == 302 and "are listed now" in Job.objects.get().outcome
        page = words(admin.get("/partners/pamoja/"))
        assert "by chege. It switched nothing on." in page and "mPesa (26)." in page
        line = AuditEvent.objects.get(act="connection tested")
        assert (line.actor, line.source_address) == ("chege", "10.1.2.3")

    def test_the_form_as_it_is_saved_tests_what_is_saved(
        self, admin, press, typed, connection, mifos
    ):
        press(admin, TEST, opens=False, **typed(password=""))

        connection.refresh_from_db()
        assert connection.last_test

    def test_a_product_keeps_its_switch_and_one_no_longer_listed_is_marked(
        self, admin, press, connection, mifos
    ):
        LoanProduct.objects.create(connection=connection, product_id=1, name="Old name",
                                   is_automatic=True, max_amount=5_000)  # fmt: skip
        LoanProduct.objects.create(connection=connection, product_id=99, name="Gone")

        press(admin, TEST, opens=False)

        kept, gone = LoanProduct.objects.get(product_id=1), LoanProduct.objects.get(product_id=99)
        assert (kept.name, kept.is_automatic, kept.max_amount) == ("Biashara Loan", True, 5_000)
        assert (kept.is_listed, gone.is_listed) == (True, False)

    def test_one_that_is_under_way_is_shown_and_not_started_again(
        self, admin, lender, connection, mifos
    ):
        baraka = User.objects.create_user("baraka")
        running = Job.objects.create(kind=work.TEST, about=work.about(lender), state="running",
                                     title="Test", started_by=baraka)  # fmt: skip

        page = admin.post(TEST, **HTMX)

        assert Job.objects.get() == running and not mifos.requests
        assert "started by baraka" in words(page) and "not started again" in words(page)
        assert f'hx-get="{TEST}{running.pk}/"' in words(page)

    def test_each_result_is_shown_as_it_is_known(self, admin, lender):
        job = Job.objects.create(
            kind=work.TEST, about=work.about(lender), state="running", title="Test",
            started_by=User.objects.get(username="chege"),
            lines=[{"name": "Address and TLS", "result": "ok", "words": "It answers.",
                    "took_ms": 12}],
        )  # fmt: skip

        page = words(admin.get(f"{TEST}{job.pk}/", **HTMX))

        assert "It answers." in page and "12 ms" in page and 'hx-trigger="every 1s"' in page
        assert page.count(">To come<") == 5 and page.count(">Looking<") == 1
        assert "<html" not in page

    def test_at_its_end_it_stops_asking_and_offers_the_payment_types(
        self, admin, press, typed, mifos
    ):
        press(admin, TEST, opens=False, **typed(payment_type_id=""), HTTP_HX_REQUEST="true")
        job = Job.objects.get()

        page = words(admin.get(f"{TEST}{job.pk}/?payment_type_id=25", **HTMX))

        assert "choose it in the form, then save." in page and "hx-trigger" not in page
        assert '<div id="payment-type" hx-swap-oob="true">' in page
        assert '<option value="25" selected>mPay (25)</option>' in page

    def test_what_can_t_be_tested_is_told_beside_the_form(self, admin, typed):
        answer = admin.post(TEST, typed(host_url="ftp://x", username=""), **HTMX)

        assert answer.status_code == 200 and not Job.objects.exists()
        page = words(answer)
        assert "Not tested" in page and 'href="#id_username"' in page and "<html" not in page

    def test_without_script_the_form_comes_back_as_typed(self, admin, typed):
        answer = admin.post(TEST, typed(username="", tenant_id="typed"))

        assert answer.status_code == 422 and 'value="typed"' in words(answer)

    def test_another_partner_s_test_is_not_shown_here(self, admin, lender):
        job = Job.objects.create(kind=work.TEST, about="mifos:other", title="Test",
                                 started_by=User.objects.get())  # fmt: skip

        assert admin.get(f"{TEST}{job.pk}/").status_code == 404


class TestHowLong:
    def test_what_isn_t_looked_at_in_time_says_so(self, connection, mifos):
        looking = connections.ConnectionTest(connection)
        steps = []
        for step in looking.run():
            steps.append(step)
            if len(steps) == 2:
                object.__setattr__(looking.mifos.transport, "until", 0.0)

        asked = len(mifos.requests)
        assert [step.result for step in steps[:2]] == ["ok", "ok"]
        assert {step.result for step in steps[4:]} == {"skipped"} and asked == len(mifos.requests)
        assert steps[4].words.startswith("Not looked at: the test ended after 60 s.")
        assert not connections.has_passed(steps)

    def test_a_silent_server_is_waited_for_no_longer_than_the_test_may_last(
        self, connection, mifos, monkeypatch
    ):
        monkeypatch.setattr(connections.ConnectionTest, "LONGEST_S", 0.3)
        mifos.slow_s = 2.0
        began = timezone.now()

        steps = connections.test(connection, by="amina")

        assert (timezone.now() - began).total_seconds() < 1.5
        assert "didn't answer in time" in steps[0].words


TAKEN = "This tenant of this Mifos X is already connected, for another partner."


def test_a_tenant_that_another_partner_has_is_neither_saved_nor_tested(admin, typed, connection):
    Partner.objects.create(name="Jamii", code="jamii")
    theirs = "/partners/jamii/mifos/"

    saved, tested = (admin.post(url, typed()) for url in (theirs, f"{theirs}test/"))

    for answer in (saved, tested):
        assert answer.status_code == 422
        assert TAKEN in words(answer)
    assert MifosConnection.objects.count() == 1 and not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_connect_a_tenant_at_once_one_is_told_of_the_other(admin, typed, monkeypatch):
    """Neither form finds the other's row, so the database decides."""
    names = {"pamoja": "Pesa Pamoja", "jamii": "Jamii", "umoja": "Umoja"}
    for code in ("jamii", "umoja"):
        Partner.objects.create(name=names[code], code=code)
    clients = {code: copy(admin) for code in names}
    together, first = threading.Barrier(3), threading.local()
    looked = MifosConnection.is_taken

    def look(row):
        found = looked(row)
        if not getattr(first, "has_looked", False):
            first.has_looked = True
            together.wait(10)
        return found

    monkeypatch.setattr(MifosConnection, "is_taken", look)

    answers = dict(
        zip(names, at_once(lambda c: clients[c].post(f"/partners/{c}/mifos/", typed()), names),
            strict=True)
    )  # fmt: skip

    winner = MifosConnection.objects.select_related("partner").get().partner
    assert answers.pop(winner.code).status_code == 302
    for answer in answers.values():
        assert answer.status_code == 422 and TAKEN in words(answer)


@pytest.mark.parametrize("url, method", [(URL, "get"), (URL, "post"), (TEST, "post")])
def test_only_who_may_change_a_connection_reaches_it(signed_in, connection, url, method):
    assert getattr(signed_in(*SEES), method)(url).status_code == 403
    assert not Job.objects.exists()


def test_the_form_asks_the_database_at_most_a_dozen_things(
    admin, connection, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12):
        assert admin.get(URL).status_code == 200
