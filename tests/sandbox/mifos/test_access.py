import pytest
import requests

from tests.sandbox.mifos.calls import code, sent


@pytest.mark.parametrize("tenant", [None, "other"])
def test_a_call_without_a_known_tenant_is_a_400_in_html(api, tenant):
    answer = requests.get(
        f"{api.url}/fineract-provider/api/v1/offices",
        headers={"Fineract-Platform-TenantId": tenant} if tenant else {},
        auth=api.auth,
    )

    assert answer.status_code == 400
    assert "text/html" in answer.headers["Content-Type"]
    assert "WWW-Authenticate" in answer.headers


@pytest.mark.parametrize("auth", [("robot", "wrong"), ("nobody", "secret"), None])
def test_wrong_credentials_are_an_empty_401(api, auth):
    answer = api.get("/offices", auth=auth)

    assert (answer.status_code, answer.content) == (401, b"")


def test_an_outdated_password_fails_every_call(api):
    api.mifos.add_user("old", "secret", password_expired=True)

    answer = api.get("/offices", auth=("old", "secret"))

    assert answer.status_code == 400
    assert code(answer) == "error.msg.password.outdated"


@pytest.mark.parametrize(
    "method, path, permission",
    [
        ("GET", "/loans", "READ_LOAN"),
        ("GET", "/clients/11", "READ_CLIENT"),
        ("GET", "/offices", "READ_OFFICE"),
        ("GET", "/paymenttypes", "READ_PAYMENTTYPE"),
        ("GET", "/loanproducts", "READ_LOANPRODUCT"),
        ("GET", "/hooks", "READ_HOOK"),
        ("POST", "/hooks", "CREATE_HOOK"),
        ("POST", "/loans/3001?command=disburse", "DISBURSE_LOAN"),
        ("POST", "/loans/3001?command=approve", "APPROVE_LOAN"),
        ("POST", "/loans/3001/notes", "CREATE_LOANNOTE"),
    ],
)
def test_every_path_asks_for_its_own_permission(api, method, path, permission):
    api.approved()
    api.mifos.add_user("guest", "secret", permissions=["READ_NOTHING"])

    answer = api.call(method, path, auth=("guest", "secret"), json={} if method == "POST" else None)

    assert answer.status_code == 403
    assert answer.json()["errors"][0]["defaultUserMessage"].endswith(permission)


def test_the_least_a_payer_needs_is_enough(api):
    loan_id = api.approved()
    api.mifos.add_user("payer", "secret", permissions=["READ_LOAN", "DISBURSE_LOAN"])
    api.auth = ("payer", "secret")

    assert api.get(f"/loans/{loan_id}").status_code == 200
    assert api.disburse(loan_id).status_code == 200


@pytest.mark.parametrize("generation, how", [("1.3", "params"), ("1.4", "json"), ("1.10", "json")])
def test_logging_in_takes_a_query_in_old_versions_and_json_since(start, generation, how):
    api = start(generation)
    given = {"username": "robot", "password": "secret"}

    answer = api.call("POST", "/authentication", auth=None, **{how: given})

    assert answer.json().keys() == sent("legacydocs_authenticate_request_basic_response").keys()
    wrong = given | {"password": "wrong"}
    assert api.call("POST", "/authentication", **{how: wrong}).status_code == 401


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "client_credentials", "client_id": "robot", "client_secret": "secret"},
        {"grant_type": "password", "client_id": "x", "username": "robot", "password": "secret"},
    ],
)
def test_with_oauth_only_a_living_token_opens(api, form):
    api.mifos.use_oauth = True
    token = api.token(**form).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}

    assert api.get("/userdetails", auth=None, headers=bearer).json()["username"] == "robot"
    assert api.get("/offices").status_code == 401
    api.mifos.expire_oauth_tokens()
    assert api.get("/offices", auth=None, headers=bearer).json()["error"] == "invalid_token"


@pytest.mark.parametrize(
    "form, status, error",
    [
        ({"grant_type": "client_credentials", "client_id": "robot"}, 401, "invalid_client"),
        ({"grant_type": "password", "username": "robot"}, 400, "invalid_grant"),
        ({"grant_type": "magic"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_token_is_not_given_to_strangers(api, form, status, error):
    api.mifos.use_oauth = True

    answer = api.token(**form)

    assert (answer.status_code, answer.json()["error"]) == (status, error)
