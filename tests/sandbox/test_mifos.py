import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

import pytest
import requests

from paymentvault.sandbox.mifos import FAULTS, Mifos
from paymentvault.sandbox.mifos_faults import CALL_FAULTS, HOOK_FAULTS
from paymentvault.sandbox.mifos_generation import GENERATIONS
from paymentvault.sandbox.server import Answer, Server, World

SAMPLES = Path(__file__).parents[1] / "data" / "mifos"
LOAN_EVENTS = [
    {"entityName": "LOAN", "actionName": name}
    for name in ("APPROVE", "APPROVALUNDO", "DISBURSE", "DISBURSALUNDO", "REJECT", "WITHDRAW")
]


class Listener(World):
    """Keeps what it is sent, and can look something up the moment a hook comes."""

    def __init__(self):
        self.heard, self.on_hook, self.status = [], lambda: None, 200

    def handle(self, request):
        if request.method == "POST":
            self.heard.append((request, self.on_hook()))
        return Answer(self.status)


class Api:
    """A caller with credentials; the world and the listener are at hand for the tests."""

    def __init__(self, mifos, server):
        self.mifos, self.server, self.listener = mifos, server, Listener()
        self._listening = None
        self.headers = {"Fineract-Platform-TenantId": "default"}
        self.auth = ("robot", "secret")

    @property
    def hook_url(self):
        self._listening = self._listening or Server(self.listener).start()
        return self._listening.url

    def close(self):
        if self._listening:
            self._listening.stop()

    def call(self, method, path, **options):
        options.setdefault("auth", self.auth)
        options.setdefault("headers", {})
        options["headers"] = self.headers | options["headers"]
        url = f"{self.server.url}/fineract-provider/api/v1{path}"
        return requests.request(method, url, timeout=10, **options)

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, json=body, **options)

    def disburse(self, loan_id, *, key=None, **changes):
        headers = {"Idempotency-Key": key} if key else {}
        body = paid_today(self.mifos) | changes
        body = {name: value for name, value in body.items() if value is not None}
        return self.post(f"/loans/{loan_id}?command=disburse", body, headers=headers)

    def listen(self, path="/h/token/", **changes):
        config = {"Payload URL": self.hook_url + path, "Content Type": "json"}
        body = {"name": "Web", "displayName": "Payment Vault", "isActive": True}
        body |= {"events": LOAN_EVENTS, "config": config} | changes
        return self.post("/hooks", body)

    def sandbox(self, path, body=None, method="POST"):
        return requests.request(method, f"{self.server.url}/_sandbox{path}", json=body, timeout=10)

    def approved(self, **loan):
        loan_id = self.mifos.add_loan(self.mifos.add_client(), **loan)
        self.mifos.approve(loan_id, on=self.mifos.today() - timedelta(days=2))
        return loan_id

    def hooks(self, count=1):
        wait_until(lambda: len(self.listener.heard) >= count)
        return [request for request, _ in self.listener.heard]


def paid_today(mifos):
    sample = sent("disburse_request_recommended")
    return sample | {"actualDisbursementDate": mifos.today().isoformat()}


def sent(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())


def wait_until(true, seconds=3):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def shape(value):
    """Keys all the way down; of a list, its first element."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value) in (dict, list)


def code(answer):
    return answer.json()["errors"][0]["userMessageGlobalisationCode"]


@pytest.fixture(scope="module")
def servers():
    """One for each version, because stopping a server takes a moment."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(Server(Mifos(generation=name, hook_delay_s=0.01)))
            for name in GENERATIONS
        }


@pytest.fixture
def start(servers):
    with ExitStack() as stack:

        def started(generation="1.10"):
            mifos = servers[generation].world
            mifos.reset()
            mifos.add_user("robot", "secret")
            mifos.hook_commit_lag_s = 0.15
            api = Api(mifos, servers[generation])
            stack.callback(api.close)
            return api

        yield started


@pytest.fixture
def api(start):
    return start()


# Who may call


