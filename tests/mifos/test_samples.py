"""Every payload under tests/data/mifos is handled as INDEX.tsv says, in a test named for it."""

import itertools
import json
from datetime import date
from decimal import Decimal

import pytest

from mifos import answers, events
from mifos.answers import CommandResult, PaymentType
from mifos.bodies import evidence_in
from mifos.client import MifosClient
from mifos.connections import EVENTS
from mifos.errors import error_in
from mifos.recording import Next, _following
from paymentvault.http import Answer, Refused
from tests.samples import DATA, sample

FILES = {path.name for path in (DATA / "mifos").glob("*.json")}
TESTED: set[str] = set()


def about(table):
    """Parametrize by file name, and remember that the file has a test."""
    names = [name for name, *_ in table]
    TESTED.update(f"{name}.json" for name in names)
    return pytest.mark.parametrize("row", table, ids=names)


class Wire:
    """Answers everything with one body, and keeps what it was asked."""

    def __init__(self, body, status=200):
        self.answer, self.asked = Answer(status, json.dumps(body)), []

    def send(self, method, url, **kwargs):
        self.asked.append((method, url, kwargs))
        return self.answer


def client_that_hears(name):
    wire = Wire(sample(f"mifos/{name}.json"))
    return MifosClient("https://mifos.test/api/v1", "default", wire, "vault", "password"), wire


FAILED = "hook_derived_loan_approve_failed_or_makerchecker_pending_1.9plus"
ROWS = [
    ("hook_captured_loan_approve_flat_2025-10-22", "done", "is approved automatically"),
    ("hook_derived_loan_approve_envelope_1.5plus", "done", "is approved automatically"),
    (FAILED, "ignored", "The command failed, or is parked for a checker in Mifos X."),
]


@about(ROWS)
@pytest.mark.django_db
def test_hook(row, mifos, heard, approved):
    name, state, words = row
    mifos.loan_ids = itertools.count(3198)
    approved(fees=500)
    event = heard((DATA / f"mifos/{name}.json").read_text())

    assert words in events.process(str(event.pk))

    event.refresh_from_db()
    assert event.state == state
    assert bool(event.disbursement) == (state == "done")


STATE = "error.msg.loan.disbursal.account.is.not.approve.not.disbursed.state"
DISBURSE = "error.msg.loan.disbur"
ROWS = [
    ("error_400_disburse_wrong_state", STATE, Next.LOOK),
    ("error_400_missing_dateformat", "validation.msg.missing.dateFormat.parameter", Next.PERSON),
    ("error_400_unsupported_parameter", "error.msg.parameter.unsupported", Next.PERSON),
    ("error_403_disburse_amount_too_big",
     f"{DISBURSE}se.amount.must.be.less.than.approved.amount", Next.PERSON),
    ("error_403_disburse_before_approval",
     f"{DISBURSE}sal.cannot.be.before.approval.date", Next.PERSON),
    ("error_403_disburse_future_date",
     f"{DISBURSE}sal.cannot.be.a.future.date", Next.EARLIER_DATE),
    ("error_403_no_permission", "error.msg.not.authorized", Next.PERSON),
    ("error_404_loan_unknown", "error.msg.loan.id.invalid", Next.SOON),
    ("error_409_conflict", "error.msg.platform.service.optimistic lock.conflict", Next.SOON),
    ("legacydocs_error_validation_400_response",
     "validation.msg.office.name.cannot.be.blank", Next.PERSON),
]  # fmt: skip


@about(ROWS)
def test_error(row):
    name, code, following = row
    body = sample(f"mifos/{name}.json")

    error = error_in(Answer(int(body["httpStatusCode"]), json.dumps(body)))

    assert isinstance(error, Refused)
    assert (error.code, _following(error)) == (code, following)
    assert str(error) and str(error) != code


PARKED = CommandResult(3198, None, None, True)
ROWS = [
    ("command_response_makerchecker_parked_1.9plus", PARKED),
    ("disburse_response_1.9plus", CommandResult(3198, 9001, 300, False)),
    ("legacydocs_loan_disburse_response", CommandResult(1, None, 300, False)),
    ("legacydocs_loan_approve_response", CommandResult(1, None, 200, False)),
    ("legacydocs_hook_create_response", CommandResult(4, None, None, False)),
    ("swagger_post_note_response", CommandResult(76, None, None, False)),
]


@about(ROWS)
def test_command_answer(row):
    name, expected = row
    client, _ = client_that_hears(name)

    assert client.approve_loan(1, on=date(2025, 10, 22)) == expected


