"""What needs me: each sentence, the list it leads to, and who gets to read it."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from disbursements.holds import Hold
from disbursements.models import Callback, Case, Settlement
from disbursements.states import Status
from mifos.models import Event
from partners.models import (
    Membership,
    MifosConnection,
    MpesaShortcode,
    Partner,
    WebhookEndpoint,
)
from paymentvault import stopping, sweeping
from paymentvault.models import Heartbeat, User
from paymentvault.portal.needs import Needs, late_sweeps

Fixture = Any
NEED = re.compile(r'<li class="need (\w+)">\s*<p>(.*?)</p>', re.S)
COUNT = re.compile(r'class="count" id="need-([\w-]+)" href="([^"]+)">([^<]+)</a>')


def sentences(client: Client) -> dict[str, tuple[str, str]]:
    """What home says, by key: the sentence in plain words, and where it leads."""
    page = client.get("/").content.decode()
    found = {}
    for _, html in NEED.findall(page):
        match = COUNT.search(html)
        assert match
        words = " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())
        found[match[1]] = (words.removesuffix(f"What to do: {unescape(match[3])}").strip(),
                           unescape(match[2]))  # fmt: skip
    return found


def references(client: Client, url: str) -> set[str]:
    """The disbursements on a list."""
    return set(re.findall(r">\s*(DSB-\d+)", client.get(url).content.decode()))


@pytest.mark.parametrize(
    "status, changes, key, words",
    [
        (Status.AWAITING_APPROVAL, {}, "awaiting_approval", "1 awaits your approval, for 3 h."),
        (Status.HELD, {}, "held", "1 held, for 3 h. Nothing is paid meanwhile."),
        (Status.IN_DOUBT, {}, "in_doubt",
         "1 in doubt, for 3 h. Money may have moved. M-Pesa is asked by itself; don't pay it by "
         "another way."),
        (Status.FAILED, {}, "failed",
         "1 failed, for 3 h. No money moved, unless a case says otherwise. Retry what can be put "
         "right, cancel the rest."),
    ],
)  # fmt: skip
def test_what_waits_is_said_and_leads_to_just_it(
    signed_in: Client, manual: Fixture, since: Fixture, status: Status, changes: Any, key: str,
    words: str,
) -> None:  # fmt: skip
    waits = manual(status, status_at=since(hours=3), **changes)
    manual(Status.CANCELLED)

    said, url = sentences(signed_in)[key]

    assert said == words
    assert references(signed_in, url) == {waits.reference}


def test_holds_are_counted_by_their_reason_and_each_leads_to_just_these(
    signed_in: Client, manual: Fixture
) -> None:
    one = manual(Status.HELD, holds=["top_up"])
    both = manual(Status.HELD, holds=["top_up", "client_inactive"])

    page = signed_in.get("/").content.decode()

    assert "2 since it is a top-up" in page
    assert "1 since the client is not active" in page
    by_hold = "/disbursements/?status=held&hold="
    assert references(signed_in, f"{by_hold}top_up") == {one.reference, both.reference}
    assert references(signed_in, f"{by_hold}client_inactive") == {both.reference}


def test_what_one_entered_oneself_does_not_await_ones_own_approval(
    signed_in: Client, manual: Fixture, chege: User
) -> None:
    manual(Status.AWAITING_APPROVAL, requested_by=chege)

    assert "awaiting_approval" not in sentences(signed_in)


@pytest.mark.parametrize("minutes, is_said", [(2, False), (20, True)])
def test_paid_but_not_recorded_is_said_once_it_is_unusual(
    signed_in: Client, manual: Fixture, connection: MifosConnection, since: Fixture, minutes: int,
    is_said: bool,
) -> None:  # fmt: skip
    paid = manual(Status.PAID, connection=connection, loan_id=1, status_at=since(minutes=minutes))

    found = sentences(signed_in)

    assert ("unrecorded" in found) == is_said
    if is_said:
        said, url = found["unrecorded"]
        assert said.startswith("1 paid but not recorded, for 20 min. The borrowers have the money")
        assert references(signed_in, url) == {paid.reference}


def test_one_paid_by_hand_has_nothing_to_be_recorded_at(
    signed_in: Client, manual: Fixture, since: Fixture
) -> None:
    manual(Status.PAID, status_at=since(days=3))

    assert sentences(signed_in) == {}


def test_cases_are_said_by_kind_and_those_about_money_stand_first(
    signed_in: Client, manual: Fixture, since: Fixture
) -> None:
    one = manual(Status.AWAITING_APPROVAL)
    Case.objects.create(kind="overdue", words="It waits.", disbursement=one)
    Case.objects.create(
        kind="contradiction", words="Paid, then failed.", disbursement=one,
        opened_at=since(hours=2),
    )  # fmt: skip
    Case.objects.create(kind="overdue", words="Settled.", closed_at=timezone.now())

    found = sentences(signed_in)

    assert next(iter(found)) == "case-contradiction"
    said, url = found["case-contradiction"]
    assert said.startswith("1 open case: M-Pesa contradicts itself, for 2 h. Money may have moved")
    page = signed_in.get(url).content.decode()
    assert "Paid, then failed." in page
    assert "It waits." not in page
    assert found["case-overdue"][0].startswith("1 open case: Waits too long")


@pytest.mark.parametrize("proposes, is_said", [("amina", True), ("chege", False)])
def test_a_settlement_waits_for_the_second_person_only(
    signed_in: Client, sent: Fixture, amina: User, chege: User, proposes: str, is_said: bool
) -> None:
    attempt = sent(Status.IN_DOUBT)
    Settlement.objects.create(
        disbursement=attempt.disbursement, attempt=attempt, outcome="failed", evidence="Statement",
        proposed_by=amina if proposes == "amina" else chege,
    )  # fmt: skip

    found = sentences(signed_in)

    assert ("settlement" in found) == is_said
    if is_said:
        said, url = found["settlement"]
        assert said.startswith("1 settlement waits for a second person")
        assert references(signed_in, url) == {attempt.disbursement.reference}


def test_a_paused_shortcode_is_said_with_its_reason_and_leads_to_it(
    signed_in: Client, shortcode: MpesaShortcode, since: Fixture
) -> None:
    MpesaShortcode.objects.update(
        pause="configuration", pause_reason="The credential was refused.", paused_at=since(hours=3)
    )

    said, url = sentences(signed_in)[f"paused-{shortcode.pk}"]

    assert said == (
        "Shortcode 600997 of Pesa Pamoja is paused, for 3 h. The credential was refused. Nothing "
        "is sent from it; approved disbursements wait."
    )
    assert "The credential was refused." in signed_in.get(url).content.decode()


@pytest.mark.parametrize("age, words", [(60, None), (80, "10 days left"), (95, "ended 5 days ago")])
def test_an_initiators_password_is_said_in_its_last_two_weeks(
    signed_in: Client, shortcode: MpesaShortcode, since: Fixture, age: int, words: str | None
) -> None:
    MpesaShortcode.objects.update(password_set_at=since(days=age))

    said = sentences(signed_in).get(f"password-{shortcode.pk}")

    if words is None:
        assert said is None
    else:
        assert said
        assert said[0].startswith(f"The initiator's password of 600997 of Pesa Pamoja: {words}.")


def test_a_connection_that_does_not_answer_is_said_since_when(
    signed_in: Client, connection: MifosConnection, since: Fixture
) -> None:
    MifosConnection.objects.update(failing_since=since(minutes=12), last_error="It timed out.")

    said, url = sentences(signed_in)[f"failing-{connection.pk}"]

    assert said.startswith("Mifos X of Pesa Pamoja doesn't answer, for 12 min.")
    assert said.endswith("It said: It timed out.")
    assert url == "/partners/pamoja/"


def test_a_connection_that_is_not_polled_is_said(
    signed_in: Client, connection: MifosConnection, since: Fixture
) -> None:
    long_ago = since(minutes=40)
    MifosConnection.objects.update(polled_at=long_ago, switched_on_at=long_ago)

    assert "isn't polled, for 40 min." in sentences(signed_in)[f"late-{connection.pk}"][0]


@pytest.mark.parametrize("state", ["unmatched", "unreadable"])
def test_lost_callbacks_are_said_and_lead_to_just_them(
    signed_in: Client, sent: Fixture, state: str
) -> None:
    attempt = sent()
    Callback.objects.create(kind="r", attempt=attempt, body="x", state="done")
    lost = Callback.objects.create(kind="r", attempt=attempt, body="x", state=state)

    said, url = sentences(signed_in)[f"{state}-callback"]

    assert said.startswith("1 callback")
    page = signed_in.get(url).content.decode()
    assert set(re.findall(r"/callbacks/(\d+)/", page)) == {str(lost.pk)}


def test_unreadable_events_leave_home_after_a_week(
    signed_in: Client, connection: MifosConnection, time_machine: Fixture
) -> None:
    now = timezone.now()
    time_machine.move_to(now - timedelta(days=8))
    Event.objects.create(connection=connection, form="native", body="x", state="unreadable")
    time_machine.move_to(now)
    assert "unreadable-event" not in sentences(signed_in)

    Event.objects.create(connection=connection, form="native", body="x", state="unreadable")

    assert sentences(signed_in)["unreadable-event"][0].startswith(
        "1 message of Mifos X can't be read"
    )


@pytest.mark.parametrize("minutes, is_said", [(5, False), (20, True)])
def test_events_that_wait_are_said_once_they_are_late(
    signed_in: Client, connection: MifosConnection, time_machine: Fixture, minutes: int,
    is_said: bool,
) -> None:  # fmt: skip
    now = timezone.now()
    time_machine.move_to(now - timedelta(minutes=minutes))
    Event.objects.create(connection=connection, form="native", body="x")
    time_machine.move_to(now)

    assert ("events-waiting" in sentences(signed_in)) == is_said


def test_a_sweep_is_late_after_three_of_its_intervals(signed_in: Client, since: Fixture) -> None:
    Heartbeat.objects.filter(name="sweep_approved").update(at=since(seconds=25))
    Heartbeat.objects.filter(name="poll_mifos").update(at=since(seconds=500))
    assert sentences(signed_in) == {}

    Heartbeat.objects.filter(name="sweep_approved").update(at=since(seconds=35))
    Heartbeat.objects.filter(name="poll_mifos").update(at=since(seconds=600))

    said, _ = sentences(signed_in)["late-sweep"]
    assert said.startswith("2 sweeps are late")
    assert "Workers or beat may be down; nothing is lost, payouts wait." in said
    assert "sweep approved, poll mifos" in said


@pytest.mark.parametrize("minutes, is_said", [(1, False), (29, False), (31, True)])
def test_a_sweep_that_never_ran_is_late_after_three_of_its_intervals_since_beat_had_it(
    signed_in: Client, since: Fixture, minutes: int, is_said: bool
) -> None:
    began = since(minutes=minutes)
    Heartbeat.objects.filter(name="read_balances").update(at=None, expected_since=began)

    found = sentences(signed_in)

    assert ("late-sweep" in found) == is_said
    if is_said:
        assert found["late-sweep"][0].startswith("1 sweep is late. Workers or beat")


def test_beat_that_begins_again_and_again_excuses_nothing(
    signed_in: Client, since: Fixture
) -> None:
    Heartbeat.objects.update(at=None, expected_since=since(days=1))

    sweeping.expect_sweeps()

    assert set(late_sweeps(timezone.now())) == set(settings.CELERY_BEAT_SCHEDULE)


@pytest.mark.parametrize("seconds, number", [(20, 0), (40, 11), (1_801, 13)])
def test_where_beat_never_began_sweeps_are_late_since_the_system_was_set_up(
    chege: User, since: Fixture, seconds: int, number: int
) -> None:
    MigrationRecorder.Migration.objects.update(applied=since(seconds=seconds))

    assert len(late_sweeps(timezone.now())) == number


def test_the_kill_switch_stands_above_everything(
    signed_in: Client, manual: Fixture, since: Fixture
) -> None:
    manual(Status.IN_DOUBT, status_at=since(days=2))
    stopping.stop(by="baraka", reason="A stranger is in the system.")

    found = sentences(signed_in)

    assert next(iter(found)) == "stopped"
    assert "baraka stopped them: A stranger is in the system." in found["stopped"][0]


def test_of_equal_danger_the_oldest_stands_first(
    signed_in: Client, manual: Fixture, since: Fixture
) -> None:
    manual(Status.FAILED, status_at=since(hours=1))
    manual(Status.HELD, status_at=since(hours=2))

    assert list(sentences(signed_in)) == ["held", "failed"]


def test_all_quiet_says_so_and_when_it_was_looked(signed_in: Client, time_machine: Fixture) -> None:
    time_machine.move_to("2026-11-23T07:15:00+03:00", tick=False)
    Heartbeat.objects.update(at=timezone.now())

    page = signed_in.get("/").content.decode()

    assert "Nothing needs you." in page
    assert "23 November 2026 07:15:00" in page
    assert "<title>Home ·" in page


def test_the_title_counts_and_the_refreshed_part_tells_only_news(
    signed_in: Client, manual: Fixture
) -> None:
    manual(Status.FAILED)

    whole = signed_in.get("/").content.decode()
    part = signed_in.get("/?known=0", headers={"HX-Request": "true"}).content.decode()
    again = signed_in.get("/?known=1", headers={"HX-Request": "true"}).content.decode()

    assert "<title>(1) Home ·" in whole
    assert part.lstrip().startswith("<title>(1) Home")
    assert "1 thing needs you now." in part
    assert "needs you now." not in again
    assert "<html" not in part


def test_every_link_of_the_refreshed_part_has_an_id_so_that_focus_stays(
    signed_in: Client, manual: Fixture, shortcode: MpesaShortcode
) -> None:
    manual(Status.HELD)
    part = signed_in.get("/", headers={"HX-Request": "true"}).content.decode()

    links = re.findall(r"<a [^>]*>", part)

    assert len(links) > 5
    assert [link for link in links if " id=" not in link] == []
    ids = re.findall(r'<a [^>]*id="([^"]+)"', part)
    assert len(ids) == len(set(ids))


def an_endpoint(connection: MifosConnection, by: User, **changes: Any) -> WebhookEndpoint:
    return WebhookEndpoint.objects.create(
        partner=connection.partner, url="https://core.pamoja.test/hooks", made_by=by, **changes
    )


def test_an_endpoint_that_was_switched_off_after_long_failing_is_said(
    signed_in: Client, chege: User, connection: MifosConnection, since: Fixture
) -> None:
    an_endpoint(connection, chege, is_on=False, off_words="Gone.", failing_since=since(days=6))

    said, url = sentences(signed_in)["endpoint-pamoja"]

    assert said == (
        "1 endpoint of Pesa Pamoja was switched off by itself, failing for 6 d. The partner's "
        "system took nothing for days, or said that the address is gone. It is told nothing "
        "meanwhile; payouts go on."
    )
    assert url == "/partners/pamoja/deliveries/"
    assert '/help/programs/"' in signed_in.get("/").content.decode()


@pytest.mark.parametrize(
    "changes",
    [{"is_on": True}, {"is_on": False, "failing_since": None, "off_words": "A person did."}],
    ids=["failing still", "by a person"],
)
def test_one_that_is_on_or_that_a_person_switched_off_is_not(
    signed_in: Client, chege: User, connection: MifosConnection, since: Fixture,
    changes: dict[str, Any],
) -> None:  # fmt: skip
    an_endpoint(connection, chege, **{"failing_since": since(days=6)} | changes)

    assert [key for key in sentences(signed_in) if key.startswith("endpoint")] == []


@pytest.mark.parametrize("role, at_theirs, says", [
    ("partner_administrator", True, True), ("partner_administrator", False, False),
    ("approver", True, False), ("viewer", True, False),
])  # fmt: skip
def test_of_an_endpoint_only_those_read_who_may_change_it(
    client: Client, baraka: User, connection: MifosConnection, since: Fixture,
    role: str, at_theirs: bool, says: bool,
) -> None:  # fmt: skip
    an_endpoint(connection, baraka, is_on=False, off_words="Gone.", failing_since=since(days=6))
    other = Partner.objects.create(name="Jamii", code="jamii")
    partner = connection.partner if at_theirs else other
    Membership.objects.create(user=baraka, partner=partner, role=role)
    client.force_login(baraka)

    assert any(key.startswith("endpoint") for key in sentences(client)) == says


SEEN_BY = [
    ("disbursements.view_disbursement", {"in_doubt", "failed", "late-sweep"}),
    ("disbursements.approve_disbursement", {"awaiting_approval"}),
    ("disbursements.view_case", {"case-overdue"}),
    ("disbursements.view_callback", {"unreadable-callback"}),
    ("mifos.view_event", {"unreadable-event"}),
    ("partners.view_mpesashortcode", {"paused"}),
    ("partners.view_partner", {"failing"}),
]


@pytest.mark.parametrize("permission, keys", [(None, set()), *SEEN_BY])
def test_one_reads_only_of_what_one_may_see(
    client: Client, baraka: User, sent: Fixture, manual: Fixture, connection: MifosConnection,
    since: Fixture, permission: str | None, keys: set[str],
) -> None:  # fmt: skip
    attempt = sent(Status.IN_DOUBT)
    manual(Status.FAILED)
    manual(Status.AWAITING_APPROVAL)
    Case.objects.create(kind="overdue", words="It waits.")
    Callback.objects.create(kind="r", attempt=attempt, body="x", state="unreadable")
    Event.objects.create(connection=connection, form="native", body="x", state="unreadable")
    MpesaShortcode.objects.update(pause="person", pause_reason="x", paused_at=timezone.now())
    MifosConnection.objects.update(failing_since=since(minutes=1))
    Heartbeat.objects.create(name="sweep_approved", at=since(days=1))
    if permission:
        app, name = permission.split(".")
        found = Permission.objects.get(content_type__app_label=app, codename=name)
        baraka.user_permissions.add(found)
    client.force_login(baraka)

    said = {re.sub(r"-\d+$", "", key) for key in sentences(client)}

    assert said == keys


def test_every_sentence_leads_to_a_page_of_the_guide(
    signed_in: Client, chege: User, manual: Fixture, shortcode: MpesaShortcode,
    connection: MifosConnection, since: Fixture,
) -> None:  # fmt: skip
    for status in (Status.IN_DOUBT, Status.FAILED, Status.HELD, Status.AWAITING_APPROVAL):
        manual(status)
    Case.objects.create(kind="overdue", words="It waits.")
    MpesaShortcode.objects.update(
        pause="person", pause_reason="x", paused_at=timezone.now(), password_set_at=since(days=89)
    )
    MifosConnection.objects.update(failing_since=since(minutes=1))
    Heartbeat.objects.update(at=since(days=1))
    stopping.stop(by="baraka", reason="x")

    found = Needs(chege).sentences

    assert len(found) == 10
    assert {need.key for need in found if need.help_url == "/help/"} == set()


def fill(manual: Fixture, connection: MifosConnection, times: int) -> None:
    for i in range(times):
        for status in (Status.HELD, Status.IN_DOUBT, Status.FAILED, Status.AWAITING_APPROVAL):
            held = {"holds": [list(Hold)[i]]} if status == Status.HELD else {}
            one = manual(status, **held)
            Case.objects.create(kind="overdue", words="It waits.", disbursement=one)
        manual(Status.PAID, connection=connection, loan_id=i, mpesa_receipt=f"TJM7{i:06}")
        Event.objects.create(connection=connection, form="native", body="x", state="unreadable")


@pytest.mark.parametrize("times", [0, 1, 12])
def test_home_makes_no_more_queries_for_more_rows(
    signed_in: Client, manual: Fixture, connection: MifosConnection, shortcode: MpesaShortcode,
    django_assert_max_num_queries: Fixture, times: int,
) -> None:  # fmt: skip
    fill(manual, connection, times)

    with django_assert_max_num_queries(12):
        assert signed_in.get("/").status_code == 200


def test_without_the_right_to_see_money_neither_figures_nor_charts_are_shown(
    client: Client, baraka: User, sweeping: None
) -> None:
    client.force_login(baraka)

    page = client.get("/").content.decode()

    assert "Today and this week" not in page
    assert "/charts/" not in page
    assert client.get("/charts/").status_code == 403


@pytest.mark.parametrize("minutes, is_old", [(10, False), (45, True)])
def test_a_float_is_shown_with_when_it_was_read_and_an_old_one_is_marked(
    signed_in: Client, shortcode: MpesaShortcode, since: Fixture, minutes: int, is_old: bool
) -> None:
    MpesaShortcode.objects.update(utility_balance=1234567, balance_at=since(minutes=minutes))

    page = signed_in.get("/").content.decode()

    assert "KES 1,234,567.00" in page
    assert f"{minutes} min ago" in page
    assert ("Old reading" in page) == is_old


def test_no_secret_of_a_shortcode_is_read(
    signed_in: Client, shortcode: MpesaShortcode, django_assert_max_num_queries: Fixture
) -> None:
    with django_assert_max_num_queries(12) as made:
        signed_in.get("/")

    asked = " ".join(query["sql"] for query in made.captured_queries)
    assert "consumer_key" not in asked
    assert "initiator_password" not in asked
