"""The callback endpoints: check who speaks, keep what it says, answer."""

import json

import pytest
from kombu.exceptions import OperationalError

from disbursements import tasks, webhooks
from disbursements.models import Attempt, Callback
from disbursements.states import Status
from paymentvault.models import AuditEvent
from tests.samples import paid, sample

SAFARICOM, STRANGER, PROXY = "196.201.214.200", "203.0.113.7", "10.0.0.1"
UNKNOWN = "0" * 32
CREDENTIAL = "QUJD" * 86


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("kind", ["r", "t"])
def test_a_payouts_callback_is_kept_and_answered(client, sent, kind, slash):
    attempt = sent()

    answer = client.post(
        f"/cb/{attempt.callback_token}/{kind}{slash}", json.dumps(paid()), "application/json"
    )

    assert (answer.status_code, answer.json()) == (200, sample("daraja/reply-callback-ack.json"))
    kept = Callback.objects.get()
    assert (kept.attempt, kept.kind, kept.state) == (attempt, kind, "waiting")
    assert json.loads(kept.body) == paid()


@pytest.mark.parametrize("kind", ["s", "t"])
def test_a_status_queries_callback_is_kept_and_answered(sent, asked, calls_back, kind):
    inquiry = asked(sent())

    assert calls_back(inquiry, {}, kind).status_code == 200
    assert Callback.objects.get().inquiry == inquiry


@pytest.mark.parametrize("kind", ["b", "t"])
def test_a_balance_queries_callback_is_kept_and_answered(asked_for_balance, calls_back, kind):
    assert calls_back(asked_for_balance, {}, kind).status_code == 200
    assert Callback.objects.get().inquiry == asked_for_balance


@pytest.mark.lesson(9)
@pytest.mark.parametrize("kind", list("rtsb"))
def test_an_unknown_token_is_404_and_a_line_in_the_audit(client, sent, kind):
    sent()

    answer = client.post(f"/cb/{UNKNOWN}/{kind}", json.dumps(paid()), "application/json")

    assert answer.status_code == 404
    assert not Callback.objects.exists()
    line = AuditEvent.objects.get()
    assert (line.act, line.source_address) == ("refused", "127.0.0.1")
    assert UNKNOWN not in str(line.detail)


@pytest.mark.parametrize(
    "about, kind",
    [("attempt", "s"), ("attempt", "b"), ("status", "r"), ("status", "b"), ("balance", "r"),
     ("balance", "s")],
)  # fmt: skip
def test_a_token_of_another_kind_is_404(sent, asked, asked_for_balance, calls_back, about, kind):
    attempt = sent()
    rows = {"attempt": attempt, "status": asked(attempt), "balance": asked_for_balance}

    assert calls_back(rows[about], paid(), kind).status_code == 404
    assert not Callback.objects.exists()
    assert AuditEvent.objects.filter(act="refused").count() == 1


@pytest.mark.parametrize("method", ["get", "put", "delete", "head", "patch"])
def test_only_post_is_answered(client, sent, method):
    url = f"/cb/{sent().callback_token}/r"

    assert getattr(client, method)(url).status_code == 405
    assert not Callback.objects.exists()


@pytest.mark.lesson(3)
@pytest.mark.parametrize(
    "body",
    [b"", b"garbage", b"\xff\xfe\x00", b'{"Result": "\x00"}', b"[" * 60_000, b"<xml/>",
     b'{"Result": {"ResultCode": "0\\u0000", "ResultDesc": "\\ud800"}}'],
    ids=["empty", "text", "bytes", "NUL", "nested", "xml", "escapes"],
)  # fmt: skip
def test_garbage_is_kept_and_puts_the_payout_in_doubt(
    client, sent, body, django_capture_on_commit_callbacks
):
    attempt = sent()

    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(f"/cb/{attempt.callback_token}/r", body, "application/json")

    assert answer.status_code == 200
    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == Status.IN_DOUBT
    assert Callback.objects.get().state in ("unreadable", "done")


def test_a_huge_body_is_kept_up_to_its_cap(calls_back, sent):
    assert calls_back(sent(), "x " * 400_000).status_code == 200

    assert len(Callback.objects.get().body) == webhooks.MAX_BYTES


