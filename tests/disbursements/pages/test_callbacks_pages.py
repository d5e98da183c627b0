"""The inbox of M-Pesa's callbacks, and processing one again."""

import json
from datetime import UTC, datetime, timedelta

import pgtrigger
import pytest
from django.test import Client
from django.utils import timezone

from disbursements import again
from disbursements.approval import NotAllowed
from disbursements.models import Callback, Disbursement
from disbursements.states import Status
from partners.models import MpesaShortcode, Partner
from paymentvault.models import AuditEvent
from tests.disbursements.pages.people import may, signed_in
from tests.disbursements.pages.pressing import TEND, once, press, text
from tests.samples import paid

LIST = "/callbacks/"
VIEW, CHANGE = "disbursements.view_callback", "disbursements.change_callback"


@pytest.fixture
def browser(baraka) -> Client:
    return signed_in(may(baraka, VIEW, CHANGE, TEND))


def came(about, body="{}", **changes):
    given = {"attempt": about, "kind": "r", "body": body} | changes
    return Callback.objects.create(**given)


def url(callback, page=""):
    return f"{LIST}{callback.pk}/{page}"


def test_each_says_what_it_was_for_what_and_what_came_of_it(browser, sent, told):
    attempt = sent()
    told(attempt, paid())

    answer = browser.get(LIST)

    said = text(answer)
    one = attempt.disbursement
    assert f"just now {one.reference} Processed {one.reference} is paid, receipt" in said
    assert f'href="/disbursements/{one.pk}/"' in answer.content.decode()


def test_a_balance_belongs_to_no_disbursement(browser, asked_for_balance):
    kept = came(None, inquiry=asked_for_balance, kind="b")

    assert "just now none Waiting none Pesa Pamoja" in text(browser.get(LIST)).replace("— ", "")
    assert "for shortcode 600997" in text(browser.get(url(kept)))


def test_an_empty_inbox_says_what_will_come(browser):
    assert "No callbacks yet." in text(browser.get(LIST))
    assert "No callbacks match." in text(browser.get(f"{LIST}?kind=b"))


FILTERS = [
    ("", {"result", "status", "other"}),
    ("?kind=s", {"status"}),
    ("?state=unreadable", {"other"}),
    ("?partner=other", {"other"}),
    ("?partner=pamoja", {"result", "status"}),
    ("?since={tomorrow}", set()),
    ("?until={today}", {"result", "status", "other"}),
    ("?since={today}&until={today}", {"result", "status", "other"}),
    ("?q={reference}", {"result", "status"}),
    ("?q={originator}", {"result", "status"}),
    ("?q=tjm7othera", {"other"}),
    ("?q=nothing", set()),
]


@pytest.fixture
def three(sent, asked, manual, lender):
    """A result and a status of one payout, and a result of another partner's."""
    attempt = sent()
    theirs = Partner.objects.create(name="Other", code="other")
    shortcode = MpesaShortcode.objects.create(
        partner=theirs, shortcode="600998", consumer_key="k", consumer_secret="s",
        initiator_name="x",
    )  # fmt: skip
    other = manual(Status.PAID, partner=theirs, mpesa_receipt="TJM7OTHERA")
    others = other.attempts.create(
        shortcode=shortcode, msisdn=other.msisdn, amount_kes=10_000, status="paid"
    )
    return {
        "result": came(attempt).pk,
        "status": came(None, inquiry=asked(attempt), kind="s").pk,
        "other": came(others, state="unreadable").pk,
    }, attempt


@pytest.mark.parametrize("query, expected", FILTERS)
def test_what_a_filter_shows(browser, three, query, expected):
    keys, attempt = three
    today = timezone.localdate()
    query = query.format(
        today=today, tomorrow=today + timedelta(days=1),
        reference=attempt.disbursement.reference, originator=attempt.originator_conversation_id,
    )  # fmt: skip

    rows = browser.get(LIST + query).context["rows"]

    assert {row["callback"].pk for row in rows} == {keys[name] for name in expected}


def test_a_day_that_is_none_is_told_and_filters_nothing(browser, three):
    answer = browser.get(f"{LIST}?since=soon&state=odd")

    assert "Enter a day such as" in text(answer)
    assert len(answer.context["rows"]) == 3


def test_a_filter_in_force_can_be_dropped(browser, three):
    page = browser.get(f"{LIST}?kind=s&partner=pamoja").content.decode()

    assert 'href="/callbacks/?partner=pamoja" aria-label="Remove the filter Kind"' in page


