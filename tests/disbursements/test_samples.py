"""Every payload under tests/data/daraja, handled as its INDEX says, in a test named for it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from disbursements import mpesa
from disbursements.callback_bodies import completed_at, read, utility_balance
from disbursements.models import Attempt, Callback, Case
from disbursements.mpesa import Accepted, Duplicate, fetch_token, understand
from disbursements.states import Status
from disbursements.webhooks import ACCEPTED
from paymentvault.http import Answer, Refused, Transport
from tests.samples import DATA, sample

TESTED: set[str] = set()


def named(*names: str) -> Any:
    """The test that follows is these samples'; its id is the file's name."""
    TESTED.update(names)
    return pytest.mark.parametrize("name", names)


def as_answer(name: str, status: int) -> Answer:
    body = sample(f"daraja/{name}.json")
    # Some captures were published with their HTTP status around them.
    return Answer(status, json.dumps(body.get("response", body)))


@named(
    "response-b2c-ack-official",
    "response-b2c-v3-ack-live-2026-09",
    "response-transactionstatus-ack-official",
    "response-transactionstatus-ack-by-originalconversationid-live-2026-09",
    "response-accountbalance-ack-official",
)
def test_an_acknowledgement_is_acceptance_and_no_more(name):
    accepted = understand(as_answer(name, 200))

    assert isinstance(accepted, Accepted)
    assert accepted.conversation_id.startswith("AG_")


@named("error-401-invalid-access-token-official")
def test_an_invalid_token_is_renewed_once_and_then_refused(wire, name):
    from tests.disbursements.conftest import client_at
    from tests.disbursements.test_mpesa import pay

    wire.answer = as_answer(name, 401)

    with pytest.raises(Refused) as raised:
        pay(client_at("https://mpesa.test"))

    assert (len(wire.posts), raised.value.code) == (2, "401.002.01")


@named("error-403-b2c-v3-not-entitled-live-2026")
def test_an_app_without_the_entitlement_is_refused_and_halts(name):
    with pytest.raises(Refused) as raised:
        understand(as_answer(name, 403))

    assert mpesa.is_configuration(raised.value)


@named("error-duplicate-originator-official")
def test_a_duplicate_means_that_an_earlier_request_got_through(name):
    with pytest.raises(Duplicate):
        understand(as_answer(name, 500))


@named("response-oauth-official")
def test_a_token_and_its_life_are_read(wire, name):
    wire.token = as_answer(name, 200)

    token = fetch_token(Transport(), base_url="x", consumer_key="k", consumer_secret="s")

    assert token == ("c9SQxWWhmdVRlyh0zh8gZDTkubVF", 3599)


@named(
    "request-b2c-v3-official", "request-transactionstatus-official",
    "request-accountbalance-official",
)  # fmt: skip
def test_requests_have_the_official_keys(wire, name):
    from tests.disbursements.conftest import client_at
    from tests.disbursements.test_mpesa import pay

    client, at = client_at("https://mpesa.test"), {"result_url": "r", "timeout_url": "t"}
    pay(client)
    client.ask_status(originator_conversation_id="our-id-1", **at)
    client.ask_balance(**at)

    official = {key.replace(" ", "") for key in sample(f"daraja/{name}.json")}
    assert official in [set(post) for post in wire.posts]


@named("reply-callback-ack")
def test_our_answer_to_a_callback_is_the_conventional_one(name):
    assert sample(f"daraja/{name}.json") == ACCEPTED


PAID = {
    "callback-b2c-success-official-2024": (10, "254708374149", "SG632NMUAB"),
    "callback-b2c-success-production-2024-07": (100, "254712345678", "SG31FWI0VP"),
}


@named(*PAID)
def test_a_success_pays(sent, told, name):
    amount, msisdn, receipt = PAID[name]
    attempt = sent(amount=amount, gross_amount=amount, msisdn=msisdn)
    body = sample(f"daraja/{name}.json")
    Attempt.objects.filter(pk=attempt.pk).update(conversation_id=body["Result"]["ConversationID"])

    told(attempt, body)

    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == Status.PAID
    assert attempt.disbursement.mpesa_receipt == receipt
    assert attempt.disbursement.paid_at == completed_at(read(json.dumps(body)))
    attempt.shortcode.refresh_from_db()
    assert attempt.shortcode.utility_balance in (Decimal("8959269.6"), Decimal(4905135))


@named("callback-b2c-failure-2001-official-2024", "callback-b2c-failure-8006-live-2026-09")
def test_a_credential_failure_fails_and_pauses_the_shortcode(sent, told, name):
    attempt = sent()
    body = sample(f"daraja/{name}.json")
    body["Result"]["OriginatorConversationID"] = attempt.originator_conversation_id

    told(attempt, body)

    attempt.refresh_from_db()
    assert attempt.disbursement.status == Status.FAILED
    assert attempt.shortcode.pause == "configuration"


@named("callback-transactionstatus-success-official")
def test_a_completed_transaction_status_pays(sent, asked, told, name):
    body = sample(f"daraja/{name}.json")
    attempt = sent(Status.IN_DOUBT, amount=300, gross_amount=300, msisdn="254708374149")
    items = body["Result"]["ResultParameters"]["ResultParameter"]
    next(i for i in items if i["Key"] == "OriginatorConversationID")["Value"] = (
        attempt.originator_conversation_id
    )

    told(asked(attempt), body)

    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == Status.PAID
    assert attempt.disbursement.mpesa_receipt == "MBN31H462N"
    assert f"{attempt.disbursement.paid_at.astimezone():%H:%M:%S %Z}" == "05:41:12 EAT"


@named("callback-transactionstatus-notfound-2032-live-2026-10")
def test_not_found_changes_nothing(sent, asked, told, name):
    attempt = sent(Status.IN_DOUBT)

    told(asked(attempt), sample(f"daraja/{name}.json"))

    attempt.disbursement.refresh_from_db()
    assert attempt.disbursement.status == Status.IN_DOUBT
    assert "stays as it is" in Callback.objects.get().outcome


@named("callback-accountbalance-success-official")
def test_a_balance_is_kept(shortcode, asked_for_balance, told, name):
    told(asked_for_balance, sample(f"daraja/{name}.json"))

    shortcode.refresh_from_db()
    assert shortcode.utility_balance == 228_037
    assert shortcode.balance_at <= timezone.now()


@named("callback-accountbalance-failure-8006-live-2026-10")
def test_a_locked_credential_pauses_also_when_a_balance_was_asked_for(
    shortcode, asked_for_balance, told, name
):
    told(asked_for_balance, sample(f"daraja/{name}.json"))

    shortcode.refresh_from_db()
    assert (shortcode.pause, shortcode.utility_balance) == ("configuration", None)
    assert Case.objects.get().kind == "shortcode_paused"


def test_every_account_but_the_utility_account_is_passed_over():
    value = sample("daraja/callback-accountbalance-success-official.json")["Result"][
        "ResultParameters"
    ]["ResultParameter"][0]["Value"]

    assert utility_balance(value) == 228_037
    assert utility_balance(value.replace("Utility", "Another")) is None


def test_every_sample_has_a_test():
    assert {path.stem for path in (DATA / "daraja").glob("*.json")} == TESTED