@pytest.mark.lesson(15)
def test_a_credential_that_a_queue_time_out_echoes_is_masked_in_the_database(calls_back, sent):
    attempt = sent()
    echo = sample("daraja/request-b2c-v3-official.json") | {
        "SecurityCredential": CREDENTIAL, "ResultURL": attempt.callback_url("r"),
    }  # fmt: skip

    calls_back(attempt, echo, "t")

    kept = Callback.objects.get().body
    assert CREDENTIAL not in kept
    assert attempt.callback_token not in kept
    assert json.loads(kept)["PartyB"] == "254708374149"


@pytest.mark.lesson(22)
@pytest.mark.parametrize(
    "proxies, forwarded, remote, status",
    [
        (0, None, SAFARICOM, 200),
        (0, None, STRANGER, 404),
        (0, SAFARICOM, STRANGER, 404),
        (1, SAFARICOM, PROXY, 200),
        (1, STRANGER, PROXY, 404),
        (1, f"{SAFARICOM}, {STRANGER}", PROXY, 404),
        (1, None, SAFARICOM, 404),
        (1, "not an address", PROXY, 404),
        (2, f"{SAFARICOM}, {PROXY}", PROXY, 200),
        (2, f"{SAFARICOM}, {STRANGER}, {PROXY}", PROXY, 404),
        (2, f"{STRANGER}, {SAFARICOM}, {PROXY}", PROXY, 200),
    ],
)
def test_only_m_pesas_addresses_may_call_back(
    client, sent, settings, proxies, forwarded, remote, status
):
    settings.MPESA_CALLBACK_NETWORKS = ["196.201.214.0/24", "196.201.212.0/24"]
    settings.TRUSTED_PROXIES = proxies
    headers = {"x-forwarded-for": forwarded} if forwarded else {}

    answer = client.post(
        f"/cb/{sent().callback_token}/r", "{}", "application/json",
        headers=headers, REMOTE_ADDR=remote,
    )  # fmt: skip

    assert answer.status_code == status
    assert Callback.objects.exists() is (status == 200)
    assert AuditEvent.objects.filter(act="refused").exists() is (status == 404)


def test_without_an_allow_list_any_address_may_call_back(client, sent):
    url = f"/cb/{sent().callback_token}/r"

    assert client.post(url, "{}", "application/json", REMOTE_ADDR=STRANGER).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_with_redis_down_a_callback_is_kept_and_swept_up(sent, calls_back, monkeypatch):
    def down(*args, **options):
        raise OperationalError("no broker")

    attempt = sent()
    with monkeypatch.context() as broken:
        broken.setattr(tasks.process_callback, "apply_async", down)
        answer = calls_back(attempt, paid())
    assert (answer.status_code, Callback.objects.get().state) == (200, "waiting")

    monkeypatch.setattr("paymentvault.doorbell._quiet_until", 0.0)
    tasks.sweep_callbacks()

    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == Status.PAID


@pytest.mark.lesson(3)
def test_a_result_at_an_unknown_address_that_names_our_request_is_kept_and_makes_us_ask(
    client, sent, wire, django_capture_on_commit_callbacks
):
    attempt = sent()
    body = paid(OriginatorConversationID=attempt.originator_conversation_id)

    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(f"/cb/{UNKNOWN}/r", json.dumps(body), "application/json")

    assert answer.status_code == 404
    assert (Callback.objects.get().attempt, Callback.objects.get().state) == (attempt, "unmatched")
    assert wire.posts[0]["OriginalConversationID"] == attempt.originator_conversation_id


@pytest.mark.lesson(3)
def test_whoever_knows_only_our_id_cannot_settle_anything(client, sent, wire):
    attempt = sent()
    body = paid(OriginatorConversationID=attempt.originator_conversation_id)

    client.post(f"/cb/{UNKNOWN}/r", json.dumps(body), "application/json")
    tasks.sweep_callbacks()

    assert Attempt.objects.get().status == "sent"


def test_each_request_has_an_address_of_its_own(sent, asked, asked_for_balance):
    attempt = sent()
    rows = [attempt, asked(attempt), asked(attempt), asked_for_balance]

    assert len({row.callback_token for row in rows}) == 4
    assert all(row.callback_url("r").islower() for row in rows)
