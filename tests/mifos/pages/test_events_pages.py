"""The inbox of Mifos X's deliveries in the browser, and processing one again."""

import json
import uuid
from datetime import datetime, timedelta

import pgtrigger
import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from disbursements.models import Case, Disbursement
from disbursements.states import Status
from mifos import events
from mifos.models import Event
from mifos.pages import event_words
from partners.models import MifosConnection, Partner
from paymentvault.models import AuditEvent, Job
from tests.mifos.conftest import envelope, headers
from tests.waiting import until

pytestmark = pytest.mark.django_db


def signed_in(user, *codenames):
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def client(amina):
    return signed_in(amina, "view_event", "change_event", "view_disbursement")


@pytest.fixture
def viewer(baraka):
    return signed_in(baraka, "view_event")


@pytest.fixture
def kept(heard):
    """A delivery in a state of the test's choice."""

    def make(state="done", *, received_at=None, **changes):
        plain = {"state": state, "outcome": f"It was {state}.", "entity": "LOAN",
                 "action": "APPROVE", "loan_id": 3198}  # fmt: skip
        event = heard(envelope(3198), **(plain | changes))
        if received_at:
            _received(event, received_at)
        return event

    return make


def _received(event, at):
    """What arrived stays as it is; a test makes history anew."""
    with pgtrigger.ignore("mifos.Event:what_arrived_stays"):
        Event.objects.filter(pk=event.pk).update(received_at=at)


def shown(answer):
    return [row["event"].pk for row in answer.context["events"]]


# -- the list ----------------------------------------------------------------------------------


def test_each_row_says_what_it_was_what_came_of_it_and_why(client, kept):
    kept("ignored", outcome="The loan is active in Mifos X, not approved.")

    page = client.get("/events/").content.decode()

    assert "Loan 3198: approval" in page
    assert "The loan is active in Mifos X, not approved." in page
    assert "Ignored" in page and "Pesa Pamoja" in page and "Hook of Mifos X" in page


WORDS = [
    ({"state": "done"}, "Loan 3198 approved"),
    ({"state": "ignored"}, "Loan 3198: approval"),
    ({"state": "done", "action": "APPROVALUNDO"}, "Loan 3198 no longer approved"),
    ({"state": "ignored", "action": "DISBURSE", "loan_id": None}, "A loan: disbursal"),
    ({"state": "ignored", "entity": "CLIENT", "action": "CREATE", "loan_id": None},
     "Client: create"),
    ({"state": "ignored", "action": "ADD_CHARGE"}, "Loan 3198: add charge"),
    ({"state": "waiting", "entity": "", "action": "", "loan_id": None}, "A loan: approval"),
    ({"state": "waiting", "entity": "", "action": "", "loan_id": None, "sent": {}},
     "Not read yet"),
    ({"state": "unreadable", "entity": "", "action": "", "loan_id": None, "sent": {}},
     "Nothing that can be read"),
]  # fmt: skip


@pytest.mark.parametrize("values, words", WORDS)
def test_what_it_was_stands_in_words(values, words):
    sent = values.pop("sent", headers()) if "sent" in values else headers()
    plain = {"entity": "LOAN", "action": "APPROVE", "loan_id": 3198, "headers": sent}

    assert event_words.what_it_was(Event(**(plain | values))) == words


def test_every_filter_narrows_the_list(client, kept, connection):
    other = Partner.objects.create(name="Other", code="other")
    theirs = MifosConnection.objects.create(partner=other, host_url="https://other.example")
    midnight = timezone.make_aware(datetime(2026, 3, 12))
    events_ = {
        "state=unreadable": kept("unreadable"),
        "partner=other": kept(connection=theirs),
        "action=REJECT": kept(action="REJECT"),
        "loan=7": kept(loan_id=7),
        "since=2026-03-12&until=2026-03-12": kept(received_at=midnight),
    }
    kept(received_at=midnight - timedelta(seconds=1))
    kept(received_at=midnight + timedelta(days=1))

    for query, event in events_.items():
        assert shown(client.get(f"/events/?{query}")) == [event.pk], query


def test_filters_in_force_stand_as_chips_that_drop_them(client, kept):
    kept()

    page = client.get("/events/?state=done&loan=3198&partner=pamoja").content.decode()

    assert "?loan=3198&amp;partner=pamoja" in page and "?state=done&amp;loan=3198" in page
    assert "Pesa Pamoja" in page and "<strong>Processed</strong>" in page


def test_a_filter_that_was_typed_wrong_is_told_and_shows_nothing(client, kept):
    kept()

    answer = client.get("/events/?loan=abc&since=yesterday&partner=nobody")

    assert shown(answer) == []
    assert answer.content.count(b'class="error"') == 3


