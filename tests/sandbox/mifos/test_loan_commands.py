import pytest

from tests.sandbox.mifos.calls import code, sent


@pytest.mark.parametrize(
    "command, status, then",
    [
        ("undoapproval", 200, 100),
        ("reject", 100, 500),
        ("withdrawnByApplicant", 100, 400),
        ("undodisbursal", 300, 200),
    ],
)
def test_each_command_moves_the_loan_from_its_own_state_only(api, command, status, then):
    loan_id = api.pending()
    name = {"reject": "rejectedOnDate", "withdrawnByApplicant": "withdrawnOnDate"}.get(command)
    dated = {name: api.mifos.today().isoformat(), "dateFormat": "yyyy-MM-dd", "locale": "en"}
    body = dated if name else {"note": "no"}

    def ask():
        return api.post(f"/loans/{loan_id}?command={command}", body)

    for now, act in ((100, api.mifos.approve), (200, api.mifos.disburse_by_staff)):
        if now < status:
            assert ask().status_code == 400
            act(loan_id)
    assert ask().json()["changes"]["status"]["id"] == then
    assert api.mifos.loans[loan_id].status == then


def test_undoing_an_approval_takes_only_a_note(api):
    answer = api.post(f"/loans/{api.approved()}?command=undoapproval", {"locale": "en"})

    assert code(answer) == "error.msg.parameter.unsupported"


def test_an_unknown_command_is_refused(api):
    answer = api.post(f"/loans/{api.approved()}?command=pay", {})

    assert code(answer) == "error.msg.query.parameter.value.unsupported"


def test_savings_are_credited_only_where_there_are_any(api):
    loan_id = api.approved()
    body = {"actualDisbursementDate": api.mifos.today().isoformat(), "locale": "en",
            "dateFormat": "yyyy-MM-dd"}  # fmt: skip

    refused = api.post(f"/loans/{loan_id}?command=disburseToSavings", body)
    api.mifos.loans[loan_id].linked_savings = True
    answer = api.post(f"/loans/{loan_id}?command=disburseToSavings", body)

    assert (refused.status_code, answer.status_code) == (403, 200)


def test_notes_are_added_and_listed(api):
    loan_id = api.approved()

    added = api.post(f"/loans/{loan_id}/notes", {"note": "paid"})

    assert added.json().keys() == sent("swagger_post_note_response").keys()
    assert [note["note"] for note in api.get(f"/loans/{loan_id}/notes").json()] == ["paid"]
    assert api.post(f"/loans/{loan_id}/notes", {"note": ""}).status_code == 400