@pytest.mark.parametrize("tenant", [None, "other"])
def test_a_call_without_a_known_tenant_is_a_400_in_html(api, tenant):
    answer = requests.get(
        f"{api.server.url}/fineract-provider/api/v1/offices",
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
    token = requests.post(f"{api.server.url}/oauth/token", data=form).json()["access_token"]
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

    answer = requests.post(f"{api.server.url}/oauth/token", data=form)

    assert (answer.status_code, answer.json()["error"]) == (status, error)


# Reading


def test_an_approved_loan_shows_what_the_wire_shows(api):
    loan_id = api.approved(principal=10000, fees=500)

    loan = api.get(f"/loans/{loan_id}?associations=all").json()

    assert loan["status"] == sent("hook_captured_loan_approve_flat_2025-10-22")["changes"]["status"]
    assert (loan["approvedPrincipal"], loan["netDisbursalAmount"]) == (10000, 9500)
    assert loan["charges"][0]["chargeTimeType"]["code"] == "chargeTimeType.disbursement"
    day = api.mifos.today() - timedelta(days=2)
    assert loan["timeline"]["approvedOnDate"] == [day.year, day.month, day.day]
    assert "summary" not in loan
    assert None not in loan.values()


def test_transfer_charges_also_lower_the_net_sum(api):
    loan_id = api.approved(principal=10000, fees=500, transfer_charges=200)

    loan = api.get(f"/loans/{loan_id}?associations=charges").json()

    assert loan["netDisbursalAmount"] == 9300
    modes = [charge["chargePaymentMode"]["code"] for charge in loan["charges"]]
    assert modes == ["chargepaymentmode.regular", "chargepaymentmode.accounttransfer"]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_net_sum_is_told_since_1_6(start, generation):
    api = start(generation)

    loan = api.get(f"/loans/{api.approved()}").json()

    assert ("netDisbursalAmount" in loan) == (generation not in ("1.3", "1.4"))


def test_associations_come_only_when_asked_for(api):
    loan_id = api.approved(fees=100)
    api.disburse(loan_id)

    bare = api.get(f"/loans/{loan_id}").json()
    full = api.get(f"/loans/{loan_id}?associations=transactions").json()

    assert "transactions" not in bare
    kinds = [each["type"]["code"].split(".")[1] for each in full["transactions"]]
    assert kinds == ["disbursement", "repaymentAtDisbursement"]
    assert full["transactions"][0]["paymentDetailData"]["receiptNumber"] == "TJM7XXXXXX"


def test_a_group_loan_names_no_client(api):
    loan_id = api.mifos.add_loan(None)

    loan = api.get(f"/loans/{loan_id}").json()

    assert not {"clientId", "clientName"} & loan.keys()
    assert loan["loanType"]["value"] == "Group"


@pytest.mark.parametrize(
    "generation, query, found",
    [
        ("1.10", "status=200", 1),
        ("1.10", "sqlSearch=l.loan_status_id=200", 3),
        ("1.8", "status=200", 3),
        ("1.8", "sqlSearch=l.loan_status_id=200", 1),
        ("1.4", "sqlSearch=l.loan_status_id in (200)", 1),
        ("1.4", "sqlSearch=l.loan_status_id in (100, 200)", 3),
    ],
)
def test_a_filter_that_the_version_does_not_know_is_ignored(start, generation, query, found):
    api = start(generation)
    client_id = api.mifos.add_client()
    loans = [api.mifos.add_loan(client_id) for _ in range(3)]
    api.mifos.approve(loans[1])

    answer = api.get(f"/loans?{query}").json()

    assert answer["totalFilteredRecords"] == len(answer["pageItems"]) == found


def test_a_status_in_words_is_a_500(api):
    answer = api.get("/loans?status=approved")

    assert answer.status_code == 500
    assert "Exception" in answer.json()


def test_a_list_is_walked_page_by_page(api):
    client_id = api.mifos.add_client()
    loans = [api.mifos.add_loan(client_id) for _ in range(5)]

    page = api.get("/loans?offset=1&limit=2&orderBy=id&sortOrder=DESC").json()

    assert [loan["id"] for loan in page["pageItems"]] == [loans[3], loans[2]]
    assert page["totalFilteredRecords"] == 5


def test_a_field_outside_the_known_ones_is_refused(api):
    answer = api.get(f"/loans/{api.approved()}?fields=id,clientName")

    assert code(answer) == "error.msg.parameter.unsupported"


def test_the_template_is_the_servers_own_view_of_the_disbursal(api):
    loan_id = api.approved(fees=500)

    answer = api.get(f"/loans/{loan_id}/transactions/template?command=disburse").json()

    assert (answer["amount"], answer["netDisbursalAmount"]) == (10000, 9500)
    assert 26 in {option["id"] for option in answer["paymentTypeOptions"]}


@pytest.mark.parametrize(
    "path, sample",
    [
        ("/paymenttypes", "legacydocs_paymenttype_list_response"),
        ("/offices", "legacydocs_offices_list_response"),
    ],
)
def test_reference_lists_have_the_shape_of_the_samples(api, path, sample):
    assert shape(api.get(path).json()) == shape(sent(sample))


@pytest.mark.parametrize(
    "path, sample",
    [
        ("/loanproducts", "legacydocs_loanproducts_list_response"),
        ("/clients/{client}", "legacydocs_client_get_response"),
        ("/loans/{loan}", "swagger_get_loan"),
    ],
)
def test_what_is_read_has_few_keys_that_the_samples_do_not_know(api, path, sample):
    loan_id = api.approved()
    api.disburse(loan_id)

    body = api.get(path.format(loan=loan_id, client=api.mifos.loans[loan_id].client_id)).json()

    row, known = (body[0], sent(sample)[0]) if isinstance(body, list) else (body, sent(sample))
    later = {"mobileNo", "legalForm", "clientAccountNo", "syncExpectedWithDisbursementDate"}
    flags = {
        "feeChargesAtDisbursementCharged",
        "multiDisburseLoan",
        "isTopup",
        "inArrears",
        "isNPA",
    }
    assert row.keys() - known.keys() <= later | flags


def test_a_client_without_a_number_has_no_such_key(api):
    client_id = api.mifos.add_client(mobile=None)

    assert "mobileNo" not in api.get(f"/clients/{client_id}").json()
    api.mifos.set_mobile(client_id, "+254 712 345678")
    assert api.get(f"/clients/{client_id}").json()["mobileNo"] == "+254 712 345678"


@pytest.mark.parametrize(
    "generation, given, status",
    [("1.10", None, 404), ("1.10", date(2026, 1, 5), 200), ("1.6", date(2026, 1, 5), 404)],
)
def test_the_business_date_is_there_only_when_it_is_on(start, generation, given, status):
    api = start(generation)
    api.mifos.business_date = given

    answer = api.get("/businessdate/BUSINESS_DATE")

    assert answer.status_code == status
    assert status == 404 or answer.json()["date"] == [2026, 1, 5]


def test_settings_tell_that_payments_need_a_checker(api):
    api.mifos.set_maker_checker(True)

    flags = {row["code"]: row["selected"] for row in
             api.get("/permissions?makerCheckerable=true").json()}  # fmt: skip
    settings = api.get("/configurations").json()["globalConfiguration"]

    assert flags["DISBURSE_LOAN"] and not flags["APPROVE_LOAN"]
    assert {"maker-checker": True}.items() <= {s["name"]: s["enabled"] for s in settings}.items()


def test_health_needs_no_credentials(api):
    root = f"{api.server.url}/fineract-provider/actuator"

    assert requests.get(f"{root}/health").json() == {"status": "UP"}
    assert requests.get(f"{root}/info").json()["build"]["version"] == "1.10.1"


# Commands


def test_a_disbursement_answers_and_keeps_what_was_sent(api):
    loan_id = api.approved()

    answer = api.disburse(loan_id)

    expected = sent("disburse_response_1.9plus")
    assert shape(answer.json()) == shape(expected)
    assert answer.json()["changes"]["status"] == expected["changes"]["status"]
    paid = api.mifos.loans[loan_id].transactions[0]
    assert (paid["receipt_number"], paid["external_id"], paid["amount"]) == (
        "TJM7XXXXXX", "pv-3198-1", 10000)  # fmt: skip
    assert api.mifos.loans[loan_id].notes == ["M-Pesa B2C TJM7XXXXXX"]


def test_before_1_9_a_disbursement_has_no_transaction_id(start):
    api = start("1.8")

    answer = api.disburse(api.approved()).json()

    assert "subResourceId" not in answer
    assert answer["changes"]["transactionAmount"] == 10000


BAD_DISBURSEMENTS = {
    "error.msg.parameter.unsupported": {"foo": 1},
    "validation.msg.missing.dateFormat.parameter": {"dateFormat": None},
    "validation.msg.missing.locale.parameter": {"locale": None},
    "validation.msg.invalid.dateFormat.format": {"actualDisbursementDate": "22 October 2025"},
    "validation.msg.loan.disbursement.actualDisbursementDate.cannot.be.blank": {
        "actualDisbursementDate": None
    },
    "validation.msg.loan.disbursement.receiptNumber.exceeds.max.length": {
        "receiptNumber": "x" * 51
    },
    "validation.msg.loan.disbursement.accountNumber.exceeds.max.length": {
        "accountNumber": "x" * 51
    },
    "validation.msg.loan.disbursement.externalId.exceeds.max.length": {"externalId": "x" * 101},
    "validation.msg.loan.disbursement.note.exceeds.max.length": {"note": "x" * 1001},
    "validation.msg.loan.disbursement.transactionAmount.not.greater.than.zero": {
        "transactionAmount": 0
    },
    "validation.msg.invalid.decimal.format": {"transactionAmount": "ten"},
    "error.msg.loan.disbursal.cannot.be.before.approval.date": {
        "actualDisbursementDate": "2020-01-01"
    },
    "error.msg.loan.disbursal.cannot.be.a.future.date": {"actualDisbursementDate": "2999-01-01"},
    "error.msg.loan.disburse.amount.must.be.less.than.approved.amount": {
        "transactionAmount": 11000
    },
    "error.msg.payment.type.invalid": {"paymentTypeId": 99},
}


@pytest.mark.parametrize("expected, change", BAD_DISBURSEMENTS.items())
def test_a_wrong_disbursement_is_refused_and_changes_nothing(api, expected, change):
    loan_id = api.approved()

    answer = api.disburse(loan_id, **change)

    assert code(answer) == expected
    assert answer.status_code == int(answer.json()["httpStatusCode"])
    assert (api.mifos.loans[loan_id].status, api.mifos.loans[loan_id].transactions) == (200, [])


@pytest.mark.parametrize(
    "sample, change",
    [
        ("error_400_missing_dateformat", {"dateFormat": None}),
        ("error_400_unsupported_parameter", {"foo": 1}),
        ("error_403_disburse_amount_too_big", {"transactionAmount": 11000}),
        ("error_403_disburse_before_approval", {"actualDisbursementDate": "2020-01-01"}),
        ("error_403_disburse_future_date", {"actualDisbursementDate": "2999-01-01"}),
    ],
)
def test_refusals_are_told_as_in_the_samples(api, sample, change):
    answer = api.disburse(api.approved(), **change)

    expected = sent(sample)
    assert shape(answer.json()) == shape(expected)
    top = ("developerMessage", "httpStatusCode", "defaultUserMessage")
    assert [answer.json()[name] for name in top] == [expected[name] for name in top]
    assert code(answer) == expected["errors"][0]["userMessageGlobalisationCode"]


def test_a_disbursement_in_the_wrong_state_is_told_as_in_the_sample(api):
    loan_id = api.mifos.add_loan(api.mifos.add_client())

    assert api.disburse(loan_id).json() == sent("error_400_disburse_wrong_state")
    api.mifos.approve(loan_id)
    assert api.disburse(loan_id).status_code == 200
    assert api.disburse(loan_id, externalId="other").json() == sent(
        "error_400_disburse_wrong_state"
    )


def test_an_unknown_loan_is_told_as_in_the_sample(api):
    assert api.get("/loans/99").json() == sent("error_404_loan_unknown")
    assert api.disburse(99).json() == sent("error_404_loan_unknown")


def test_a_missing_permission_is_told_as_in_the_sample(api):
    api.mifos.add_user("guest", "secret", permissions=[])
    api.auth = ("guest", "secret")

    assert api.disburse(3001).json() == sent("error_403_no_permission")


@pytest.mark.parametrize(
    "pattern, text",
    [
        ("yyyy-MM-dd", "2025-1-05"),
        ("yyyy-MM-dd", "2025-02-30"),
        ("yyyy-mm-dd", "2025-01-05"),
        ("dd MMMM yyyy", "5 January 2025"),
        ("dd MMMM yyyy", "05 Jan 2025"),
        ("dd MMMM yyyy", "05 january 2025"),
        ("dd MMMM yyyy", "2025-01-05"),
        ("dd MMM yyyy", "05 January 2025"),
    ],
)
def test_a_date_must_fit_its_java_format_to_the_letter(api, pattern, text):
    answer = api.disburse(api.approved(), dateFormat=pattern, actualDisbursementDate=text)

    assert code(answer) == "validation.msg.invalid.dateFormat.format"


@pytest.mark.parametrize(
    "pattern, python", [("yyyy-MM-dd", "%Y-%m-%d"), ("dd MMMM yyyy", "%d %B %Y"),
                        ("dd MMM yyyy", "%d %b %Y")],
)  # fmt: skip
def test_the_known_java_formats_are_read(api, pattern, python):
    text = api.mifos.today().strftime(python)

    answer = api.disburse(api.approved(), dateFormat=pattern, actualDisbursementDate=text)

    assert answer.status_code == 200


def test_today_is_the_business_date_when_there_is_one(api):
    loan_id = api.approved()
    today = api.mifos.today()
    api.mifos.business_date = today - timedelta(days=1)

    late = api.disburse(loan_id, actualDisbursementDate=today.isoformat())

    assert code(late) == "error.msg.loan.disbursal.cannot.be.a.future.date"
    assert api.disburse(loan_id).status_code == 200


def test_no_loan_is_disbursed_on_a_day_off(api):
    api.mifos.non_working_days = {api.mifos.today()}

    answer = api.disburse(api.approved())

    assert code(answer) == "error.msg.loan.application.disbursement.date.on.non.working.day"


def test_a_product_can_insist_on_the_expected_date(api):
    loan_id = api.approved()
    api.mifos.products[1].syncs_expected_date = True

    answer = api.disburse(loan_id)

    assert code(answer).startswith("error.msg.actual.disbursement.date.does.not.match")


def test_a_client_who_is_not_active_gets_nothing(api):
    loan_id = api.approved()
    api.mifos.clients[api.mifos.loans[loan_id].client_id].active = False

    assert code(api.disburse(loan_id)) == "error.msg.client.not.active.exception"


def test_an_external_id_is_unique_across_all_loans(api):
    api.disburse(api.approved())

    answer = api.disburse(api.approved())

    assert code(answer) == "validation.msg.loan.transaction.externalId.value.must.be.unique"


def test_payment_details_without_a_payment_type_are_lost_in_silence(api):
    loan_id = api.approved()

    answer = api.disburse(loan_id, paymentTypeId=None)

    assert "receiptNumber" not in answer.json()["changes"]
    assert api.mifos.loans[loan_id].receipts == []


def test_posting_less_than_was_approved_shrinks_the_loan(api):
    loan_id = api.approved(principal=10000)

    api.disburse(loan_id, transactionAmount=9500)

    assert api.get(f"/loans/{loan_id}").json()["principal"] == 9500


def test_a_loan_in_tranches_takes_a_second_payment(api):
    loan_id = api.approved(tranches=True)

    first = api.disburse(loan_id, transactionAmount=None, externalId="one")
    again = api.disburse(loan_id, transactionAmount=None, externalId="one")
    second = api.disburse(loan_id, transactionAmount=None, externalId="two")
    third = api.disburse(loan_id, transactionAmount=None, externalId="three")

    assert [a.status_code for a in (first, again, second, third)] == [200, 400, 200, 400]
    assert [t.amount for t in api.mifos.loans[loan_id].transactions] == [5000, 5000]


@pytest.mark.parametrize("generation, status", [("1.4", 400), ("1.6", 200)])
def test_a_net_sum_in_the_request_is_known_since_1_6(start, generation, status):
    api = start(generation)

    assert api.disburse(api.approved(), netDisbursalAmount=9000).status_code == status


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
    loan_id = api.mifos.add_loan(api.mifos.add_client())
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


@pytest.mark.parametrize("data", [b"", b"{", b"[]"])
def test_a_body_that_is_not_json_is_refused_without_the_envelope(api, data):
    answer = api.call("POST", f"/loans/{api.approved()}?command=disburse", data=data,
                      headers={"Content-Type": "application/json"})  # fmt: skip

    assert answer.status_code == 400
    assert answer.json()["userMessageGlobalisationCode"] == "error.msg.invalid.request.body"


def test_notes_are_added_and_listed(api):
    loan_id = api.approved()

    added = api.post(f"/loans/{loan_id}/notes", {"note": "paid"})

    assert added.json().keys() == sent("swagger_post_note_response").keys()
    assert [note["note"] for note in api.get(f"/loans/{loan_id}/notes").json()] == ["paid"]
    assert api.post(f"/loans/{loan_id}/notes", {"note": ""}).status_code == 400


# Idempotency


def test_the_same_key_gets_the_same_answer_and_pays_once(api):
    loan_id = api.approved()
    first = api.disburse(loan_id, key="pv-1")

    again = api.disburse(loan_id, key="pv-1")

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["x-served-from-cache"] == "true"
    assert "x-served-from-cache" not in first.headers


def test_the_loan_is_no_part_of_the_key(api):
    first, other = api.approved(), api.approved()
    api.disburse(first, key="pv-1")

    answer = api.disburse(other, key="pv-1", externalId="other")

    assert answer.json()["loanId"] == first
    assert api.mifos.loans[other].status == 200


def test_a_failure_is_kept_under_its_key(api):
    loan_id = api.mifos.add_loan(api.mifos.add_client())
    api.disburse(loan_id, key="pv-1")
    api.mifos.approve(loan_id)

    again = api.disburse(loan_id, key="pv-1")

    assert (again.status_code, again.headers["x-served-from-cache"]) == (400, "true")
    assert api.disburse(loan_id, key="pv-2").status_code == 200


def test_a_key_of_more_than_fifty_letters_is_a_500(api):
    assert api.disburse(api.approved(), key="x" * 51).status_code == 500
    assert api.disburse(api.approved(), key="x" * 50).status_code == 200


def test_a_key_in_flight_is_a_425_with_the_request_in_it(api):
    loan_id = api.approved()
    api.mifos.plan("slow:0.4", command="disburse")

    with ThreadPoolExecutor() as pool:
        slow = pool.submit(api.disburse, loan_id, key="pv-1")
        time.sleep(0.15)
        meanwhile = api.disburse(loan_id, key="pv-1")

    assert (meanwhile.status_code, meanwhile.json()) == (425, paid_today(api.mifos))
    assert slow.result().status_code == 200


@pytest.mark.parametrize("generation, oauth", [("1.8", False), ("1.10", True)])
def test_a_key_is_ignored_by_old_versions_and_with_oauth(start, generation, oauth):
    api = start(generation)
    loan_id = api.approved()
    if oauth:
        api.mifos.use_oauth = True
        form = {"grant_type": "password", "username": "robot", "password": "secret"}
        token = requests.post(f"{api.server.url}/oauth/token", data=form).json()["access_token"]
        api.auth = lambda request: (
            request.headers.update(Authorization=f"Bearer {token}") or request
        )

    api.disburse(loan_id, key="pv-1")

    assert api.disburse(loan_id, key="pv-1").status_code == 400


@pytest.mark.parametrize("generation", ["1.4", "1.10"])
def test_of_many_payers_at_once_one_pays(start, generation):
    api = start(generation)
    loan_id = api.approved()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: api.disburse(loan_id, externalId=f"pv-{n}"), range(8)))

    assert sorted(a.status_code for a in answers) == [200] + [400] * 7
    assert len(api.mifos.loans[loan_id].transactions) == 1