def test_pages_follow_each_other_without_gap_or_repeat_even_within_one_moment(client, kept):
    moment = timezone.now() - timedelta(days=1)
    made = [kept(received_at=moment) for _ in range(60)]
    made += [kept(received_at=moment - timedelta(microseconds=n)) for n in range(1, 60)]

    pages, address = [], "/events/?state=done"
    while address:
        answer = client.get(address)
        pages.append(shown(answer))
        following = answer.context["page"].following
        address = f"/events/{following}" if following else ""
    back = client.get("/events/" + client.get(_last_of(client)).context["page"].previous)

    found = [pk for page in pages for pk in page]
    expected = Event.objects.order_by("-received_at", "-id").values_list("pk", flat=True)
    assert [len(page) for page in pages] == [50, 50, 19]
    assert (found, len(made)) == (list(expected), 119)
    assert shown(back) == pages[1]


def _last_of(client):
    first = client.get("/events/?state=done").context["page"].following
    return "/events/" + client.get("/events/" + first).context["page"].following


def test_an_empty_inbox_says_where_events_come_from(client, db):
    assert "No events yet." in client.get("/events/").content.decode()


@pytest.mark.parametrize("rows", [3, 40])
def test_the_list_takes_few_queries_however_long(
    client, kept, manual, rows, django_assert_max_num_queries
):
    for number in range(rows):
        kept(loan_id=number + 1, disbursement=manual(amount=100 + number,
                                                     gross_amount=100 + number))  # fmt: skip

    with django_assert_max_num_queries(12):
        client.get("/events/?partner=pamoja")


# -- one ---------------------------------------------------------------------------------------


def test_one_event_shows_facts_headers_body_and_others_of_its_loan(client, kept, manual):
    paid = manual()
    event, other, stranger = kept(disbursement=paid), kept("ignored"), kept(loan_id=1)

    page = client.get(f"/events/{event.pk}/").content.decode()

    assert "Loan 3198 approved" in page and paid.reference in page
    assert "X-Fineract-Action" in page and "&quot;actionName&quot;: &quot;APPROVE&quot;" in page
    assert str(other.pk) in page and str(stranger.pk) not in page


def test_a_body_that_is_no_json_shows_as_it_came(client, heard):
    event = heard("<script>alert(1)</script> {", state="unreadable")

    page = client.get(f"/events/{event.pk}/").content.decode()

    assert "&lt;script&gt;alert(1)&lt;/script&gt; {" in page


def test_a_form_shows_line_by_line(heard):
    event = heard("loanId=3198&changes=%7B%7D", content_type=events.FORM)

    assert event_words.readable_body(event) == "loanId = 3198\nchanges = {}"


def test_a_webhooks_token_is_on_no_page(client, connection):
    body = json.dumps({"url": connection.webhook_url, "token": connection.webhook_token})
    Client().post(f"/mifos-webhook/{connection.webhook_token}/", body, "application/json")
    event = Event.objects.get()

    pages = [client.get("/events/"), client.get(f"/events/{event.pk}/"),
             client.get(f"/events/{event.pk}/again/")]  # fmt: skip

    assert not [p for p in pages if connection.webhook_token.encode() in p.content]
    assert b"[masked]" in pages[1].content


def test_what_waits_refreshes_and_what_is_final_does_not(client, kept):
    waiting, done = kept("waiting"), kept("done")

    parts = [client.get(f"/events/{e.pk}/", headers={"HX-Request": "true"}).content.decode()
             for e in (waiting, done)]  # fmt: skip

    assert ["hx-get" in part for part in parts] == [True, False]
    assert "<html" not in parts[0]


def test_one_event_takes_few_queries(client, kept, manual, django_assert_max_num_queries):
    event = kept(disbursement=manual())
    for number in range(30):
        kept(disbursement=manual(amount=100 + number, gross_amount=100 + number))

    with django_assert_max_num_queries(12):
        client.get(f"/events/{event.pk}/")


# -- process again -----------------------------------------------------------------------------


def press(client, page, **data):
    given = {"once": client.get(page).context["once"], "reason": "The server is back."}
    return client.post(page, given | data)


def again(client, event):
    press(client, f"/events/{event.pk}/again/")
    event.refresh_from_db()


@pytest.fixture
def executes(django_capture_on_commit_callbacks):
    """Let a worker hear the bell."""
    return django_capture_on_commit_callbacks(execute=True)


def test_what_was_ignored_while_the_connection_was_off_is_taken_in(
    client, heard, approved, connection, executes
):
    loan_id = approved()
    event = heard(envelope(loan_id))
    MifosConnection.objects.update(is_on=False)
    events.process(str(event.pk))
    MifosConnection.objects.update(is_on=True)

    with executes:
        again(client, event)
    event.refresh_from_db()

    assert (event.state, event.disbursement.loan_id) == ("done", loan_id)
    told = AuditEvent.objects.get(act="event processed again")
    assert (told.actor, told.partner_code, told.source_address) == ("amina", "pamoja", "127.0.0.1")
    assert told.detail["was"] == "ignored"
    assert "switched off" in told.detail["outcome_was"]
    assert told.detail["reason"] == "The server is back."


def test_it_starts_its_tries_anew_and_is_due_now(client, kept):
    event = kept("waiting", tries=9, due_at=timezone.now() + timedelta(hours=1))

    again(client, event)

    assert (event.state, event.tries) == ("waiting", 0)
    assert event.due_at <= timezone.now()