def test_the_page_of_one_has_its_body_and_what_is_in_it(browser, sent, told):
    attempt = sent()
    told(attempt, paid())

    said = text(browser.get(url(Callback.objects.get())))

    assert f"for {attempt.disbursement.reference} , received" in said
    assert '"TransactionReceipt"' in said
    assert attempt.originator_conversation_id in said
    assert "Process again…" not in said


STATES = {"waiting": False, "done": False, "unmatched": False, "unreadable": True}


@pytest.mark.parametrize("state, may_be", STATES.items())
def test_only_what_could_not_be_read_is_processed_again(browser, sent, state, may_be, baraka):
    kept = came(sent(), state=state)

    opened = browser.get(url(kept, "again/"), follow=True)
    press(browser, url(kept, "again/"), reason="Mended.")

    kept.refresh_from_db()
    assert ("Process again…" in text(browser.get(url(kept)))) is False
    assert (kept.state == "waiting") is (may_be or state == "waiting")
    assert ("Nothing was changed" in text(opened)) is not may_be
    assert AuditEvent.objects.filter(act="callback processed again").exists() is may_be


@pytest.mark.lesson(6)
def test_a_forged_callback_never_counts(browser, sent, client, baraka):
    """Whoever knows our id but not the address may post "failed", which would let it be resent."""
    attempt = sent()
    client.post("/cb/" + "0" * 32 + "/r", paid(
        OriginatorConversationID=attempt.originator_conversation_id
    ), "application/json")  # fmt: skip
    kept = Callback.objects.get()
    assert kept.state == "unmatched"

    said = text(browser.get(url(kept)))
    press(browser, url(kept, "again/"), reason="It looks right.")

    kept.refresh_from_db()
    assert "it proves nothing" in said
    assert "Ask M-Pesa again" in said
    assert kept.state == "unmatched"
    assert Disbursement.objects.get().status == Status.SENT
    with pytest.raises(NotAllowed):
        again.process(kept, by=baraka)


def test_what_a_fault_of_ours_hindered_counts_once_it_is_mended(
    browser, sent, django_capture_on_commit_callbacks
):
    attempt = sent()
    body = paid(OriginatorConversationID=attempt.originator_conversation_id)

    kept = came(attempt, json.dumps(body), state="unreadable", tries=10, outcome="By a fault.")

    with django_capture_on_commit_callbacks(execute=True):
        said = press(browser, url(kept, "again/"), reason="Mended.")

    kept.refresh_from_db()
    assert f"Callback {kept.pk} is being processed." in text(said)
    assert (kept.state, Disbursement.objects.get().status) == ("done", Status.PAID)
    line = AuditEvent.objects.get(act="callback processed again")
    assert (line.actor, line.partner_code, line.source_address) == ("baraka", "pamoja", "127.0.0.1")


def test_it_is_processed_again_once(browser, sent):
    kept = came(sent(), "<x>", state="unreadable")
    typed = {**once(browser, url(kept, "again/")), "reason": "Mended."}

    browser.post(url(kept, "again/"), typed)
    second = browser.post(url(kept, "again/"), typed, follow=True)

    assert "done already, by the first press" in text(second)
    assert AuditEvent.objects.count() == 1


def test_who_may_only_look_processes_nothing(amina, sent):
    kept = came(sent(), state="unreadable")
    client = signed_in(may(amina, VIEW))

    assert "Process again…" not in text(client.get(url(kept)))
    assert client.get(url(kept, "again/")).status_code == 403
    assert client.post(url(kept, "again/"), {"reason": "x"}).status_code == 403
    kept.refresh_from_db()
    assert kept.state == "unreadable"


def test_who_may_not_see_callbacks_sees_none(amina, client, sent):
    kept = came(sent())

    assert signed_in(amina).get(LIST).status_code == 403
    assert signed_in(amina).get(url(kept)).status_code == 403
    assert client.get(LIST).headers["Location"].startswith("/login/")


@pytest.mark.parametrize("query", ["", "?partner=pamoja", "?q=DSB-1", "?since=2020-01-01"])
def test_more_callbacks_ask_no_more_queries(
    browser, sent, asked, query, django_assert_max_num_queries
):
    attempt = sent()
    for _ in range(30):
        came(attempt)
        came(None, inquiry=asked(attempt), kind="s")

    with django_assert_max_num_queries(10):
        answer = browser.get(LIST + query)

    assert len(answer.context["rows"]) in (0, 50)


def test_processing_again_tells_the_time_in_nairobi(browser, sent):
    kept = came(sent(), state="unreadable")
    with pgtrigger.ignore("disbursements.Callback:what_arrived_stays"):
        Callback.objects.update(received_at=datetime(2026, 3, 12, 21, 30, tzinfo=UTC))

    assert "13 March 2026 00:30:00" in text(browser.get(url(kept, "again/")))