# Maker and checker


def test_a_parked_payment_answers_200_and_does_nothing_until_checked(api):
    loan_id = api.approved()
    api.mifos.set_maker_checker(True)

    answer = api.disburse(loan_id)

    assert answer.status_code == 200
    assert answer.json().keys() == sent("command_response_makerchecker_parked_1.9plus").keys()
    assert api.mifos.loans[loan_id].status == 200
    api.mifos.approve_parked(loan_id)
    assert api.mifos.loans[loan_id].receipts == ["TJM7XXXXXX"]


def test_before_1_9_a_parked_payment_does_not_say_so(start):
    api = start("1.8")
    api.mifos.set_maker_checker(True)

    assert api.disburse(api.approved()).json().keys() == {"commandId", "resourceId"}


def test_a_checker_approves_over_the_api(api):
    loan_id = api.approved()
    api.mifos.plan("parked", command="disburse")
    parked = api.disburse(loan_id).json()["commandId"]
    api.mifos.add_user("maker", "secret", permissions=["DISBURSE_LOAN"])

    denied = api.post(f"/makercheckers/{parked}?command=approve", auth=("maker", "secret"))
    answer = api.post(f"/makercheckers/{parked}?command=approve")

    assert denied.status_code == 403
    assert answer.json()["changes"]["status"]["id"] == 300
    assert api.post(f"/makercheckers/{parked}?command=approve").status_code == 404