@pytest.mark.parametrize("status", [s for s in Status if s != Status.RECEIVED])
def test_processed_again_it_makes_no_second_disbursement(client, heard, paid, status, executes):
    """Whatever became of the loan's disbursement, a second hearing pays nothing."""
    first = paid(status)
    event = heard(envelope(first.loan_id), state="done", disbursement=first)

    with executes:
        again(client, event)
    event.refresh_from_db()

    [only] = Disbursement.objects.all()
    assert (only.status, event.disbursement) == (status, first)


@pytest.mark.django_db(transaction=True)
def test_processed_again_after_payment_m_pesa_is_asked_to_pay_once(
    client, heard, mifos, connection, shortcode, safaricom, live_server, settings
):
    settings.PUBLIC_URL = live_server.url
    loan_id = mifos.add_loan(mifos.add_client(mobile="0712345678"), principal=10_000)
    mifos.approve(loan_id)
    event = heard(envelope(loan_id))
    again(client, event)
    until(lambda: Disbursement.objects.filter(status=Status.RECORDED).exists())

    again(client, event)
    again(client, event)

    assert len(safaricom.paid_to("254712345678")) == 1
    assert len([r for r in safaricom.requests if "b2c" in r.path]) == 1
    assert (event.state, event.disbursement) == ("done", Disbursement.objects.get())


def test_processed_again_it_still_belongs_to_what_it_led_to(client, heard, paid, mifos, executes):
    first = paid(Status.RECORDED)
    mifos.loans[first.loan_id].status = 300
    event = heard(envelope(first.loan_id), state="done", disbursement=first)

    with executes:
        again(client, event)
    event.refresh_from_db()

    assert (event.state, event.disbursement) == ("ignored", first)


def test_an_old_undo_processed_again_after_a_new_approval_was_paid_raises_no_alarm(
    client, heard, paid, mifos, executes
):
    recorded = paid(Status.RECORDED)
    mifos.loans[recorded.loan_id].status = 300
    event = heard(envelope(recorded.loan_id, "APPROVALUNDO"), sent=headers("APPROVALUNDO"),
                  state="done")  # fmt: skip

    with executes:
        again(client, event)
    event.refresh_from_db()

    assert event.state == "ignored"
    assert not Case.objects.exists()


def test_it_happens_once_however_often_it_is_pressed(client, kept):
    event, once = kept("ignored"), str(uuid.uuid4())
    for _ in range(2):
        press(client, f"/events/{event.pk}/again/", once=once)

    assert AuditEvent.objects.filter(act="event processed again").count() == 1


def test_who_may_only_look_processes_nothing(viewer, kept):
    event = kept("unreadable")

    page = viewer.get("/events/").content + viewer.get(f"/events/{event.pk}/").content
    refused = [viewer.post(f"/events/{event.pk}/again/", {"once": str(uuid.uuid4())}),
               viewer.post("/events/again/", {"once": str(uuid.uuid4())})]  # fmt: skip

    event.refresh_from_db()
    assert [answer.status_code for answer in refused] == [403, 403]
    assert (event.state, b"again/" in page) == ("unreadable", False)


def test_who_has_no_right_sees_no_events(baraka, kept):
    client = signed_in(baraka)

    assert client.get("/events/").status_code == 403
    assert client.get(f"/events/{kept().pk}/").status_code == 403


# -- many at once ------------------------------------------------------------------------------


def test_all_unreadable_of_a_filter_are_processed_again_and_no_others(
    client, heard, approved, executes
):
    taken = heard(envelope(approved()), state="unreadable", action="APPROVE")
    broken = heard("{", state="unreadable", action="APPROVE")
    left = heard("{", state="unreadable", action="REJECT")
    page = "/events/again/?action=APPROVE"
    assert "Process 2 unreadable events again?" in client.get(page).content.decode()

    with executes:
        answer = press(client, page)

    job = Job.objects.get()
    states = [Event.objects.get(pk=e.pk).state for e in (taken, broken, left)]
    assert answer.url == f"/jobs/{job.pk}/"
    assert (job.state, job.done, job.total) == ("done", 2, 2)
    assert states == ["done", "unreadable", "unreadable"]
    assert Event.objects.get(pk=left.pk).tries == 0
    assert [line["result"] for line in job.lines] == ["ok", "failed"]
    assert AuditEvent.objects.filter(act="event processed again").count() == 2


def test_one_press_takes_the_newest_two_hundred_at_most(client, heard, monkeypatch, executes):
    monkeypatch.setattr("mifos.again.AT_ONCE", 2)
    for _ in range(3):
        heard("{", state="unreadable")
    assert "the newest 2 unreadable" in client.get("/events/again/").content.decode()

    with executes:
        press(client, "/events/again/")

    assert Job.objects.get().total == 2


def test_without_unreadable_ones_there_is_nothing_to_press(client, kept):
    kept()

    assert b"unreadable ones again" not in client.get("/events/").content
    assert client.get("/events/again/").status_code == 302


def test_nothing_to_process_again_leads_back_however_long_the_filter(client, connection):
    answer = client.get("/events/again/", {"partner": "é" * 3_000})

    assert answer.headers["Location"] == "/events/"
