import pytest

from tests.sandbox.mifos.calls import LOAN_EVENTS, code, sent, shape


def test_a_registered_hook_is_listed_as_in_the_sample(api):
    request = sent("legacydocs_hook_create_request")
    request["config"]["Payload URL"] = f"{api.listener.url}/h/"

    answer = api.post("/hooks", request)

    assert shape(answer.json()) == shape(sent("legacydocs_hook_create_response"))
    assert shape(api.get("/hooks").json()) == shape(sent("legacydocs_hooks_list_response"))
    one = api.get(f"/hooks/{answer.json()['resourceId']}").json()
    assert shape(one) == shape(sent("legacydocs_hook_get_response"))


@pytest.mark.parametrize(
    "change, status, expected",
    [
        ({"secret": "x"}, 400, "error.msg.parameter.unsupported"),
        ({"events": []}, 400, "registered.events.cannot.be.empty"),
        ({"config": {"Content Type": "json"}}, 400, "Payload URL.cannot.be.blank"),
        ({"name": "Nothing"}, 404, "error.msg.hook.template.not.found"),
        ({"displayName": "x" * 46}, 400, "displayName.exceeds.max.length"),
        ({"config": {"Payload URL": "http://127.0.0.1:9/", "Content Type": "json"}}, 400,
         "url.invalid"),
        ({"config": {"Payload URL": "http://127.0.0.1:9/", "Content Type": "xml"}}, 400,
         "content.type.must.be.json.or.form"),
    ],
)  # fmt: skip
def test_a_wrong_hook_is_not_registered(api, change, status, expected):
    answer = api.listen(**change)

    assert (answer.status_code, api.mifos.hooks) == (status, {})
    assert code(answer).endswith(expected)


def test_a_hook_url_has_at_most_a_hundred_letters(api):
    room = 100 - len(api.listener.url) - 2

    assert api.listen(f"/{'x' * room}/").status_code == 200
    assert api.listen(f"/{'x' * (room + 1)}/").status_code == 403


@pytest.mark.parametrize("generation, status", [("1.4", 200), ("1.6", 500), ("1.10", 500)])
def test_a_hook_url_must_end_in_a_slash_since_1_5(start, generation, status):
    assert start(generation).listen("/h/token").status_code == status


def test_any_answer_of_the_url_will_do_for_registering(api):
    api.listener.status = 404

    assert api.listen().status_code == 200


def test_a_hook_is_inactive_unless_it_says_otherwise(api):
    hook_id = api.listen(isActive=None).json()["resourceId"]

    api.mifos.approve(api.pending())

    assert api.mifos.settle()
    assert api.get(f"/hooks/{hook_id}").json()["isActive"] is False
    assert api.mifos.deliveries == []


def test_changing_a_hook_replaces_its_events(api):
    hook_id = api.listen().json()["resourceId"]
    body = {"name": "Web", "displayName": "x", "isActive": True, "events": LOAN_EVENTS[:1],
            "config": {"Payload URL": "http://x.invalid/", "Content Type": "json"}}  # fmt: skip

    answer = api.call("PUT", f"/hooks/{hook_id}", json=body)

    assert answer.json().keys() == {"resourceId", "changes"}
    assert api.get(f"/hooks/{hook_id}").json()["events"] == [
        {"actionName": "APPROVE", "entityName": "LOAN"}
    ]


def test_a_deleted_hook_is_gone(api):
    hook_id = api.listen().json()["resourceId"]

    assert api.call("DELETE", f"/hooks/{hook_id}").json() == {"resourceId": hook_id}
    assert code(api.get(f"/hooks/{hook_id}")) == "error.msg.hook.identifier.not.found"


def test_the_hook_template_names_the_events(api):
    template = api.get("/hooks/template").json()

    assert template["templates"][0]["name"] == "Web"
    assert "APPROVE" in template["groupings"][0]["entities"][0]["actions"]
