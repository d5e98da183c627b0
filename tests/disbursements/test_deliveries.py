"""Partners' own systems are told: signed, at least once, on a schedule, and nobody waits."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from disbursements import deliveries, evidence, signing, tasks
from disbursements.models import Delivery, Disbursement, moved
from disbursements.states import NEXT, Status
from partners import endpoints
from partners.models import Announcement, Partner, WebhookEndpoint, new_signing_secret
from paymentvault import networks, sweeping
from paymentvault.models import AuditEvent
from paymentvault.sandbox.server import Answer, HangUp, Reset, Server
from tests.disbursements.at_once import at_once, errors
from tests.disbursements.receiver import Receiver
from tests.waiting import until

pytestmark = pytest.mark.django_db

State = Delivery.State
OTHER_SECRET = new_signing_secret()


@pytest.fixture
def receiver():
    with Server(Receiver()) as server:
        server.world.url = f"{server.url}/webhooks"
        yield server.world
        server.world.released.set()


@pytest.fixture
def endpoint(lender, receiver, amina):
    return WebhookEndpoint.objects.create(partner=lender, url=receiver.url, made_by=amina)


@pytest.fixture
def pay(manual):
    """A disbursement that M-Pesa has, and then paid."""

    def make(receipt="TJM7AAAAAA", **changes):
        disbursement = manual(Status.SENT, **changes)
        disbursement.move(Status.PAID, by="M-Pesa", mpesa_receipt=receipt, paid_at=timezone.now())
        return disbursement

    return make


@pytest.fixture
def told(endpoint, pay):
    """A delivery that waits."""
    pay()
    return Delivery.objects.get()


def deliver(endpoint):
    """As a worker does it."""
    words = deliveries.deliver(endpoint.pk)
    endpoint.refresh_from_db()
    return words


# What is told, and of what


@pytest.mark.parametrize("to", Status)
def test_only_the_moves_of_the_table_are_told(endpoint, manual, to):
    was = next((status for status, following in NEXT.items() if to in following), None)
    if was is None:
        return
    changes = {"mpesa_receipt": "TJM7AAAAAA", "paid_at": timezone.now()} if to == "paid" else {}
    changes |= {"hold_words": "A reason."} if to == Status.HELD else {}

    manual(was).move(to, by="a test", **changes)

    expected = [f"disbursement.{to}"] if to in deliveries.ANNOUNCED else []
    assert list(Delivery.objects.values_list("type", flat=True)) == expected


def test_what_is_told_of_a_payment(told):
    disbursement = Disbursement.objects.get()

    payload = json.loads(told.payload)

    assert payload["type"] == "disbursement.paid"
    assert payload["timestamp"].endswith("Z")
    assert payload["data"] | {"paid_at": ""} == {
        "reference": disbursement.reference, "loan_id": None, "loan_account": "",
        "amount": "10000.00", "currency": "KES", "msisdn": disbursement.msisdn, "status": "paid",
        "mpesa_receipt": "TJM7AAAAAA", "paid_at": "", "recorded_at": None, "reason": None,
        "reason_code": None,
    }  # fmt: skip


def test_a_failure_and_a_hold_say_why(endpoint, sent, manual):
    evidence.failed(sent(), code="2001", words="The initiator is wrong.", by="M-Pesa")
    manual(Status.APPROVED).move(Status.HELD, by="a test", hold_words="The sum changed.")

    reasons = [json.loads(row.payload)["data"]["reason"] for row in Delivery.objects.order_by("pk")]
    assert reasons == ["The initiator is wrong.", "The sum changed."]


def test_without_an_endpoint_nothing_is_written(pay):
    pay()

    assert not Delivery.objects.exists()


@pytest.mark.parametrize("changes", [{"is_on": False}, {"events": ["disbursement.held"]}])
def test_an_endpoint_is_told_only_what_it_wants_while_it_is_on(endpoint, pay, changes):
    WebhookEndpoint.objects.update(**changes)

    pay()

    assert not Delivery.objects.exists()


def test_another_partners_endpoint_is_told_nothing(endpoint, pay):
    other = Partner.objects.create(name="Jamii", code="jamii")
    WebhookEndpoint.objects.update(partner=other)

    pay()

    assert not Delivery.objects.exists()


def test_each_endpoint_of_a_partner_is_told(endpoint, pay, amina):
    WebhookEndpoint.objects.create(partner=endpoint.partner, url="https://b.test", made_by=amina)

    pay()

    assert Delivery.objects.count() == 2
    assert len(set(Delivery.objects.values_list("webhook_id", flat=True))) == 2


def test_a_move_that_is_taken_back_is_not_told(endpoint, pay):
    with transaction.atomic():
        pay()
        transaction.set_rollback(True)

    assert not Delivery.objects.exists()


def test_a_fault_in_telling_never_stops_a_payment(endpoint, pay, monkeypatch):
    monkeypatch.setattr(deliveries, "_payload", lambda *_, **__: 1 / 0)

    disbursement = pay()

    assert disbursement.status == Status.PAID
    assert not Delivery.objects.exists()


def test_a_fault_in_the_database_while_telling_never_stops_a_payment(endpoint, pay, monkeypatch):
    def broken(*_, **__):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    monkeypatch.setattr(deliveries, "_payload", broken)

    assert pay().status == Status.PAID
    assert Disbursement.objects.get().transitions.count() == 1


def test_telling_costs_a_payment_nothing_remote(endpoint, pay, receiver, monkeypatch):
    asked = []
    monkeypatch.setattr("socket.socket.connect", lambda *address: asked.append(address))

    pay()

    assert asked == []
    assert receiver.told == []


def test_telling_costs_a_move_few_queries(endpoint, manual, django_assert_max_num_queries):
    disbursement = manual(Status.SENT)

    # The move's own: savepoint, update, history, re-read, release; the audit's: key, attempt and
    # line with their savepoints; ours: savepoint, look, write.
    with django_assert_max_num_queries(16):
        disbursement.move(Status.PAID, by="M-Pesa", mpesa_receipt="TJM7AAAAAA",
                          paid_at=timezone.now())  # fmt: skip


def test_the_hook_is_connected_once():
    assert len([r for r in moved.receivers if "deliveries" in r[0]]) == 1


# Sending


def test_a_delivery_verifies_with_the_reference_library(endpoint, told, receiver):
    deliver(endpoint)

    [request] = receiver.told
    assert Webhook(endpoint.secret).verify(request.body, request.headers) == json.loads(
        told.payload
    )
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == told.webhook_id


def test_a_changed_body_or_another_secret_does_not_verify(endpoint, told, receiver):
    deliver(endpoint)

    [request] = receiver.told
    for secret, body in ((endpoint.secret, request.body + b" "), (OTHER_SECRET, request.body)):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, request.headers)


def test_the_signature_is_the_reference_librarys_own():
    body, at = '{"type":"ping","words":"ü"}', datetime(2026, 11, 23, 9, tzinfo=UTC)

    made = signing.headers(
        "msg_1", timestamp=int(at.timestamp()), body=body.encode(), secrets=[OTHER_SECRET]
    )

    assert made["webhook-signature"] == Webhook(OTHER_SECRET).sign("msg_1", at, body)


def test_names_that_are_not_ascii_verify_too(endpoint, manual, receiver):
    manual(Status.APPROVED).move(Status.HELD, by="a test", hold_words="Njoroge’s number — ünknown")

    deliver(endpoint)

    [request] = receiver.told
    assert (
        "ünknown"
        in Webhook(endpoint.secret).verify(request.body, request.headers)["data"]["reason"]
    )


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(endpoint, told, receiver, status):
    receiver.answers = [Answer(status)]

    deliver(endpoint)

    told.refresh_from_db()
    assert (told.state, told.last_status, told.tries) == (State.DELIVERED, status, 1)
    assert endpoint.delivered_at and not endpoint.failing_since


@pytest.mark.parametrize(
    "answer, words",
    [
        (Answer(301, headers={"Location": "http://127.0.0.1:1/"}), "No redirect is followed"),
        (Answer(400, body="<b>canary</b>"), "HTTP 400"),
        (Answer(404), "HTTP 404"),
        (Answer(429), "HTTP 429"),
        (Answer(500, body="canary"), "HTTP 500"),
        (HangUp(), "Not delivered: the connection broke off"),
        (Reset(), "Not delivered: the connection broke off"),
    ],
)
def test_anything_else_is_tried_again_and_its_body_is_not_kept(
    endpoint, told, receiver, answer, words
):
    receiver.answers = [answer]

    deliver(endpoint)

    told.refresh_from_db()
    assert told.state == State.WAITING
    assert words in told.last_words
    assert "canary" not in told.last_words
    assert told.due_at > timezone.now()
    assert endpoint.failing_since


def test_410_switches_the_endpoint_off_and_says_so(endpoint, told, receiver, pay):
    receiver.answers = [Answer(410)]

    deliver(endpoint)
    pay("TJM7BBBBBB")

    assert not endpoint.is_on
    assert "410" in endpoint.off_words
    assert Delivery.objects.count() == 1
    assert AuditEvent.objects.filter(act="webhook endpoint switched off", actor="system").exists()


@pytest.mark.parametrize(
    "days, tries, is_on", [(5, 3, False), (4.9, 3, True), (5, 0, True), (None, 3, True)]
)
def test_one_that_took_nothing_for_days_is_switched_off_and_says_so(
    endpoint, told, receiver, pay, days, tries, is_on
):
    since = timezone.now() - timedelta(days=days) if days else None
    WebhookEndpoint.objects.update(failing_since=since)
    Delivery.objects.update(tries=tries)
    receiver.answers = [Answer(500)]

    deliver(endpoint)

    told.refresh_from_db()
    assert endpoint.is_on is is_on
    assert told.state == State.WAITING
    assert ("took nothing for 5 days" in endpoint.off_words) is not is_on
    off = AuditEvent.objects.filter(act="webhook endpoint switched off", actor="system")
    assert off.exists() is not is_on


def test_whatever_it_takes_ends_the_days_of_failing(endpoint, told, receiver):
    WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=6))

    deliver(endpoint)

    assert (endpoint.is_on, endpoint.failing_since) == (True, None)


def test_what_waited_for_an_endpoint_that_was_off_is_sent_when_it_is_on(
    endpoint, told, receiver, amina
):
    endpoints.switch(endpoint, on=False, by=amina)
    deliver(endpoint)
    assert receiver.told == []

    endpoints.switch(endpoint, on=True, by=amina)
    deliver(endpoint)

    assert receiver.ids == [told.webhook_id]


SECONDS = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]


def test_the_schedule_is_the_standards():
    assert [int(wait.total_seconds()) for wait in deliveries.SCHEDULE] == SECONDS


def test_a_delivery_follows_the_schedule_and_then_is_given_up(endpoint, told, receiver):
    receiver.answers = [Answer(500)] * 20
    at = timezone.now()

    for number, seconds in enumerate([*SECONDS, None], start=1):
        with time_machine.travel(at, tick=False):
            deliver(endpoint)
            deliver(endpoint)
        told.refresh_from_db()
        assert (told.tries, len(receiver.told)) == (number, number)
        if seconds:
            assert told.due_at - at == timedelta(seconds=seconds)
            with time_machine.travel(told.due_at - timedelta(seconds=1), tick=False):
                deliver(endpoint)
            assert len(receiver.told) == number
            at = told.due_at

    assert told.state == State.GIVEN_UP
    assert set(receiver.ids) == {told.webhook_id}


def test_each_try_is_signed_for_its_own_time(endpoint, told, receiver):
    receiver.answers = [Answer(500)]
    deliver(endpoint)
    later = timezone.now() + timedelta(hours=1)

    with time_machine.travel(later, tick=False):
        deliver(endpoint)
        Webhook(endpoint.secret).verify(receiver.told[1].body, receiver.told[1].headers)

    with pytest.raises(WebhookVerificationError, match="new"):
        Webhook(endpoint.secret).verify(receiver.told[1].body, receiver.told[1].headers)


def test_one_that_fails_does_not_keep_the_next_from_being_sent(endpoint, told, receiver, pay):
    pay("TJM7BBBBBB")
    receiver.answers = [Answer(500)]

    deliver(endpoint)

    assert len(receiver.told) == 2
    assert set(Delivery.objects.values_list("state", flat=True)) == {"waiting", "delivered"}


def test_one_that_cannot_even_be_sent_does_not_either(endpoint, told, receiver, pay, monkeypatch):
    pay("TJM7BBBBBB")
    really = deliveries._post
    monkeypatch.setattr(deliveries, "_post", lambda d: 1 / 0 if d.pk == told.pk else really(d))

    deliver(endpoint)
    deliver(endpoint)

    told.refresh_from_db()
    assert "A fault of ours" in told.last_words
    assert len(receiver.told) == 1


# At least once


def test_a_crash_between_sending_and_noting_sends_it_again_under_the_same_id(
    endpoint, told, receiver, monkeypatch
):
    class Killed(BaseException):
        pass

    def killed(*_, **__):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(deliveries, "_note", killed)
        with pytest.raises(Killed):
            deliveries.deliver(endpoint.pk)
    # What a worker that was killed outright leaves behind.
    WebhookEndpoint.objects.update(leased_until=timezone.now() + sweeping.LEASE)
    assert "already" in deliver(endpoint)

    with time_machine.travel(timezone.now() + sweeping.LEASE + timedelta(seconds=1)):
        tasks.sweep_deliveries()
        deliver(endpoint)

    told.refresh_from_db()
    assert receiver.ids == [told.webhook_id] * 2
    assert receiver.told[0].body == receiver.told[1].body
    assert told.state == State.DELIVERED


def test_a_lost_doorbell_is_made_good_by_the_sweeper(
    endpoint, told, receiver, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        assert tasks.sweep_deliveries() == "sweep_deliveries: 1"

    assert receiver.ids == [told.webhook_id]
    assert tasks.sweep_deliveries() == "sweep_deliveries: 0"


def test_the_bell_rings_when_the_move_is_committed(
    endpoint, pay, receiver, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        pay()
        assert receiver.told == []

    assert len(receiver.told) == 1


def test_send_again_uses_the_same_id_and_the_whole_schedule(endpoint, told, receiver, amina):
    deliver(endpoint)

    deliveries.send_again(told, by=amina, reason="They lost it.")
    deliver(endpoint)

    told.refresh_from_db()
    assert receiver.ids == [told.webhook_id] * 2
    assert (told.state, told.tries) == (State.DELIVERED, 1)


def test_what_is_asked_for_while_it_is_being_sent_is_not_lost(
    endpoint, told, receiver, amina, monkeypatch
):
    really, pressed = deliveries._post, []

    def post(delivery):
        if not pressed:
            pressed.append(deliveries.send_again(delivery, by=amina))
        return really(delivery)

    monkeypatch.setattr(deliveries, "_post", post)

    deliver(endpoint)

    assert receiver.ids == [told.webhook_id] * 2


def test_what_was_told_cannot_be_changed_or_deleted(told):
    for change in (lambda: Delivery.objects.update(payload="{}"),
                   lambda: Delivery.objects.update(webhook_id="msg_other"),
                   lambda: Delivery.objects.all().delete()):  # fmt: skip
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


# Nobody waits for anybody


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_hangs_holds_nobody_else(lender, receiver, pay, amina, monkeypatch):
    monkeypatch.setattr(deliveries, "READ_TIMEOUT_S", 3.0)
    with Server(Receiver()) as quick:
        slow = WebhookEndpoint.objects.create(partner=lender, url=receiver.url, made_by=amina)
        jamii = Partner.objects.create(name="Jamii", code="jamii")
        other = WebhookEndpoint.objects.create(partner=jamii, url=quick.url, made_by=amina)
        for row in (slow, other):
            for _ in range(5):
                deliveries.send_test(row, by=amina)
        # The bells were heard in place; all are due anew.
        Delivery.objects.update(state="waiting", delivered_at=None, due_at=timezone.now(), tries=0)
        receiver.told.clear()
        quick.world.told.clear()
        receiver.hangs.set()

        thread = threading.Thread(target=closing(deliveries.deliver), args=[slow.pk])
        thread.start()
        until(lambda: receiver.told)
        deliveries.deliver(other.pk)

        assert len(quick.world.told) == 5
        assert len(receiver.told) == 1
        assert thread.is_alive()
        receiver.hangs.clear()
        receiver.released.set()
        thread.join(20)


def closing(act):
    def run(*args):
        try:
            act(*args)
        finally:
            connection.close()

    return run


def test_after_a_silence_others_have_their_turn_and_a_bell_calls_back(
    endpoint, told, receiver, pay, monkeypatch
):
    pay("TJM7BBBBBB")
    rung = []
    monkeypatch.setattr(deliveries.doorbell, "ring", lambda _, pk: rung.append(pk))
    receiver.answers = [HangUp()]

    assert "1 tried" in deliver(endpoint)
    assert rung == [endpoint.pk]
    assert "1 tried" in deliver(endpoint)
    assert rung == [endpoint.pk]


@pytest.mark.django_db(transaction=True)
def test_of_workers_at_once_one_talks_to_an_endpoint(lender, receiver, amina, pay, monkeypatch):
    endpoint = WebhookEndpoint.objects.create(partner=lender, url=receiver.url, made_by=amina)
    monkeypatch.setattr(deliveries.doorbell, "ring", lambda *_: None)
    for number in range(6):
        pay(f"TJM7AAAAA{number}")

    ended = at_once(lambda _: deliveries.deliver(endpoint.pk), range(6))

    assert not errors(ended)
    assert len(receiver.ids) == len(set(receiver.ids)) == 6


@pytest.mark.django_db(transaction=True)
def test_a_payment_does_not_wait_while_its_endpoint_is_being_told(
    lender, receiver, amina, pay, monkeypatch
):
    endpoint = WebhookEndpoint.objects.create(partner=lender, url=receiver.url, made_by=amina)
    monkeypatch.setattr(deliveries.doorbell, "ring", lambda *_: None)
    pay()
    receiver.hangs.set()
    thread = threading.Thread(target=closing(deliveries.deliver), args=[endpoint.pk])
    thread.start()
    until(lambda: receiver.told)

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 1000")
        assert pay("TJM7BBBBBB").status == Status.PAID
        cursor.execute("SET statement_timeout = 0")

    receiver.hangs.clear()
    receiver.released.set()
    thread.join(20)
    assert len(receiver.told) == 2


# Where to


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/hook", "https://169.254.169.254/hook", "http://lender.co.ke/hook",
            "https://10.0.0.1/hook"],
)  # fmt: skip
def test_a_hostile_address_is_told_nothing(endpoint, told, settings, monkeypatch, url):
    settings.OUTBOUND_ALLOW_PRIVATE = settings.OUTBOUND_ALLOW_HTTP = False
    WebhookEndpoint.objects.update(url=url)
    asked = []
    with monkeypatch.context() as patched:
        patched.setattr("socket.socket.connect", lambda *address: asked.append(address))
        deliveries._send(Delivery.objects.select_related("endpoint").get())

    assert asked == []


def test_the_allowed_networks_count_for_deliveries_too(endpoint, told, settings, monkeypatch):
    settings.OUTBOUND_ALLOW_PRIVATE = settings.OUTBOUND_ALLOW_HTTP = False
    given = []
    monkeypatch.setattr(
        "paymentvault.http.Transport.send",
        lambda self, *_, **__: given.append(self) or Answer(204),
    )

    deliver(endpoint)

    assert given[0].allowed_networks == networks.allowed()
    assert (given[0].allow_private, given[0].reads_body) == (False, False)


# Secrets


def test_while_a_secret_is_rotated_both_verify(endpoint, told, receiver, amina):
    old = endpoint.secret
    endpoints.rotate(endpoint, by=amina, keep_old=True)
    endpoint.refresh_from_db()

    deliver(endpoint)

    [request] = receiver.told
    for secret in (old, endpoint.secret):
        Webhook(secret).verify(request.body, request.headers)


@pytest.mark.parametrize("keep_old, days", [(True, 8), (False, 0)])
def test_then_or_at_once_only_the_new_one_does(endpoint, told, receiver, amina, keep_old, days):
    old = endpoint.secret
    endpoints.rotate(endpoint, by=amina, keep_old=keep_old)

    with time_machine.travel(timezone.now() + timedelta(days=days)):
        deliver(endpoint)
        [request] = receiver.told
        Webhook(endpoint.secret).verify(request.body, request.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(old).verify(request.body, request.headers)


def test_a_secret_is_shown_once_until_it_is_rotated(endpoint, amina):
    assert endpoints.reveal(endpoint, by=amina) == endpoint.secret
    with pytest.raises(endpoints.EndpointRefused, match="already"):
        endpoints.reveal(endpoint, by=amina)

    endpoints.rotate(endpoint, by=amina, keep_old=True)
    new = endpoints.reveal(endpoint, by=amina)

    assert new.startswith("whsec_") and new != endpoint.secret


def test_no_secret_is_in_a_payload_or_in_the_audit(endpoint, told, amina):
    endpoints.rotate(endpoint, by=amina, keep_old=True)
    secrets = [endpoint.secret, endpoints.reveal(endpoint, by=amina)]

    told_of = told.payload + json.dumps([str(e.detail) for e in AuditEvent.objects.all()])
    assert not any(secret in told_of for secret in secrets)


def test_paid_recorded_failed_and_held_are_announced():
    told = {f"disbursement.{status}" for status in deliveries.ANNOUNCED}
    assert told == set(Announcement.values) == set(deliveries.ANNOUNCED.values())
    assert set(deliveries.ANNOUNCED) == {Status.PAID, Status.RECORDED, Status.FAILED, Status.HELD}
