"""Thousands of requests made from the schema itself, by everybody who may ask."""

from collections import Counter, defaultdict

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from partners.models import Role
from paymentvault.api.schema import described

pytestmark = [pytest.mark.django_db, pytest.mark.schemathesis]

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_headers_conformance, response_schema_conformance,
]  # fmt: skip
# For each operation and kind of data; nineteen operations, two kinds. Nobody asks all that a
# program asks: of what they send little is looked at, and making it up takes half of the time.
EXAMPLES = {"person": 48, "program": 43}
AT_LEAST = {"person": 1_800, "program": 1_600, "nobody": 1_600}
assert sum(AT_LEAST.values()) >= 5_000
# To nobody: who are you, there is no such place, and not in that shape.
REFUSED = {401, 404, 406}
OPEN = ("/api/v1/tokens/refresh", "/api/v1/tokens/revoke")


@pytest.fixture
def signed_in_as(person, program, ours, theirs, settings, monkeypatch):
    """How each of them signs in; there is something to find, and nobody is slowed down."""
    for name in ("READS", "WRITES", "CONNECTION_TESTS", "FAILED_SIGN_INS"):
        setattr(settings, f"API_{name}_PER_MINUTE", 1_000_000)
    monkeypatch.setattr("mifos.connections.ConnectionTest.run", lambda self: [])
    # As Django's own test client does: the test's transaction outlives each request.
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)

    def make(who):
        if who == "program":
            return {"headers": {"Authorization": f"Bearer {program().text}"}}
        if who == "person":
            client = person(Role.ADMINISTRATOR).client
            person(Role.OPERATOR, name="p-administrator")
            person(Role.APPROVER, name="p-administrator")
            session = client.cookies["sessionid"].value
            token = "c" * 32
            cookies = {"sessionid": session, "csrftoken": token}
            return {"cookies": cookies, "headers": {"X-CSRFToken": token}}
        return {}

    yield make
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


def make_real(case, number, ours):
    """Two of three are about something that exists, and ask for what may be had."""
    if not number % 3:
        return
    path, body = case.operation.path, case.body
    for part, row in (("callbacks", "callback"), ("events", "event")):
        if part in path and "id" in case.path_parameters:
            case.path_parameters["id"] = str(ours[row].pk)
    if "disbursements/{id}" in path:
        case.path_parameters["id"] = ours[number % 2 and "waiting" or "failed"].pk
    if "code" in case.path_parameters:
        case.path_parameters["code"] = "pamoja"
    if isinstance(body, dict) and "partner" in body:
        body["partner"] = "pamoja"
    if isinstance(body, dict) and "msisdn" in body:
        body |= {"partner": "pamoja", "msisdn": "0712345678", "amount": str(100 + number % 9)}
        case.headers["Idempotency-Key"] = f"k-{number % 40}"


@pytest.mark.parametrize("who", [("person",), ("program", "nobody")], ids="+".join)
def test_no_answer_is_a_fault_and_every_one_is_as_the_schema_says(signed_in_as, ours, who):
    schema = schemathesis.openapi.from_dict(described())
    schema.app = get_wsgi_application()
    signed_in = {one: signed_in_as(one) for one in who}
    cases, statuses = Counter(), defaultdict(set)

    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @hypothesis_settings(
                max_examples=EXAMPLES[who[0]], derandomize=True, database=None, deadline=None,
                phases=[Phase.generate], suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case):
                if mode is GenerationMode.POSITIVE:  # noqa: B023 -- called at once
                    make_real(case, cases[who[0]], ours)
                for one in who:
                    cases[one] += 1
                    answer = case.call(**signed_in[one])
                    statuses[one].add(answer.status_code)
                    case.validate_response(answer, checks=CHECKS)
                    is_open = case.operation.path in OPEN
                    assert one != "nobody" or is_open or answer.status_code in REFUSED

            ask()

    for one in who:
        assert cases[one] >= AT_LEAST[one]
        assert one == "nobody" or {200, 400, 404} <= statuses[one]