# Hooks, registering


def test_a_registered_hook_is_listed_as_in_the_sample(api):
    request = sent("legacydocs_hook_create_request")
    request["config"]["Payload URL"] = f"{api.hook_url}/h/"

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
    room = 100 - len(api.hook_url) - 2

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

    api.mifos.approve(api.mifos.add_loan(api.mifos.add_client()))

    time.sleep(0.1)
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


# Hooks, sending


def test_an_old_hook_is_the_flat_answer(start):
    api = start("1.4")
    api.listen()

    api.mifos.approve(api.mifos.add_loan(api.mifos.add_client()))

    hook = api.hooks()[0]
    expected = sent("hook_captured_loan_approve_flat_2025-10-22")
    assert shape(hook.json()) == shape(expected)
    assert hook.json()["changes"]["expectedDisbursementDate"] == {}


def test_a_newer_hook_is_an_envelope(api):
    api.listen()
    loan_id = api.mifos.add_loan(api.mifos.add_client(), submitted_on=date(2025, 10, 1))
    expected = sent("hook_derived_loan_approve_envelope_1.5plus")

    api.post(f"/loans/{loan_id}?command=approve", expected["request"])

    body = api.hooks()[0].json()
    assert shape(body) == shape(expected)
    assert body["request"] == expected["request"]
    assert body["response"]["changes"]["expectedDisbursementDate"] == [2025, 10, 22]


