"""How long a borrower waits for us: from hook to B2C request, and from callback to *recorded*.

Loans are approved one after the other on an idle system of real processes, and the times are
those that the rows hold. The floor is measured in the same run: the HTTP calls that no design can
spare (re-read loan and client, ask for payment; read, disburse and read again), made straight from
this process to the same pretend servers, one after the other.

    make bench
"""

import os
import statistics
import tempfile
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "paymentvault.settings")
os.environ.setdefault("DEBUG", "1")
os.environ.setdefault("LOG_LEVEL", "WARNING")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402

from disbursements import shortcodes  # noqa: E402
from disbursements.models import Attempt, Callback, Disbursement  # noqa: E402
from disbursements.states import Status  # noqa: E402
from mifos import port  # noqa: E402
from mifos.demo import lender  # noqa: E402
from mifos.demo.world import Outside, Sandbox  # noqa: E402
from mifos.models import Event  # noqa: E402
from partners.models import MifosConnection, MpesaShortcode, Partner  # noqa: E402
from paymentvault.stack import Stack  # noqa: E402

LOANS = 40
LIMIT_S = 2.0


def main() -> None:
    call_command("migrate", verbosity=0)
    lender.refuse_production()
    with tempfile.TemporaryDirectory() as folder, Stack(os.environ, log_dir=Path(folder)) as stack:
        settings.PUBLIC_URL = stack.urls["web"]
        stack.wait_until_ready()
        outside = Outside(Sandbox(stack.urls["mifos"]), Sandbox(stack.urls["safaricom"]))
        partner = lender.set_up(outside)
        rows = [_pay(partner, outside, number) for number in range(LOANS)]
        floor = [_floor(partner, outside, LOANS + number) for number in range(LOANS)]
        lender.tidy_up(partner)
    _tell(rows, floor)


def _pay(partner: Partner, outside: Outside, number: int) -> Disbursement:
    loan_id = _loan(outside, number)
    outside.mifos.post(f"loans/{loan_id}/approve")
    while not (row := Disbursement.objects.filter(
        partner=partner, loan_id=loan_id, status=Status.RECORDED
    ).first()):  # fmt: skip
        time.sleep(0.05)
    return row


def _loan(outside: Outside, number: int) -> int:
    client = outside.mifos.post("clients", name="Amina Otieno", mobile=f"0713{number:06}")["id"]
    return int(outside.mifos.post("loans", client_id=client, principal=10_000)["id"])


def _floor(partner: Partner, outside: Outside, number: int) -> tuple[float, float]:
    """The same calls with nothing in between: seconds up to payment, seconds of recording."""
    mifos = port.client_of(MifosConnection.objects.get(partner=partner))
    mpesa = shortcodes.client_of(MpesaShortcode.objects.get(partner=partner))
    loan_id = _loan(outside, number)
    outside.mifos.post(f"loans/{loan_id}/approve", faults=["lost_hook"])
    began = time.monotonic()
    for _ in range(2):
        mifos.get_client(mifos.get_loan(loan_id).client_id or 0)
    mpesa.pay(
        originator_conversation_id=f"floor-{time.time_ns()}", msisdn=f"254713{number:06}",
        amount_kes=10_000, remarks="floor", result_url=f"{settings.PUBLIC_URL}/livez",
        timeout_url=f"{settings.PUBLIC_URL}/livez",
    )  # fmt: skip
    paid = time.monotonic()
    mifos.get_loan(loan_id, transactions=True)
    mifos.get_business_date()
    mifos.disburse_loan(
        loan_id, on=timezone.localdate(), gross=Decimal(10_000), payment_type_id=26, msisdn="",
        receipt=f"F{number}", external_id=f"floor-{loan_id}", note="", idempotency_key="",
    )  # fmt: skip
    mifos.update_loan_status(loan_id, receipt=f"F{number}", external_id="")
    mifos.get_loan(loan_id, transactions=True)
    return paid - began, time.monotonic() - paid


def _tell(rows: list[Disbursement], floor: list[tuple[float, float]]) -> None:
    to_mpesa = [
        _seconds(Event.objects.filter(disbursement=row, action="APPROVE")[0].received_at,
                 Attempt.objects.get(disbursement=row).answered_at)
        for row in rows
    ]  # fmt: skip
    to_recorded = [
        _seconds(Callback.objects.filter(attempt__disbursement=row)[0].received_at, row.recorded_at)
        for row in rows
    ]
    print(f"{LOANS} loans, one after the other\n{'':32}{'median':>9}{'95th':>9}{'floor':>9}")
    _line("hook to B2C request answered", to_mpesa, [up_to for up_to, _ in floor])
    _line("callback to recorded", to_recorded, [after for _, after in floor])
    slow = [name for name, times in (("hook", to_mpesa), ("callback", to_recorded))
            if _95th(times) >= LIMIT_S]  # fmt: skip
    print(f"Both must be under {LIMIT_S} s at the 95th percentile: {'NO' if slow else 'yes'}.")


def _line(name: str, times: list[float], floor: list[float]) -> None:
    middle = statistics.median
    print(f"{name:<32}{middle(times):>8.3f}s{_95th(times):>8.3f}s{middle(floor):>8.3f}s")


def _95th(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def _seconds(begin: datetime, end: datetime | None) -> float:
    assert end is not None
    return (end - begin).total_seconds()


if __name__ == "__main__":
    main()
