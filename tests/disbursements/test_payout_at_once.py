"""Many at the same moment, on real threads with real connections."""

import json
import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from disbursements import limits, payout, tasks
from disbursements.models import Attempt, Disbursement
from disbursements.states import Status
from partners.models import MpesaShortcode, Partner
from tests.disbursements.at_once import at_once, errors
from tests.samples import AMINA, result
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

NUMBERS = [f"25471234560{n}" for n in range(9)]


def test_two_workers_with_the_same_disbursement_send_it_once(manual, shortcode, wire):
    disbursement = manual()

    ended = at_once(tasks.send_payout, [disbursement.pk] * 8)

    assert errors(ended) == []
    assert len(wire.posts) == 1
    assert Attempt.objects.get().status == "sent"


def test_of_two_claims_of_the_same_disbursement_one_is_refused(manual, shortcode, wire):
    """Even without the lease, the compare-and-swap lets one through."""
    disbursement = manual()

    ended = at_once(lambda _: payout._send(Disbursement.objects.get(pk=disbursement.pk)), range(6))

    assert len(wire.posts) == 1
    assert len(errors(ended)) == 5


def test_an_unproved_credential_lets_one_go_first(manual, shortcode, wire):
    MpesaShortcode.objects.update(credential_proved_at=None)
    all_five = [manual(msisdn=number).pk for number in NUMBERS[:5]]

    ended = at_once(tasks.send_payout, all_five)

    assert errors(ended) == []
    assert len(wire.posts) == 1
    assert Disbursement.objects.filter(status=Status.APPROVED).count() == 4


def test_a_wrong_credential_is_tried_once_and_pauses(manual, shortcode, safaricom, live_server,
                                                     settings):  # fmt: skip
    settings.PUBLIC_URL = live_server.url
    MpesaShortcode.objects.update(credential_proved_at=None, initiator_password="wrong")
    all_five = [manual(msisdn=number).pk for number in NUMBERS[:5]]

    at_once(tasks.send_payout, all_five)
    until(lambda: MpesaShortcode.objects.get().is_paused)
    Disbursement.objects.filter(status=Status.APPROVED).update(due_at=timezone.now())
    tasks.sweep_approved()

    safaricom.settle()
    assert [payment.result_code for payment in safaricom.ledger] == ["2001"]
    assert Disbursement.objects.filter(status=Status.APPROVED).count() == 4


def test_once_the_canary_is_paid_the_others_follow(manual, shortcode, safaricom, live_server,
                                                   settings):  # fmt: skip
    settings.PUBLIC_URL = live_server.url
    MpesaShortcode.objects.update(credential_proved_at=None)
    all_five = [manual(msisdn=number).pk for number in NUMBERS[:5]]

    at_once(tasks.send_payout, all_five)

    until(lambda: Disbursement.objects.filter(status=Status.PAID).count() == 5)
    assert len(safaricom.ledger) == 5


@pytest.fixture
def other(db):
    """Another lender, with a shortcode of its own."""
    made = Partner.objects.create(name="Other", code="other")
    MpesaShortcode.objects.create(
        partner=made, shortcode="600998", consumer_key="k", consumer_secret="s", is_default=True,
        initiator_name="i", security_credential="ready==", credential_proved_at=timezone.now(),
    )  # fmt: skip
    return made


@pytest.mark.lesson(18)
@pytest.mark.parametrize("attempt", range(3))
def test_two_at_once_cannot_both_fit_under_a_recipients_daily_limit(
    manual, shortcode, other, wire, settings, monkeypatch, attempt
):
    settings.MPESA_DAILY_PER_RECIPIENT = 15_000
    real = limits.reasons
    # So that all are between the look and the claim at the same time.
    monkeypatch.setattr(limits, "reasons", lambda *a, **k: (time.sleep(0.02), real(*a, **k))[1])
    rows = [manual(partner=p) for p in (shortcode.partner, other) for _ in range(2)]

    at_once(tasks.send_payout, [row.pk for row in rows])

    assert len(wire.posts) == 1
    assert Disbursement.objects.filter(status=Status.HELD).count() == 3


def test_a_partners_backlog_leaves_room_for_another(manual, shortcode, other, wire):
    gate, most, now, lock = threading.Event(), [0], [0], threading.Lock()

    def slow():
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        gate.wait(5)
        with lock:
            now[0] -= 1

    wire.meanwhile = slow
    threads = []
    for number in NUMBERS[:6]:
        work = [manual(msisdn=number).pk]
        threads.append(threading.Thread(target=at_once, args=(tasks.send_payout, work)))
        threads[-1].start()
        time.sleep(0.1)
    waiting = len(wire.posts)
    theirs = threading.Thread(
        target=at_once, args=(tasks.send_payout, [manual(partner=other, msisdn=NUMBERS[8]).pk])
    )
    theirs.start()
    until(lambda: len(wire.posts) > waiting)
    gate.set()
    for thread in [*threads, theirs]:
        thread.join()

    assert waiting == payout.AT_ONCE_PER_PARTNER
    assert wire.posts[waiting]["PartyA"] == "600998"


def test_those_who_wait_for_their_turn_do_not_ring_each_other_without_end(
    manual, shortcode, monkeypatch
):
    for number in NUMBERS[:4]:
        manual(Status.SENDING, msisdn=number)
    waiting = [manual(msisdn=number) for number in NUMBERS[4:7]]
    tried = []
    monkeypatch.setattr(payout, "_postpone", lambda d, *_: str(tried.append(d.pk)))

    tasks.send_payout(waiting[0].pk)

    assert tried == [waiting[0].pk]


def test_the_next_of_a_partner_is_rung_for_when_one_is_done(manual, shortcode, wire):
    first, second = manual(), manual(msisdn=NUMBERS[0])

    tasks.send_payout(first.pk)

    second.refresh_from_db()
    assert second.status == Status.SENT


def refusal_of(attempt):
    named = {"OriginatorConversationID": attempt.originator_conversation_id}
    return json.dumps(result("callback-b2c-failure-2001-official-2024", code=2001, **named))


def test_callbacks_and_answers_that_cross_do_not_deadlock(manual, shortcode, wire, told):
    """A refusal that pauses, claims of others, and a failure by callback, all on one shortcode."""
    from disbursements.callbacks import process

    attempts = [manual(Status.SENDING, msisdn=n).attempts.create(
        shortcode=shortcode, amount_kes=10_000, msisdn=n) for n in NUMBERS[:4]]  # fmt: skip
    kept = [a.callbacks.create(kind="r", body=refusal_of(a)).pk for a in attempts]
    more = [manual(msisdn=n).pk for n in NUMBERS[4:]]

    ended = at_once(
        lambda act: act[0](act[1]),
        [*((process, pk) for pk in kept), *((tasks.send_payout, pk) for pk in more)],
    )

    assert errors(ended) == []
    assert Disbursement.objects.filter(status=Status.FAILED).count() == 4


def test_the_daily_limit_counts_other_payouts_of_today_only(manual, shortcode, wire, settings):
    settings.MPESA_DAILY_PER_RECIPIENT = 20_000
    large = manual(Status.SENT, amount=19_000, gross_amount=19_000)
    yesterday = large.attempts.create(
        shortcode=shortcode, amount_kes=19_000, msisdn=AMINA, status="sent",
        sent_at=timezone.now() - timedelta(days=1),
    )  # fmt: skip

    for _ in range(3):
        tasks.send_payout(manual().pk)

    assert yesterday.status == "sent"
    assert len(wire.posts) == 2
