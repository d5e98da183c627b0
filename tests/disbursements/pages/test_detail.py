"""One disbursement's page: what it says, to whom, and how it stays live."""

import json
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from disbursements import approval, cases, evidence
from disbursements.holds import Hold
from disbursements.models import Disbursement, Inquiry
from disbursements.pages.notices import HOLD_WORDS
from disbursements.states import Status
from mifos.models import Event
from tests.disbursements.pages.people import may, signed_in
from tests.disbursements.pages.pressing import DECIDE, SETTLE, TEND, VIEW, address, text
from tests.samples import AMINA, BARAKA, paid

S = Status


@pytest.fixture
def browser(baraka) -> Client:
    return signed_in(may(baraka, VIEW, DECIDE, TEND, "disbursements.view_callback",
                         "mifos.view_event", "partners.view_partner"))  # fmt: skip


def shows(browser, one, **headers):
    return browser.get(address(one), headers=headers)


@pytest.mark.parametrize("status", list(Status))
def test_every_state_has_its_words(browser, manual, status):
    answer = shows(browser, manual(status, client_name="Grace Njeri"))

    said = text(answer)
    assert answer.status_code == 200
    assert f"KES 10,000.00 {status.label}" in said
    assert "to Grace Njeri · 254 712 345 678" in said
    assert any(word in said for word in ("No money has moved", "may move", "may have moved",
                                         "has the money"))  # fmt: skip


def test_one_that_does_not_exist_is_not_found(browser):
    assert browser.get("/disbursements/999999/").status_code == 404


def test_who_may_not_see_disbursements_sees_none(client, manual, amina):
    one = manual()

    assert signed_in(amina).get(address(one)).status_code == 403
    assert signed_in(amina).get(address(one, "live")).status_code == 403
    assert client.get(address(one)).headers["Location"].startswith("/login/")


@pytest.mark.parametrize("hold", list(Hold))
def test_a_hold_says_what_it_is_and_what_to_do(browser, manual, hold):
    said = text(shows(browser, manual(S.HELD, holds=[hold], hold_words="Found so.")))

    is_stuck = hold in approval.NOT_RELEASABLE
    moved = "Money may have moved" if hold == Hold.MAY_BE_PAID else "No money has moved."
    assert f"It is held. Found so. {moved}" in said
    assert ("It can't be paid as it stands" in said) is is_stuck
    assert ("Release it, if it is right" in said) is not is_stuck
    assert ("Release…" in said) is not is_stuck


def test_every_hold_has_words():
    assert HOLD_WORDS.keys() == set(Hold)


def test_what_can_be_released_and_what_must_be_put_right_are_told_apart(browser, take_in):
    one = take_in(phone="", is_top_up=True)

    said = text(shows(browser, one))

    assert "since there is no phone number. Put it right in Mifos X, then cancel it here" in said
    assert "The rest could be released: it is a top-up." in said
    assert "nobody yet" not in said


def test_the_details_say_who_approved_it_and_when_last(browser, manual, baraka):
    ago = timezone.now() - timedelta(hours=2)
    by_hand = manual(S.PAID, approved_by=baraka, approved_at=ago)
    by_itself = manual(S.AWAITING_APPROVAL, requested_by=None)
    by_itself.move(S.APPROVED, by="Mifos X")

    assert "Approved by baraka, 2 h ago" in text(shows(browser, by_hand))
    assert "Approved by Mifos X, automatically, " in text(shows(browser, by_itself))


def test_an_approved_one_says_what_it_waits_for_and_until_when(browser, manual):
    one = manual(waits_for="The partner is not active.",
                 due_at=timezone.now() + timedelta(minutes=5))  # fmt: skip

    said = text(shows(browser, one))

    assert "It is approved but waits: The partner is not active. No money has moved." in said
    assert "tried again by itself at" in said


def test_one_in_doubt_says_when_m_pesa_was_asked_and_will_be(browser, sent, asked):
    attempt = sent(S.IN_DOUBT, attempt="unknown")
    at = timezone.now() - timedelta(minutes=3)
    type(attempt).objects.update(sent_at=at, answer_words="No answer came.", answer_code="unknown")
    asked(attempt)
    Inquiry.objects.update(sent_at=at + timedelta(minutes=2))
    Disbursement.objects.update(due_at=at + timedelta(minutes=30))

    said = text(shows(browser, attempt.disbursement))

    asked_at = timezone.localtime(at + timedelta(minutes=2))
    next_at = timezone.localtime(at + timedelta(minutes=30))
    assert "M-Pesa has not said whether this was paid." in said
    assert f"{asked_at:%H:%M:%S}; it is asked by itself" in said
    assert f"{next_at:%H:%M:%S}" in said
    assert "Don't send it again by hand" in said


