"""Whatever is posted, hostile or broken: a native hook is kept, the loan-approval JSON refused."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mifos import events
from mifos.models import Event
from partners.models import Partner
from paymentvault.models import AuditEvent

pytestmark = pytest.mark.django_db

HOSTILE = {
    "empty": b"",
    "not JSON": b"<html>hello</html>",
    "half of it": b'{"loanId": 31',
    "an array": b'[{"loanId": 3198}]',
    "a number": b"3198",
    "null": b"null",
    "nested deeply": b"[" * 100_000,
    "objects nested deeply": b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    "nested too deeply for us": b'{"a":' * 40 + b"1" + b"}" * 40,
    "a lone surrogate": b'{"loanId": 3198, "note": "\\ud800"}',
    "NUL": b'{"loanId": 3198, "note": "\x00"}',
    "invalid UTF-8": b'{"loanId": 3198, "note": "\xff\xfe"}',
    "UTF-16": '{"loanId": 3198}'.encode("utf-16"),
    "NaN": b'{"loanId": NaN}',
    "infinity": b'{"loanId": -Infinity}',
    "a number of 5000 digits": b'{"loanId": ' + b"9" * 5_000 + b"}",
}
BODIES = pytest.mark.parametrize("body", HOSTILE.values(), ids=list(HOSTILE))


@pytest.fixture
def native(client, connection, settings):
    settings.WEBHOOK_MAX_BYTES = 512 * 1024

    def post(body, content_type="application/json"):
        path = f"/mifos-webhook/{connection.webhook_token}/"
        return client.post(path, body, content_type=content_type)

    return post


@pytest.fixture
def seed(client, connection, settings):
    """Post the loan-approval JSON with some fields changed; a field of ... is left out."""
    settings.WEBHOOK_MAX_BYTES = 512 * 1024
    fields = {
        "eventType": "loan_approved", "partnerId": str(connection.partner_id), "loanId": "3198",
        "clientId": "2", "clientPhone": "254712345678", "clientName": "Amina Otieno",
        "loanAmount": 10_000, "productId": "1", "productName": "Biashara Loan",
        "approvedAt": "2026-10-22T08:00:00Z", "webhookToken": connection.webhook_token,
    }  # fmt: skip

    def post(body=None, **changes):
        given = {k: v for k, v in (fields | changes).items() if v is not ...}
        text = json.dumps(given) if body is None else body
        return client.post("/mifos-webhook/loan-approval", text, content_type="application/json")

    return post


@BODIES
def test_an_unreadable_native_hook_is_kept_and_marked(native, connection, body):
    answer = native(body)

    assert answer.status_code == 202
    event = Event.objects.get()
    events.process(str(event.pk))
    event.refresh_from_db()
    assert event.state == "unreadable" and event.outcome


@pytest.mark.parametrize("loan_id", ["9" * 30, '"' + "0" * 20 + '3198"', "-3198", "true", "3.5"])
def test_an_id_that_no_loan_can_have_is_ignored(native, connection, loan_id):
    native(f'{{"loanId": {loan_id}, "changes": {{"status": {{"id": 200}}}}}}')

    event = Event.objects.get()
    events.process(str(event.pk))
    event.refresh_from_db()
    assert (event.state, event.loan_id) == ("ignored", None)


def test_a_form_encoded_hook_is_kept_and_says_what_to_do(native, connection):
    native(
        "loanId=3198&changes=%7Bstatus%3D%7Bid%3D200%7D%7D&entityName=LOAN",
        content_type="application/x-www-form-urlencoded",
    )

    event = Event.objects.get()
    assert event.body.startswith("loanId=3198&changes")
    assert "content type to json" in events.process(str(event.pk))


def test_a_good_loan_approval_is_accepted_and_its_token_masked(seed, connection):
    answer = seed()

    event = Event.objects.get()
    assert (answer.status_code, event.form) == (202, "seed")
    assert connection.webhook_token not in event.body
    assert json.loads(event.body)["webhookToken"] == "[masked]"


def test_a_token_written_in_escapes_is_masked_as_well(seed, connection):
    token = connection.webhook_token
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in token)

    answer = seed()
    text = json.dumps(json.loads(Event.objects.get().body) | {"webhookToken": "HERE"})
    answer = seed(text.replace("HERE", escaped))

    assert answer.status_code == 202
    kept = Event.objects.first().body
    assert escaped not in kept and json.loads(kept)["webhookToken"] == "[masked]"


@pytest.mark.parametrize("loan_id", [3198, "3198"])
def test_the_loan_s_id_may_be_a_number_or_text(seed, loan_id):
    assert seed(loanId=loan_id).status_code == 202


FIELDS = ["eventType", "partnerId", "loanId", "clientId", "clientPhone", "clientName",
          "loanAmount", "productId", "productName", "approvedAt", "webhookToken"]  # fmt: skip


@pytest.mark.parametrize("value", [..., None, True, [], {"a": 1}, "", "\x00"], ids=repr)
@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_or_wrong_field_is_400_and_named(seed, field, value):
    answer = seed(**{field: value})

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "invalid" and list(error["fields"]) == [field]
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "field, value",
    [
        ("eventType", "loan_disbursed"), ("partnerId", "pamoja"), ("loanId", "3198x"),
        ("loanId", "-1"), ("loanId", 3.5), ("loanId", "9" * 30), ("loanId", "٣١٩٨"),
        ("clientId", "none"), ("loanAmount", "ten"), ("loanAmount", 0), ("loanAmount", -5),
        ("loanAmount", 1e300), ("loanAmount", 10**20), ("loanAmount", "NaN"),
        ("loanAmount", 1.005), ("approvedAt", "yesterday"), ("approvedAt", 5),
        ("approvedAt", "2026-13-01T00:00:00Z"), ("clientName", "x" * 300),
        ("clientPhone", "7" * 100), ("webhookToken", "x" * 300),
    ],
)  # fmt: skip
def test_a_field_out_of_its_range_is_400(seed, field, value):
    answer = seed(**{field: value})

    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, [field])
    assert not Event.objects.exists()


@BODIES
def test_a_hostile_loan_approval_is_400_in_clear_json(seed, body):
    answer = seed(body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid")
    assert not Event.objects.exists()


@pytest.mark.lesson(9)
def test_a_loan_approval_with_a_wrong_token_is_404(seed):
    assert seed(webhookToken="A-token-of-nobody-22xx").status_code == 404
    assert AuditEvent.objects.filter(act="refused").exists() and not Event.objects.exists()


@pytest.mark.lesson(9)
def test_a_loan_approval_for_another_partner_is_404(seed, db):
    other = Partner.objects.create(name="Umoja", code="umoja")

    assert seed(partnerId=str(other.pk)).status_code == 404
    assert not Event.objects.exists()


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
LIKE_A_HOOK = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys([*FIELDS, "resourceId", "changes", "response", "status"], ANY_JSON),
)
ANY_BODY = st.binary() | (ANY_JSON | LIKE_A_HOOK).map(lambda body: json.dumps(body).encode())
TYPES = st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain"])
MANY = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@MANY
@given(body=ANY_BODY, content_type=TYPES)
def test_no_body_breaks_a_native_hook_or_what_follows(native, connection, body, content_type):
    answer = native(body, content_type)

    assert answer.status_code == 202
    words = events.process(answer.json()["event"])
    assert words and "fault of ours" not in words


@MANY
@given(body=ANY_BODY)
def test_no_body_breaks_the_loan_approval_endpoint(seed, body):
    assert seed(body).status_code == 400