def test_a_hook_says_in_its_headers_what_happened(api):
    api.listen()

    api.mifos.approve(api.mifos.add_loan(api.mifos.add_client()))

    headers = api.hooks()[0].headers
    assert headers["x-fineract-entity"] == "LOAN"
    assert headers["x-fineract-action"] == "APPROVE"
    assert headers["fineract-platform-tenantid"] == "default"
    assert headers["x-fineract-endpoint"] == f"{api.server.url}/fineract-provider/api/v1/"
    assert headers["content-type"] == "application/json; charset=UTF-8"


def test_a_form_hook_flattens_what_is_nested(api):
    config = {"Payload URL": f"{api.hook_url}/h/", "Content Type": "form"}
    api.listen(config=config)

    api.mifos.approve(api.mifos.add_loan(api.mifos.add_client()))

    form = api.hooks()[0].form()
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

    api.mifos.approve(api.mifos.add_loan(api.mifos.add_client()))

    hook = api.hooks()[0]
    assert (hook.path, hook.query) == (arrives, {})


@pytest.mark.parametrize("generation", GENERATIONS)
def test_old_versions_send_the_hook_before_they_commit(start, generation):
    api = start(generation)
    api.listen()
    loan_id = api.mifos.add_loan(api.mifos.add_client())
    api.listener.on_hook = lambda: api.get(f"/loans/{loan_id}").json()["status"]["id"]

    api.mifos.approve(loan_id)

    api.hooks()
    seen = api.listener.heard[0][1]
    assert seen == (200 if generation in ("1.10", "1.11") else 100)
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
    loan_id = api.mifos.add_loan(api.mifos.add_client())
    if action in ("APPROVALUNDO", "DISBURSE"):
        api.mifos.approve(loan_id)
    api.listen()

    getattr(api.mifos, act)(loan_id)

    assert api.hooks()[0].headers["x-fineract-action"] == action