def test_one_in_doubt_says_that_a_refused_credential_keeps_m_pesa_from_being_asked(
    browser, sent, shortcode
):
    attempt = sent(S.IN_DOUBT, attempt="unknown")
    type(shortcode).objects.update(pause="configuration", paused_at=timezone.now(),
                                   pause_reason="Locked.")  # fmt: skip

    assert "can't be asked while shortcode 600997 is paused" in text(
        shows(browser, attempt.disbursement)
    )


@pytest.mark.parametrize(
    "code, words, following",
    [
        ("1", "Too little float.", "tried again by itself once the shortcode has float"),
        ("2040", "Not registered.", "Ask the borrower"),
        ("2001", "Wrong credential.", "Put the shortcode's settings right"),
        ("2", "Below the minimum.", "The same sum would fail again"),
        ("status-declined", "Declined.", "Retry it, or cancel it."),
    ],
)
def test_a_failure_says_why_with_the_code_in_small_and_what_to_do(
    browser, manual, code, words, following
):
    answer = shows(browser, manual(S.FAILED, failure_code=code, failure_words=words))

    said = text(answer)
    assert f"M-Pesa did not pay it: {words} No money has moved." in said
    assert following in said
    assert f"<small>Code {code}</small>" in answer.content.decode()


def test_paid_but_not_recorded_says_that_the_borrower_has_the_money(browser, take_in):
    one = take_in()
    one.move(S.SENDING, by="payout")
    one.move(S.PAID, by="M-Pesa", mpesa_receipt="TJM7ABCDEF", paid_at=timezone.now())
    Disbursement.objects.update(
        recording_error="The loan is closed.", recording_tries=3, recording_error_code="error.msg.x"
    )

    said = text(shows(browser, one))

    assert "has the money, but Mifos X doesn't show it: The loan is closed." in said
    assert "Never pay it again. Code error.msg.x" in said
    assert "Record in Mifos X again" in said


def test_an_open_case_stands_first_with_its_link_for_who_may_close_it(
    browser, manual, amina, baraka
):
    one = manual(S.FAILED, failure_words="No.")
    case = cases.open_case("contradiction", "First failed, then paid.", disbursement=one)

    answer = shows(browser, one)
    assert f"/cases/{case.pk}/close/" not in answer.content.decode()
    may(baraka, SETTLE)

    answer = shows(browser, one)
    others = shows(signed_in(may(amina, VIEW)), one)

    assert "Open case: M-Pesa contradicts itself. First failed, then paid." in text(answer)
    assert "It is never paid again from here. Cancel it" in text(answer)
    assert "Retry…" not in text(answer)
    assert f"/cases/{case.pk}/close/" in answer.content.decode()
    assert f"/cases/{case.pk}/close/" not in others.content.decode()


def test_a_cancelled_one_that_m_pesa_paid_does_not_say_that_no_money_moved(browser, sent):
    attempt = sent(S.CANCELLED, attempt="not_sent")
    evidence.paid(attempt, receipt="TJM7ABCDEF", at=None, by="M-Pesa")

    said = text(shows(browser, attempt.disbursement))

    assert "Yet M-Pesa paid it, receipt TJM7ABCDEF. Money has moved: never pay it again." in said
    assert "No money has moved" not in said


def test_the_history_tells_people_from_machines(browser, manual, baraka):
    one = manual(S.AWAITING_APPROVAL)
    approval.approve(one, by=baraka, note="Checked against the file.")
    one.move(S.SENDING, by="payout", note="Attempt 1.")

    page = shows(browser, one).content.decode()

    assert '<li class="busy">\n      <strong>Approved</strong> — Checked against the file.' in page
    assert '<li class="busy machine">\n      <strong>Sending</strong> — Attempt 1.' in page
    assert page.index("<strong>Sending</strong>") < page.index("<strong>Approved</strong>")


def told_of_everything(sent, asked, told, connection):
    """A payout in doubt whose result came later, with a loan's event."""
    attempt = sent(S.SENT)
    Disbursement.objects.filter(pk=attempt.disbursement_id)
    type(attempt).objects.update(
        sent_at=timezone.now() - timedelta(minutes=2), answered_at=timezone.now(),
        answer_code="0", answer_words="Accept the service request successfully.",
    )  # fmt: skip
    asked(attempt)
    told(attempt, paid())
    return attempt


