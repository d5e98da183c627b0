"""The way of a loan, whole: from a hook of Mifos X to an active loan with our receipt."""

from collections.abc import Callable

import pytest

from disbursements.models import Callback, Disbursement
from disbursements.states import Status
from disbursements.tasks import sweep_unanswered
from mifos import connections
from mifos.models import Event
from mifos.tasks import poll_connection
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def online(live_server, settings, connection, shortcode, mifos, safaricom):
    """The vault is reachable, and Mifos X's hook points at it."""
    settings.PUBLIC_URL = live_server.url
    connections.register_hook(connection, by="test")
    return connection


def ended(loan_id: int, status: Status) -> Callable[[], Disbursement | None]:
    return lambda: Disbursement.objects.filter(loan_id=loan_id, status=status).first()


def test_an_approved_loan_is_paid_once_and_recorded(online, mifos, safaricom):
    loan_id = mifos.add_loan(mifos.add_client(mobile="0712345678"), principal=10_000, fees=500)

    mifos.approve(loan_id)

    paid = until(ended(loan_id, Status.RECORDED))
    [payment] = safaricom.paid_to("254712345678")
    assert (payment.amount, payment.receipt) == (9_500, paid.mpesa_receipt)
    assert mifos.loans[loan_id].status == 300
    assert mifos.loans[loan_id].approved_principal == 10_000
    assert Event.objects.filter(disbursement=paid, state="done").exists()


FAULTS = [
    "double_callback",
    "callback_before_answer+double_callback",
    "late_callback:1",
    "answer_lost",
    "error_500_after_acceptance",
    "html_after_acceptance",
    "reset_after_acceptance",
    "queue_timeout_then_success",
    "contradicting_callback",
    "token_expired",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_goes_wrong_on_the_way_back_it_is_paid_once(online, mifos, safaricom, fault):
    loan_id = mifos.add_loan(mifos.add_client(mobile="0712345678"), principal=10_000)
    safaricom.plan("254712345678", fault)

    mifos.approve(loan_id)

    until(ended(loan_id, Status.RECORDED))
    safaricom.settle()
    assert len(safaricom.paid_to("254712345678")) == 1


@pytest.mark.parametrize(
    "fault, waits_as",
    [
        ("lost_callback", Status.SENT),
        ("queue_timeout_only", Status.IN_DOUBT),
        ("answer_lost_no_callback", Status.IN_DOUBT),
    ],
)
def test_when_no_callback_comes_m_pesa_is_asked(online, mifos, safaricom, fault, waits_as):
    loan_id = mifos.add_loan(mifos.add_client(mobile="0712345678"), principal=10_000)
    safaricom.plan("254712345678", fault)
    mifos.approve(loan_id)
    waiting = until(ended(loan_id, waits_as))
    Disbursement.objects.filter(pk=waiting.pk).update(due_at="2026-01-01T00:00Z")

    sweep_unanswered()

    until(ended(loan_id, Status.RECORDED))
    assert len(safaricom.paid_to("254712345678")) == 1


def test_a_loan_whose_hook_is_lost_is_found_by_polling(online, mifos, safaricom):
    loan_id = mifos.add_loan(mifos.add_client(mobile="0712345678"), principal=10_000)
    mifos.approve(loan_id, faults=["lost_hook"])

    poll_connection(online.pk)

    found = Disbursement.objects.get(loan_id=loan_id)
    assert (found.origin, found.status) == ("mifos_poll", Status.APPROVED)


def test_callbacks_are_kept_as_they_came(online, mifos, safaricom):
    loan_id = mifos.add_loan(mifos.add_client(mobile="0712345678"), principal=10_000)
    mifos.approve(loan_id)

    paid = until(ended(loan_id, Status.RECORDED))

    assert until(lambda: Callback.objects.get().outcome.endswith(f"{paid.mpesa_receipt}."))