READS = [
    ("legacydocs_client_get_response", lambda c: c.get_client(27),
     answers.Client(27, "savings test", "", True, 1)),
    ("legacydocs_offices_list_response", lambda c: c.get_offices(),
     [answers.Office(1, "Head Office")]),
    ("legacydocs_paymenttype_list_response", lambda c: c.get_payment_types()[2:],
     [PaymentType(26, "mPesa", False), PaymentType(27, "Mobile Money", False),
      PaymentType(13, "cash", True)]),
    ("legacydocs_loanproducts_list_response",
     lambda c: [(p.id, p.name, p.currency, p.max_principal) for p in c.get_loan_products()][:1],
     [(1, "personal loan product", "USD", Decimal(15000))]),
    ("legacydocs_hooks_list_response", lambda c: [(h.url, h.is_active) for h in c.get_hooks()],
     [("https://abc.com/api", True)]),
    ("legacydocs_hook_get_response", lambda c: answers.hook(c._get("/hooks/1")).events,
     (("LOAN", "DISBURSE"), ("LOAN", "REPAYMENT"))),
    ("legacydocs_authenticate_request_basic_response",
     lambda c: (c.authenticate().username, c.authenticate().may("DISBURSE_LOAN")),
     ("mifos", True)),
    # Its one loan is active, on a server that ignored the filter.
    ("legacydocs_loans_list_response", lambda c: list(c.get_approved_loans()), []),
    ("swagger_businessdate", lambda c: c.get_business_date(), date(2015, 2, 15)),
    ("swagger_get_loan_transaction",
     lambda c: answers.loan_transaction(c._get("/t")),
     answers.LoanTransaction(3, False, True, Decimal("559.88"), date(2012, 5, 14), "20120514",
                             "rec123")),
]  # fmt: skip


@about(READS)
def test_answer(row):
    name, read, expected = row
    client, _ = client_that_hears(name)

    assert read(client) == expected


@about([("swagger_get_loan",)])
def test_loan(row):
    """With "description" for "value", dates as text, and charges that are due later."""
    loan = client_that_hears(row[0])[0].get_loan(1, transactions=True)

    assert (loan.status_id, loan.status, loan.currency) == (300, "Active", "UGX")
    assert (loan.approved_principal, loan.net_disbursal) == (1000, 200)
    assert (loan.fees_at_disbursement, loan.has_tranches, loan.is_individual) == (0, True, True)
    assert loan.approved_on == date(2012, 4, 3) and not loan.disbursements


@about([("legacydocs_loans_list_response",)])
def test_loan_without_a_net_sum(row):
    loan = answers.loan(sample(f"mifos/{row[0]}.json")["pageItems"][0])

    assert loan.net_disbursal is None
    assert loan.approved_principal == loan.principal == 10_000
    assert (loan.status, loan.is_individual, loan.has_tranches) == ("Active", True, False)


@about([("swagger_get_loan_transaction_template",)])
def test_template_isn_t_needed_for_a_payout_and_is_no_approval(row):
    """The server's own view of what to disburse: nothing here reads it, and nothing trusts it."""
    body = sample(f"mifos/{row[0]}.json")

    assert not evidence_in(body).is_approval
    with pytest.raises(answers.Unreadable):
        answers.loan(body)


@about([("disburse_request_recommended",)])
def test_request_of_a_disbursal(row):
    recommended = sample(f"mifos/{row[0]}.json")
    client, wire = client_that_hears("disburse_response_1.9plus")

    client.disburse_loan(
        3198, on=date(2025, 10, 22), gross=Decimal(10_000), payment_type_id=26,
        msisdn="254712345678", receipt="TJM7XXXXXX", external_id="pv-3198-1",
        note="M-Pesa B2C TJM7XXXXXX", idempotency_key="pv-3198-TJM7XXXXXX-1",
    )  # fmt: skip

    [(method, url, sent)] = wire.asked
    assert (method, sent["json"]) == ("POST", recommended)
    assert url.endswith("/loans/3198") and sent["params"] == {"command": "disburse"}


@about([("hook_register_request_recommended",), ("legacydocs_hook_create_request",)])
def test_request_of_a_hook(row):
    recommended = sample(f"mifos/{row[0]}.json")
    client, wire = client_that_hears("legacydocs_hook_create_response")
    events_ = [(e["entityName"], e["actionName"]) for e in recommended["events"]]

    hook_id = client.create_hook(
        url=recommended["config"]["Payload URL"], events=events_,
        display_name=recommended["displayName"],
    )  # fmt: skip

    # The legacy example names a user-generated document, which we have none of.
    assert wire.asked[0][2]["json"] == {k: v for k, v in recommended.items() if k != "templateId"}
    assert hook_id == 4
    assert set(events_) <= {*EVENTS, ("LOAN", "REPAYMENT")}


def test_every_sample_has_a_test():
    listed = (DATA / "mifos" / "INDEX.tsv").read_text().splitlines()[1:]

    assert TESTED == FILES == {line.split("\t")[0] for line in listed}