def test_every_message_stands_in_order_with_its_body_folded(browser, sent, asked, told, connection):
    attempt = told_of_everything(sent, asked, told, connection)

    page = unescape(shows(browser, attempt.disbursement).content.decode())

    steps = ["We asked M-Pesa to pay KES 10,000", "M-Pesa answered the request",
             "M-Pesa called back with the result"]  # fmt: skip
    places = [page.index(step) for step in steps]
    assert places == sorted(places)
    assert "We asked M-Pesa what became of it" in page
    assert "Accept the service request successfully. <small>(0)</small>" in page
    assert "<details><summary>Body of callback" in page
    assert '"TransactionReceipt"' in page
    assert "<details open" not in page


def test_a_mifos_event_about_it_is_one_of_its_messages(browser, take_in, connection):
    one = take_in()
    Event.objects.create(
        connection=connection, form="native", state="done", entity="LOAN", action="APPROVE",
        outcome="It made a disbursement.", disbursement=one,
        body=json.dumps({"webhookToken": "s3cret-token-of-theirs", "loanId": 3198}),
    )  # fmt: skip

    page = shows(browser, one)

    assert "Mifos X told us: LOAN APPROVE It made a disbursement." in text(page)
    assert "s3cret" not in page.content.decode()
    assert "3198" in page.content.decode()


def test_bodies_are_for_who_may_see_the_inbox(browser, sent, told, amina):
    attempt = sent()
    told(attempt, paid())

    page = shows(signed_in(may(amina, VIEW)), attempt.disbursement).content.decode()

    assert "M-Pesa called back with the result" in page
    assert "TransactionReceipt" not in page
    assert "/callbacks/" not in page


