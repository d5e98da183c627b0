"""What only the whole system can show: many hooks at once, a killed worker, a broker away."""

import json
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from django.utils import timezone

from disbursements.models import Attempt, Disbursement
from disbursements.states import Status
from mifos.models import Event
from partners.models import MifosConnection
from paymentvault.models import Heartbeat
from tests.processes.conftest import System
from tests.samples import sample
from tests.waiting import until

pytestmark = pytest.mark.processes


def hook_for(loan_id: int) -> bytes:
    body = sample("mifos/hook_derived_loan_approve_envelope_1.5plus.json")
    body["response"] |= {"loanId": loan_id, "resourceId": loan_id}
    return json.dumps(body).encode()


def headers(action: str = "APPROVE") -> dict[str, str]:
    return {
        "X-Fineract-Entity": "LOAN", "X-Fineract-Action": action,
        "Fineract-Platform-TenantId": "default", "Content-Type": "application/json; charset=UTF-8",
    }  # fmt: skip


def status_of(loan_id: int) -> str | None:
    return Disbursement.objects.filter(loan_id=loan_id).values_list("status", flat=True).first()


def payments(system: System, *msisdns: str) -> Counter[str]:
    return Counter(p["msisdn"] for p in system.outside.ledger() if p["msisdn"] in msisdns)


def test_a_hundred_hooks_at_once_for_each_of_twenty_loans_pay_each_once(system: System):
    numbers = [f"254712345{n:03}" for n in range(20)]
    loans = [system.add_loan(number) for number in numbers]
    for loan_id in loans:
        system.approve(loan_id, "lost_hook")
    url = MifosConnection.objects.get(partner=system.partner).webhook_url
    hooks = [hook_for(loan_id) for _ in range(100) for loan_id in loans]

    with ThreadPoolExecutor(24) as senders:
        answers = senders.map(
            lambda hook: requests.post(url, hook, headers=headers(), timeout=30).status_code, hooks
        )

    assert Counter(answers) == {202: 2000}
    rows = Disbursement.objects.filter(loan_id__in=loans)
    until(lambda: rows.filter(status=Status.RECORDED).count() == 20, seconds=120)
    until(lambda: not Event.objects.filter(state="waiting").exists(), seconds=120)
    assert rows.count() == 20
    assert payments(system, *numbers) == dict.fromkeys(numbers, 1)


def test_a_worker_killed_before_m_pesa_answers_is_settled_by_a_status_query(system: System):
    number = "254722000001"
    system.outside.safaricom.post("plan", msisdn=number, faults=["slow:6+lost_callback"])
    loan_id = system.add_loan(number)
    system.approve(loan_id)
    until(lambda: payments(system, number) and status_of(loan_id) == Status.SENDING)

    system.stack.kill("worker-payouts", signal.SIGKILL)
    system.stack.start("worker-payouts")

    until(lambda: status_of(loan_id) == Status.RECORDED, seconds=90)
    row = Disbursement.objects.get(loan_id=loan_id)
    assert [t.new for t in row.transitions.all()] == [
        "approved", "sending", "in_doubt", "paid", "recorded",
    ]  # fmt: skip
    assert payments(system, number) == {number: 1}
    assert Attempt.objects.get(disbursement=row).inquiries.count() >= 1


def test_without_redis_hooks_are_kept_and_processed_when_it_is_back(system: System):
    number = "254722000002"
    loan_id = system.add_loan(number)
    system.stack.kill("valkey", signal.SIGKILL)
    url = MifosConnection.objects.get(partner=system.partner).webhook_url
    system.approve(loan_id, "lost_hook")

    began = time.monotonic()
    answer = requests.post(url, hook_for(loan_id), headers=headers(), timeout=30)
    took_s = time.monotonic() - began
    system.stack.start("valkey")

    assert answer.status_code == 202
    assert took_s < 5
    until(lambda: status_of(loan_id) == Status.RECORDED, seconds=60)
    assert payments(system, number) == {number: 1}


def test_every_sweeper_leaves_a_heartbeat(system: System):
    names = {
        "sweep_events", "sweep_recording", "sweep_approved", "sweep_sending", "sweep_unanswered",
        "sweep_callbacks", "sweep_failed", "sweep_overdue", "poll_mifos", "read_balances",
    }  # fmt: skip

    ran = Heartbeat.objects.filter(at__isnull=False)
    until(lambda: set(ran.values_list("name", flat=True)) >= names, seconds=90)

    assert all(beat.at <= timezone.now() for beat in ran)
