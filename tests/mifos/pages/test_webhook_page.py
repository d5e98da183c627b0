"""The webhook is made, rotated, registered and tried from its page, each told in words."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from mifos.models import Event
from partners import work
from partners.models import MifosConnection
from partners.webhook_tokens import hashed
from paymentvault.models import AuditEvent, Job
from tests.partners.pages.people import SEES, said, words

URL = "/partners/pamoja/mifos/webhook/"


@pytest.fixture
def without(connection):
    """A connection that has no webhook address yet."""
    MifosConnection.objects.update(webhook_token="", webhook_token_hash=None)
    return connection


def act(name):
    return f"{URL}{name}/"


def token():
    return MifosConnection.objects.get().webhook_token


class TestAddress:
    def test_it_is_made_in_one_click_and_shown_to_be_copied(self, admin, press, without):
        press(admin, act("make"), opens=False)

        made = f"https://vault.test/mifos-webhook/{token()}/"
        page = words(admin.get(URL))
        assert len(token()) == 24 and f'data-copy="{made}"' in page and f"<code>{made}" in page
        line = AuditEvent.objects.get(act="webhook address made")
        assert (line.actor, line.source_address) == ("chege", "10.1.2.3")
        assert token() not in str(line.detail) + line.subject

    def test_a_second_press_makes_no_other(self, admin, press, connection):
        before = token()

        answer = press(admin, act("make"), opens=False)

        assert token() == before and "There is an address already" in said(answer)[0]

    def test_one_that_would_be_too_long_for_mifos_is_not_made(
        self, admin, press, without, settings
    ):
        settings.PUBLIC_URL = f"https://{'x' * 60}.test"

        answer = press(admin, act("make"), opens=False)

        assert token() == "" and "No address was made." in said(answer)[0]

    @pytest.mark.lesson(15)
    def test_who_may_only_look_doesn_t_see_it(self, signed_in, connection):
        page = words(signed_in(*SEES).get(URL))

        assert token() not in page and "mifos-webhook/···/" in page
        assert "<form" not in page.partition("<main")[2]

    def test_the_steps_by_hand_have_this_partner_s_values(self, admin, connection):
        page = words(admin.get(URL))

        for value in ("Admin → System → Manage Hooks", connection.webhook_url, "Payment Vault",
                      "APPROVALUNDO", str(connection.partner_id)):  # fmt: skip
            assert value in page
        assert "Fineract 1.5 and 1.6 drops the path" in page

    def test_a_host_name_of_its_own_is_its_address(self, admin, connection):
        MifosConnection.objects.update(hook_host="a1b2.hooks.test")

        assert 'data-copy="https://a1b2.hooks.test/"' in words(admin.get(URL))

    def test_it_tells_when_it_was_last_called_and_what_came_of_it(self, admin, connection):
        event = Event.objects.create(connection=connection, form="native", body="{}",
                                     state="ignored", outcome="It is about CLIENT.")  # fmt: skip

        page = words(admin.get(URL))
        assert "Ignored. It is about CLIENT." in page and event.received_at

    def test_it_asks_the_database_at_most_a_dozen_things(
        self, admin, connection, django_assert_max_num_queries
    ):
        # The first look of an hour tells the audit besides.
        admin.get(URL)
        with django_assert_max_num_queries(12):
            assert admin.get(URL).status_code == 200


class TestRotation:
    def test_both_addresses_are_valid_for_a_week(self, admin, press, client, connection):
        old = token()

        answer = press(admin, act("rotate"))

        new = MifosConnection.objects.get()
        assert new.webhook_token != old and "register the new one" in said(answer)[0]
        for known in (old, new.webhook_token):
            posted = client.post(f"/mifos-webhook/{known}/", "{}", content_type="application/json")
            assert posted.status_code == 202
        page = words(admin.get(URL))
        assert "The old address is valid until" in page and old not in page
        line = AuditEvent.objects.get(act="webhook address rotated")
        assert line.detail == {"reason": "For a test."}

    def test_a_double_press_rotates_once(self, admin, press, connection):
        once = admin.get(act("rotate")).context["once"]

        press(admin, act("rotate"), opens=False, once=once)
        after = token()
        press(admin, act("rotate"), opens=False, once=once)

        assert token() == after

    def test_that_an_earlier_one_ends_at_once_is_told_before(self, admin, press, connection):
        press(admin, act("rotate"))

        assert "ends at once" in words(admin.get(act("rotate")))

    def test_the_old_one_can_be_ended_at_once(self, admin, press, client, connection):
        old = token()
        press(admin, act("rotate"))

        press(admin, act("end-old"))

        posted = client.post(f"/mifos-webhook/{old}/", "{}", content_type="application/json")
        assert posted.status_code == 404
        assert AuditEvent.objects.filter(act="old webhook address ended").exists()
        assert words(press(admin, act("end-old"))).count("has ended already")

    def test_ending_it_warns_while_mifos_may_still_call_it(self, admin, press, connection):
        press(admin, act("rotate"))

        assert "may still be one of them" in words(admin.get(act("end-old")))

    def test_after_the_week_nothing_is_left_to_end(self, admin, press, connection):
        press(admin, act("rotate"))

        with time_machine.travel(timezone.now() + timedelta(days=8)):
            assert not MifosConnection.objects.get().accepts_previous_token()


class TestRegistering:
    @pytest.fixture(autouse=True)
    def reached(self, settings, live_server):
        settings.PUBLIC_URL = live_server.url

    def test_the_hook_is_made_in_mifos_and_what_was_found_is_told(
        self, admin, press, connection, mifos
    ):
        answer = press(admin, act("register"), opens=False)

        [hook] = mifos.hooks.values()
        job = Job.objects.get()
        assert answer.url == f"/jobs/{job.pk}/" and job.state == "done"
        assert (hook.url, hook.is_active) == (connection.webhook_url, True)
        assert [line["result"] for line in job.lines] == ["ok"] * 4
        assert token() not in str(job.lines) + job.outcome
        page = words(admin.get(URL))
        assert ">Registered<" in page and f"Hook {hook.id} is active and points here." in page
        line = AuditEvent.objects.get(act="hook registered")
        assert (line.actor, line.source_address) == ("chege", "10.1.2.3")

    def test_after_a_rotation_the_same_hook_is_pointed_here(self, admin, press, connection, mifos):
        press(admin, act("register"), opens=False)
        press(admin, act("rotate"))
        assert ">Not registered<" in words(admin.get(URL))

        press(admin, act("register"), opens=False)

        [hook] = mifos.hooks.values()
        assert token() in hook.url and ">Registered<" in words(admin.get(URL))

    def test_a_missing_permission_says_which(self, admin, press, connection, mifos):
        mifos.add_user("vault", "mifos-password", permissions=("READ_HOOK",))

        press(admin, act("register"), opens=False)

        job = Job.objects.get()
        assert job.state == "failed" and "CREATE_HOOK" in job.outcome and not mifos.hooks

    def test_that_mifos_can_t_reach_us_is_told(self, admin, press, connection, mifos, settings):
        settings.PUBLIC_URL = "http://127.0.0.1:9"

        press(admin, act("register"), opens=False)

        outcome = Job.objects.get().outcome
        assert "got no answer" in outcome and "http://127.0.0.1:9" in outcome
        assert token() not in outcome

    def test_without_an_address_it_says_what_comes_first(self, admin, press, without, mifos):
        press(admin, act("register"), opens=False)

        assert Job.objects.get().outcome == "Make a webhook address first."


@pytest.mark.django_db(transaction=True)
class TestTestEvent:
    @pytest.fixture(autouse=True)
    def reached(self, settings, live_server):
        settings.PUBLIC_URL = live_server.url

    @pytest.mark.parametrize("is_on", [True, False])
    def test_it_goes_through_the_real_endpoint_and_does_no_harm(self, admin, connection, is_on):
        MifosConnection.objects.update(is_on=is_on)

        admin.post(act("try"))

        job, event = Job.objects.get(), Event.objects.get()
        assert job.state == "done", job.outcome
        assert [line["result"] for line in job.lines] == ["ok"] * 3
        assert (event.state, event.disbursement) == ("ignored", None)
        assert event.outcome in job.lines[2]["words"] and str(event.pk) in job.lines[1]["words"]
        assert job.lines[0]["words"] == "HTTP 202." and token() not in str(job.lines)

    def test_that_we_can_t_reach_our_own_address_is_told(self, admin, connection, settings):
        settings.PUBLIC_URL = "http://127.0.0.1:9"

        admin.post(act("try"))

        job = Job.objects.get()
        assert job.state == "failed" and "can't reach http://127.0.0.1:9" in job.outcome
        assert not Event.objects.exists() and token() not in job.outcome

    def test_a_host_name_for_hooks_is_not_told(self, admin, connection):
        MifosConnection.objects.update(hook_host="canary.vault.test")

        admin.post(act("try"))

        job = Job.objects.get()
        assert job.state == "failed" and "can't reach the host name for hooks" in job.outcome
        assert "canary" not in f"{job.outcome}{job.lines}"

    def test_that_something_in_front_loses_the_path_is_told(self, admin, connection):
        MifosConnection.objects.update(webhook_token_hash=hashed("another"))

        admin.post(act("try"))

        assert "a proxy changes the path" in Job.objects.get().outcome


@pytest.mark.parametrize("name", ["make", "rotate", "end-old", "register", "try"])
def test_only_who_may_change_a_connection_does_any_of_it(signed_in, connection, name):
    before = token()

    assert signed_in(*SEES).post(act(name)).status_code == 403
    assert token() == before and not Job.objects.exists()


def test_one_of_a_kind_is_under_way_at_a_time(admin, press, lender, connection):
    from paymentvault.models import User

    Job.objects.create(kind=work.REGISTER, about=work.about(lender), state="running", title="x",
                       started_by=User.objects.get())  # fmt: skip

    press(admin, act("register"), opens=False)

    assert Job.objects.count() == 1
