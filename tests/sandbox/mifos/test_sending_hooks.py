from datetime import date

import pytest

from paymentvault.sandbox.mifos_generation import GENERATIONS
from tests.sandbox.mifos.calls import sent, shape


def test_an_old_hook_is_the_flat_answer(start):
    api = start("1.4")
    api.listen()

    api.mifos.approve(api.pending())

    hook = api.listener.posts()[0]
    expected = sent("hook_captured_loan_approve_flat_2025-10-22")
    assert shape(hook.json()) == shape(expected)
    assert hook.json()["changes"]["expectedDisbursementDate"] == {}


def test_a_newer_hook_is_an_envelope(api):
    api.listen()
    loan_id = api.pending(submitted_on=date(2025, 10, 1))
    expected = sent("hook_derived_loan_approve_envelope_1.5plus")

    api.post(f"/loans/{loan_id}?command=approve", expected["request"])

    body = api.listener.posts()[0].json()
    assert shape(body) == shape(expected)
    assert body["request"] == expected["request"]
    assert body["response"]["changes"]["expectedDisbursementDate"] == [2025, 10, 22]


def test_a_hook_says_in_its_headers_what_happened(api):
    api.listen()

    api.mifos.approve(api.pending())

    headers = api.listener.posts()[0].headers
    assert headers["x-fineract-entity"] == "LOAN"
    assert headers["x-fineract-action"] == "APPROVE"
    assert headers["fineract-platform-tenantid"] == "default"
    assert headers["x-fineract-endpoint"] == f"{api.url}/fineract-provider/api/v1/"
    assert headers["content-type"] == "application/json; charset=UTF-8"


def test_a_form_hook_flattens_what_is_nested(api):
    config = {"Payload URL": f"{api.listener.url}/h/", "Content Type": "form"}
    api.listen(config=config)

    api.mifos.approve(api.pending())

    form = api.listener.posts()[0].form()
    assert form["entityName"] == "LOAN"
    assert form["response"].startswith("{clientId=")


@pytest.mark.parametrize(
    "generation, path, arrives",
    [
        ("1.3", "/h/token", "/h/token/"),
        ("1.4", "/h/token/", "/h/token/"),
        ("1.6", "/h/token/", "/"),
        ("1.8", "/h/token/?a=1", "/h/token/"),
        ("1.10", "/h/token/", "/h/token/"),
    ],
)
def test_where_a_hook_goes_depends_on_the_version(start, generation, path, arrives):
    api = start(generation)
    api.listen(path)

    api.mifos.approve(api.pending())

    hook = api.listener.posts()[0]
    assert (hook.path, hook.query) == (arrives, {})


@pytest.mark.parametrize("generation", GENERATIONS)
def test_old_versions_send_the_hook_before_they_commit(start, generation):
    api = start(generation)
    api.listen()
    loan_id = api.pending()
    api.listener.look = lambda: api.get(f"/loans/{loan_id}").json()["status"]["id"]

    api.mifos.approve(loan_id)

    api.listener.posts()
    assert api.listener.seen[0] == (200 if generation in ("1.10", "1.11") else 100)
    assert api.mifos.loans[loan_id].status == 200


@pytest.mark.parametrize(
    "act, action",
    [
        ("undo_approval", "APPROVALUNDO"),
        ("disburse_by_staff", "DISBURSE"),
        ("reject", "REJECT"),
        ("withdraw", "WITHDRAW"),
    ],
)
def test_whatever_staff_do_sends_its_own_hook(api, act, action):
    loan_id = api.pending()
    if action in ("APPROVALUNDO", "DISBURSE"):
        api.mifos.approve(loan_id)
    api.listen()

    getattr(api.mifos, act)(loan_id)

    assert api.listener.posts()[0].headers["x-fineract-action"] == action


@pytest.mark.parametrize(
    "generation, status, has_response",
    [("1.4", None, None), ("1.8", "Exception", True), ("1.10", None, False)],
)
def test_a_failed_command_sends_a_hook_as_its_version_does(start, generation, status, has_response):
    api = start(generation)
    api.listen()

    api.disburse(api.pending())

    if has_response is None:
        assert api.mifos.settle()
        assert api.listener.heard == []
    else:
        body = api.listener.posts()[0].json()
        assert (body.get("status"), "response" in body) == (status, has_response)


def test_a_replay_sends_no_second_hook(api):
    api.listen()
    loan_id = api.approved()
    api.disburse(loan_id, key="pv-1")
    api.listener.posts(2)

    api.disburse(loan_id, key="pv-1")

    assert api.mifos.settle()
    assert len(api.listener.heard) == 2


def test_a_hook_that_fails_is_not_sent_again(api):
    api.listen()
    api.listener.status = 503

    api.mifos.approve(api.pending())

    assert api.mifos.settle()
    assert [delivery.status for delivery in api.mifos.deliveries] == [503]


def test_a_reset_world_forgets_the_hooks_on_their_way(api):
    api.listen()
    api.mifos.approve(api.pending(), faults=["late_hook:0.1"])

    api.mifos.reset()

    assert api.mifos.settle()
    assert (api.mifos.loans, api.listener.heard) == ({}, [])
