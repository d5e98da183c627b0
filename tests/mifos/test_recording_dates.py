"""The day it was paid, as the tenant counts days."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from disbursements.states import Status
from tests.mifos.conftest import disbursals

pytestmark = [pytest.mark.django_db, pytest.mark.lesson(18)]
NAIROBI, KOLKATA, UTC = "Africa/Nairobi", "Asia/Kolkata", "UTC"


@pytest.fixture
def on_the_tenant_s_clock(mifos, connection, approved, paid, time_machine):
    """A loan approved on 19 October, in a tenant of some time zone, paid and recorded later."""
    zone = mifos.zone

    def act(name, paid_at, now=None):
        mifos.zone, connection.time_zone = ZoneInfo(name), name
        connection.save()
        time_machine.move_to(datetime.fromisoformat("2026-10-19T09:00Z"))
        loan_id = approved(fees=500)
        paid_at = datetime.fromisoformat(paid_at)
        time_machine.move_to(datetime.fromisoformat(now) if now else paid_at + timedelta(seconds=5))
        return paid(loan_id=loan_id, paid_at=paid_at, approved_on=date(2026, 10, 19))

    yield act
    mifos.zone = zone


@pytest.mark.parametrize(
    "zone, paid_at, day",
    [
        (NAIROBI, "2026-10-21T20:59Z", 21),  # 23:59 there
        (NAIROBI, "2026-10-21T21:00Z", 22),  # midnight there, still the 21st in UTC
        (KOLKATA, "2026-10-21T18:29Z", 21),  # 23:59 there
        (KOLKATA, "2026-10-21T18:30Z", 22),  # 21:30 in Nairobi, tomorrow in Kolkata
        (UTC, "2026-10-21T23:59Z", 21),
    ],
)
def test_it_is_the_tenant_s_day(on_the_tenant_s_clock, record, mifos, zone, paid_at, day):
    disbursement = on_the_tenant_s_clock(zone, paid_at)

    record(disbursement)

    [shown] = mifos.loans[disbursement.loan_id].transactions
    assert (disbursement.status, shown.date) == (Status.RECORDED, date(2026, 10, day))


def test_paid_before_midnight_and_recorded_after_it_keeps_its_day(
    on_the_tenant_s_clock, record, mifos
):
    disbursement = on_the_tenant_s_clock(NAIROBI, "2026-10-21T20:59:50Z", "2026-10-21T21:00:20Z")

    record(disbursement)

    assert mifos.loans[disbursement.loan_id].transactions[0].date == date(2026, 10, 21)


@pytest.mark.parametrize("business_day, expected", [(20, 20), (19, 19), (22, 21)])
def test_it_is_never_after_the_business_date(
    on_the_tenant_s_clock, record, mifos, business_day, expected
):
    disbursement = on_the_tenant_s_clock(NAIROBI, "2026-10-21T09:00Z")
    mifos.business_date = date(2026, 10, business_day)

    record(disbursement)

    shown = mifos.loans[disbursement.loan_id].transactions[0]
    assert (disbursement.status, shown.date) == (Status.RECORDED, date(2026, 10, expected))


def test_a_tenant_whose_clock_is_behind_its_setting_gets_the_day_before(
    on_the_tenant_s_clock, record, mifos
):
    disbursement = on_the_tenant_s_clock(KOLKATA, "2026-10-21T18:35Z")
    mifos.zone = ZoneInfo(NAIROBI)

    record(disbursement)
    assert disbursement.recording_error_code.endswith("cannot.be.a.future.date")
    record(disbursement)

    days = [request.body["actualDisbursementDate"] for request in disbursals(mifos)]
    assert (days, disbursement.status) == (["2026-10-22", "2026-10-21"], Status.RECORDED)


def test_on_a_free_day_it_is_recorded_on_the_next(
    on_the_tenant_s_clock, record, mifos, time_machine
):
    disbursement = on_the_tenant_s_clock(NAIROBI, "2026-10-25T09:00Z")
    mifos.non_working_days.add(date(2026, 10, 25))
    record(disbursement)
    time_machine.move_to(datetime.fromisoformat("2026-10-26T03:00Z"))

    record(disbursement)

    shown = mifos.loans[disbursement.loan_id].transactions[0]
    assert (disbursement.status, shown.date) == (Status.RECORDED, date(2026, 10, 26))


def test_it_is_never_before_the_approval(on_the_tenant_s_clock, record, mifos):
    disbursement = on_the_tenant_s_clock(NAIROBI, "2026-10-21T09:00Z")
    mifos.loans[disbursement.loan_id].approved_on = date(2026, 10, 22)
    mifos.business_date = date(2026, 10, 22)

    record(disbursement)

    assert mifos.loans[disbursement.loan_id].transactions[0].date == date(2026, 10, 22)