@pytest.mark.parametrize(
    "generation, status, has_response",
    [("1.4", None, None), ("1.8", "Exception", True), ("1.10", None, False)],
)
def test_a_failed_command_sends_a_hook_as_its_version_does(start, generation, status, has_response):
    api = start(generation)
    api.listen()

    api.disburse(api.mifos.add_loan(api.mifos.add_client()))

    if has_response is None:
        time.sleep(0.1)
        assert api.listener.heard == []
    else:
        body = api.hooks()[0].json()
        assert (body.get("status"), "response" in body) == (status, has_response)


def test_a_replay_sends_no_second_hook(api):
    api.listen()
    loan_id = api.approved()
    api.disburse(loan_id, key="pv-1")
    api.hooks(2)

    api.disburse(loan_id, key="pv-1")

    time.sleep(0.1)
    assert len(api.listener.heard) == 2


def test_a_hook_that_fails_is_not_sent_again(api):
    api.listen()
    api.listener.status = 503

    api.mifos.approve(api.mifos.add_loan(api.mifos.add_client()))

    wait_until(lambda: api.mifos.deliveries)
    time.sleep(0.1)
    assert [delivery.status for delivery in api.mifos.deliveries] == [503]


def test_a_reset_world_forgets_the_hooks_on_their_way(api):
    api.listen()
    api.mifos.approve(api.mifos.add_loan(api.mifos.add_client()), faults=["late_hook:0.1"])

    api.mifos.reset()

    time.sleep(0.2)
    assert (api.mifos.loans, api.listener.heard) == ({}, [])


@pytest.mark.parametrize(
    "fault, hooks, status",
    [
        ("lost_hook", 0, 200),
        ("hook_times:3", 3, 200),
        ("late_hook:0.2", 1, 200),
        ("phantom", 1, 100),
        ("parked", 1, 100),
        ("hook_failed_command", 1, 100),
    ],
)
def test_each_fault_of_an_approval_does_what_it_says(api, fault, hooks, status):
    api.listen()
    loan_id = api.mifos.add_loan(api.mifos.add_client())

    api.mifos.approve(loan_id, faults=[fault])

    time.sleep(0.3)
    assert len(api.listener.heard) == hooks
    assert api.mifos.loans[loan_id].status == status