SECRETS = {
    "an address of ours": f"https://vault.test/cb/{'0123456789abcdef' * 2}/r",
    "a hook's address": "https://vault.test/mifos-webhook/abcdefabcdef0123/",
    "a password": 'x "password": "Safaricom999!"',
    "a bearer": "Authorization: Bearer abc.def.ghi",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_what_a_kept_body_still_contains_is_masked(browser, sent, secret):
    attempt = sent()
    kept = attempt.callbacks.create(kind="r", body=json.dumps({"Result": {"x": secret}}))

    for url in (address(attempt.disbursement), f"/callbacks/{kept.pk}/"):
        page = unescape(browser.get(url).content.decode())
        assert "[masked]" in page
        for part in ("0123456789abcdef", "abcdefabcdef0123", "Safaricom999!", "abc.def.ghi"):
            assert part not in page


def test_no_token_of_ours_is_anywhere_on_the_page(browser, sent, asked):
    attempt = sent(S.IN_DOUBT, attempt="unknown")
    question = asked(attempt)

    page = shows(browser, attempt.disbursement).content.decode()

    for request in (attempt, question):
        assert request.callback_token not in page
        assert request.callback_token_hash not in page


def test_numbers_stand_in_a_body_as_m_pesa_wrote_them(browser, sent):
    attempt = sent()
    kept = attempt.callbacks.create(kind="r", body='{"Result":{"a":10000.00,"b":[1,{"c":"x,{"}]}}')

    page = unescape(browser.get(f"/callbacks/{kept.pk}/").content.decode())

    assert '  "Result": {\n    "a": 10000.00,\n    "b": [\n      1,' in page
    assert '"c": "x,{"' in page


def test_what_is_no_json_is_shown_as_it_came_and_harmless(browser, sent):
    kept = sent().callbacks.create(kind="r", body="<script>alert(1)</script>")

    page = browser.get(f"/callbacks/{kept.pk}/").content.decode()

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_others_of_the_loan_and_of_the_number_are_listed_once(browser, manual, lender, take_in):
    of_loan = take_in()
    of_loan.move(S.CANCELLED, by="Mifos X", is_approval_over=True)
    one = take_in()
    of_number = manual(S.PAID, msisdn=one.msisdn)
    manual(S.APPROVED, msisdn=BARAKA)

    related = shows(browser, one).context["related"]

    assert [(d.pk, d.why) for d, _ in related] == [
        (of_number.pk, "Same number"), (of_loan.pk, "Same loan"),
    ]  # fmt: skip


# How it stays live


def stamp_in(answer):
    return answer.content.decode().partition("live/?seen=")[2].partition('"')[0]


@pytest.mark.parametrize("status", list(Status))
def test_it_looks_again_until_it_is_final(browser, manual, status):
    page = shows(browser, manual(status)).content.decode()

    is_over = status in (S.RECORDED, S.REJECTED, S.CANCELLED, S.PAID)  # one without a loan
    assert ('hx-trigger="every 5s"' in page) is not is_over


def test_nothing_new_is_nothing_to_draw(browser, manual, time_machine):
    time_machine.move_to(timezone.now().replace(second=31), tick=False)
    one = manual()
    stamp = stamp_in(shows(browser, one))

    assert browser.get(address(one, "live"), {"seen": stamp}).status_code == 204


def test_ages_are_drawn_anew_after_a_while_without_touching_the_messages(
    browser, manual, time_machine
):
    time_machine.move_to(timezone.now().replace(second=31), tick=False)
    one = manual()
    stamp = stamp_in(shows(browser, one))
    time_machine.shift(30)

    answer = browser.get(address(one, "live"), {"seen": stamp})

    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'id="live"' in page
    assert 'id="messages"' not in page


def changes():
    return {
        "a move": lambda a: a.disbursement.move(S.IN_DOUBT, by="system"),
        "a question": lambda a: Inquiry.objects.create(
            kind="status", attempt=a, shortcode=a.shortcode
        ),
        "a callback": lambda a: a.callbacks.create(kind="r", body="{}"),
        "a case": lambda a: cases.open_case("contradiction", "x", disbursement=a.disbursement),
        "an answer": lambda a: type(a).objects.filter(pk=a.pk).update(answer_code="0"),
        "what it waits for": lambda a: Disbursement.objects.update(waits_for="x"),
    }


@pytest.mark.parametrize("change", changes().values(), ids=changes().keys())
def test_whatever_changes_is_shown_by_the_next_look(browser, sent, time_machine, change):
    time_machine.move_to(timezone.now().replace(second=31), tick=False)
    attempt = sent()
    stamp = stamp_in(shows(browser, attempt.disbursement))
    change(attempt)

    answer = browser.get(address(attempt.disbursement, "live"), {"seen": stamp})

    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'id="messages" aria-labelledby="messages-head" hx-swap-oob="true"' in page
    assert "<title>" in page
    assert stamp_in(answer) not in ("", stamp)


def test_it_stops_looking_once_it_is_final(browser, sent):
    attempt = sent()
    stamp = stamp_in(shows(browser, attempt.disbursement))
    evidence.paid(attempt, receipt="TJM7ABCDEF", at=None, by="M-Pesa")

    page = browser.get(address(attempt.disbursement, "live"), {"seen": stamp}).content.decode()

    assert "hx-trigger" not in page
    assert 'id="said" hx-swap-oob="innerHTML">' in page
    assert "Paid" in page


# How much it asks of the database


def crowded(attempt, take_in, connection, count):
    """As much around a disbursement as there can be."""
    one = attempt.disbursement
    for number in range(count):
        Event.objects.create(connection=connection, form="native", body="{}", disbursement=one)
        question = Inquiry.objects.create(
            kind="status", attempt=attempt, shortcode=attempt.shortcode, sent_at=timezone.now()
        )
        question.callbacks.create(kind="s", body="{}", state="done")
        attempt.callbacks.create(kind="r", body="{}", state="done")
        one.transitions.create(old="sent", new="sent", by="amina", note=f"{number}")
        cases.open_case(f"kind_{number}", "Look.", disbursement=one)


def test_it_asks_no_more_than_a_dozen_queries_whatever_there_is(
    browser, sent, take_in, connection, django_assert_max_num_queries, baraka, amina, manual
):
    attempt = sent(S.IN_DOUBT, attempt="unknown", connection=connection, loan_id=77)
    attempt.disbursement.settlements.create(
        attempt=attempt, outcome="failed", evidence="Seen.", proposed_by=amina
    )
    manual(S.PAID, msisdn=AMINA)
    crowded(attempt, take_in, connection, 70)

    with django_assert_max_num_queries(12):
        answer = shows(browser, attempt.disbursement)

    assert answer.status_code == 200


@pytest.mark.parametrize("status", list(Status))
def test_no_state_asks_more(browser, manual, status, django_assert_max_num_queries):
    one = manual(status)

    with django_assert_max_num_queries(12):
        shows(browser, one)


def test_a_look_that_finds_nothing_new_is_cheap(
    browser, manual, django_assert_max_num_queries, time_machine
):
    time_machine.move_to(timezone.now().replace(second=31), tick=False)
    one = manual()
    stamp = stamp_in(shows(browser, one))

    with django_assert_max_num_queries(5):
        assert browser.get(address(one, "live"), {"seen": stamp}).status_code == 204