@pytest.mark.parametrize("fault", ["parked", "hook_failed_command"])
def test_a_parked_or_failed_approval_sends_a_hook_without_a_loan(api, fault):
    api.listen()
    expected = sent("hook_derived_loan_approve_failed_or_makerchecker_pending_1.9plus")
    loan_id = api.mifos.add_loan(api.mifos.add_client())

    api.mifos.approve(loan_id, faults=[fault])

    body = api.hooks()[0].json()
    assert body.keys() == expected.keys()
    assert str(loan_id) not in json.dumps(body)


def test_a_parked_approval_takes_effect_when_it_is_checked(api):
    api.listen()
    loan_id = api.mifos.add_loan(api.mifos.add_client())
    api.mifos.approve(loan_id, faults=["parked"])

    api.mifos.approve_parked(loan_id)

    assert api.mifos.loans[loan_id].status == 200
    assert any("response" in hook.json() for hook in api.hooks(2))


# Faults of calls


@pytest.mark.parametrize(
    "fault, status, then",
    [
        ("reset", None, 200),
        ("hang_up", None, 200),
        ("error_500", 500, 200),
        ("html_502", 502, 200),
        ("reset_after_applying", None, 300),
        ("hang_up_after_applying", None, 300),
        ("error_500_after_applying", 500, 300),
        ("conflict_409", 409, 200),
        ("locked_409", 409, 200),
        ("in_flight_425", 425, 200),
        ("slow:0.1", 200, 300),
        ("parked", 200, 200),
        ("empty_200_not_applied", 200, 200),
    ],
)
def test_each_fault_of_a_call_does_what_it_says(api, fault, status, then):
    loan_id = api.approved()
    api.mifos.plan(fault, loan_id=loan_id, command="disburse")

    try:
        answered = api.disburse(loan_id).status_code
    except requests.ConnectionError:
        answered = None

    assert (answered, api.mifos.loans[loan_id].status) == (status, then)
    assert api.mifos.requests[-1].answer_status == status


def test_a_conflict_is_told_as_in_the_sample(api):
    api.mifos.plan("conflict_409", "locked_409")

    conflict, locked = (api.disburse(api.approved()) for _ in range(2))

    assert conflict.json() == sent("error_409_conflict")
    assert locked.json()["userMessageGlobalisationCode"] == "error.msg.loan.locked"


def test_after_a_lost_answer_the_same_key_tells_what_happened(api):
    loan_id = api.approved()
    api.mifos.plan("reset_after_applying", command="disburse")

    with pytest.raises(requests.ConnectionError):
        api.disburse(loan_id, key="pv-1")

    assert api.disburse(loan_id, key="pv-1").json()["changes"]["status"]["id"] == 300


def test_faults_come_one_each_in_order_and_only_where_they_are_meant(api):
    first, other = api.approved(), api.approved()
    api.mifos.plan("error_500", "html_502", loan_id=first)

    statuses = [api.get(f"/loans/{loan}").status_code for loan in (other, first, first, first)]

    assert statuses == [200, 500, 502, 200]


def test_a_fault_of_commands_waits_for_a_command(api):
    loan_id = api.approved()
    api.mifos.plan("conflict_409")

    assert api.get(f"/loans/{loan_id}").status_code == 200
    assert api.disburse(loan_id).status_code == 409


@pytest.mark.parametrize(
    "fault", ["nonsense", "slow", "slow:often", "slow:-1", "reset:1", "lost_hook"]
)
def test_a_fault_that_does_not_exist_is_refused(api, fault):
    with pytest.raises(ValueError):
        api.mifos.plan(fault)

    assert api.sandbox("/plan", {"faults": [fault]}).status_code == 400


def test_an_approval_refuses_a_fault_that_does_not_exist(api):
    loan_id = api.mifos.add_loan(api.mifos.add_client())

    with pytest.raises(ValueError):
        api.mifos.approve(loan_id, faults=["reset"])

    assert api.mifos.loans[loan_id].status == 100


def test_every_fault_has_a_sentence():
    assert FAULTS.keys() == CALL_FAULTS.keys() | HOOK_FAULTS.keys()
    assert all(sentence.endswith(".") for sentence in FAULTS.values())


def test_a_mifos_that_is_down_answers_nobody(api):
    api.mifos.down = True

    with pytest.raises(requests.ConnectionError):
        api.get("/offices")

    assert api.sandbox("/health", method="GET").json() == {"status": "UP"}


def test_a_slow_mifos_takes_its_time(api):
    api.mifos.slow_s = 0.2
    begun = time.monotonic()

    api.get("/offices")

    assert time.monotonic() - begun >= 0.2


# Controls and the page


def test_everything_can_be_set_up_over_http(api):
    api.sandbox("/reset")
    api.sandbox("/users", {"username": "robot", "password": "secret", "permissions": ["READ_LOAN"]})
    client_id = api.sandbox("/clients", {"name": "Baraka", "mobile": "0722000000"}).json()["id"]
    loan = api.sandbox("/loans", {"client_id": client_id, "principal": 5000}).json()["id"]

    api.sandbox(f"/loans/{loan}/approve", {"faults": ["lost_hook"]})
    api.sandbox(f"/loans/{loan}/disburse_by_staff", {"receipt": "TJM1"})

    row = api.sandbox("/loans", method="GET").json()["loans"][0]
    assert (row["id"], row["status"], row["receipts"]) == (loan, 300, ["TJM1"])
    assert (row["mobile"], row["transactions"][0]["amount"]) == ("0722000000", 5000)
    assert api.get(f"/loans/{loan}").status_code == 200


@pytest.mark.parametrize("act, then", [("undo_approval", 100), ("disburse_by_staff", 300)])
def test_staff_act_over_http(api, act, then):
    loan_id = api.approved()

    api.sandbox(f"/loans/{loan_id}/{act}")

    assert api.mifos.loans[loan_id].status == then
    assert api.sandbox(f"/loans/{loan_id}/reject").status_code == (200 if then == 100 else 400)


@pytest.mark.parametrize(
    "path, body",
    [
        ("/set", {"nonsense": 1}),
        ("/loans", {"nonsense": 1}),
        ("/loans/3001/approve", {"faults": ["nonsense"]}),
        ("/clients", {"age": 3}),
        ("/set", []),
    ],
)
def test_a_control_that_is_misspelt_is_a_400(api, path, body):
    assert api.sandbox(path, body).status_code == 400


def test_settings_are_set_over_http(api):
    api.sandbox("/set", {"slow_s": 0.01, "maker_checker": True, "business_date": "2026-01-05"})

    assert (api.mifos.slow_s, api.mifos.maker_checker) == (0.01, True)
    assert api.mifos.today() == date(2026, 1, 5)


def test_the_ledger_tells_what_was_asked_without_credentials(api):
    api.disburse(api.approved())

    text = api.sandbox("/requests", method="GET").text

    assert json.loads(text)["requests"][-1]["answer_status"] == 200
    assert json.loads(text)["requests"][-1]["body"]["receiptNumber"] == "TJM7XXXXXX"
    assert "Basic" not in text


def test_a_person_creates_and_approves_a_loan_on_the_page(api):
    form = {"name": "<b>Chege</b>", "mobile": "0733000000", "amount": "7000", "fees": "100"}

    page = requests.post(f"{api.server.url}/new", data=form)
    listed = requests.get(f"{api.server.url}/list").text

    assert "was created" in page.text
    assert "&lt;b&gt;Chege&lt;/b&gt;" in listed and "<b>Chege" not in listed + page.text
    assert ("7,000" in listed, "Approved" in listed) == (True, True)


@pytest.mark.parametrize(
    "act, then", [("undo_approval", 100), ("disburse_by_staff", 300), ("reset", 200)]
)
def test_the_buttons_of_a_loan_do_what_they_say_and_no_more(api, act, then):
    loan_id = api.approved()

    requests.post(f"{api.server.url}/loan/{loan_id}/{act}")

    assert api.mifos.loans[loan_id].status == then


def test_a_fault_of_recording_is_chosen_on_the_page(api):
    form = {"name": "Amina", "mobile": "0712345678", "amount": "7000", "fault": "conflict_409"}
    requests.post(f"{api.server.url}/new", data=form)

    assert api.disburse(max(api.mifos.loans), transactionAmount=7000).status_code == 409


@pytest.mark.parametrize("amount", ["", "ten", "0"])
def test_a_form_filled_in_wrongly_is_answered_with_a_sentence(api, amount):
    page = requests.post(f"{api.server.url}/new", data={"name": "Amina", "amount": amount})

    assert "That did not work" in page.text
    assert api.mifos.loans == {}


class Safaricom(World):
    def __init__(self):
        self.planned = []

    def handle(self, request):
        if request.path == "/_sandbox/faults":
            return Answer(200, {"b2c": {"no_float": "The account is empty.", "odd:CODE": "x."}})
        self.planned.append(request.json())
        return Answer(200, {})


def test_faults_of_mpesa_are_passed_on_to_the_other_server(api):
    safaricom = Safaricom()
    with Server(safaricom) as other:
        api.mifos.safaricom_url = other.url
        page = requests.get(api.server.url).text
        form = {"name": "Amina", "mobile": "0712345678", "amount": "7000",
                "mpesa_fault": "no_float"}  # fmt: skip
        requests.post(f"{api.server.url}/new", data=form)

    assert "The account is empty." in page and "CODE" not in page
    assert safaricom.planned == [{"msisdn": "254712345678", "faults": ["no_float"]}]


def test_without_the_other_server_its_faults_are_not_offered(api):
    api.mifos.safaricom_url = f"{api.hook_url}/nowhere"
    api.listener.status = 404

    assert "mpesa_fault" not in requests.get(api.server.url).text


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_alone_and_stops_cleanly(how):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "paymentvault.sandbox.mifos", "--generation", "1.4"]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, env=os.environ)

    url = process.stdout.readline().removeprefix("ready ").strip()
    healthy = requests.get(f"{url}/_sandbox/health").json()
    threading.Timer(0.05, process.send_signal, [how]).start()

    assert healthy == {"status": "UP"}
    assert process.wait(timeout=5) == 0
