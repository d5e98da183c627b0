"""The demo's loans go through everything that can go wrong; `make demo` plays them."""

import pytest

from disbursements.states import NEXT, Status
from mifos.demo import lender as demo
from mifos.demo.scenarios import SCENARIOS
from partners.models import MifosConnection, Partner
from paymentvault.sandbox.mifos_faults import CALL_FAULTS, HOOK_FAULTS, check
from paymentvault.sandbox.safaricom_faults import FAULTS as MPESA_FAULTS

IDS = [scenario.title for scenario in SCENARIOS]
EACH = pytest.mark.parametrize("scenario", SCENARIOS, ids=IDS)


def test_a_dozen_loans_are_told_apart():
    assert len(SCENARIOS) >= 12 and len(set(IDS)) == len(IDS)


@EACH
def test_a_scenario_s_faults_exist(scenario):
    names = [part.partition(":")[0] for fault in scenario.mpesa for part in fault.split("+")]

    check(scenario.hook, HOOK_FAULTS)
    check(scenario.disburse, CALL_FAULTS)
    assert set(names) <= {name.partition(":")[0] for name in MPESA_FAULTS}


@EACH
def test_only_what_ends_recorded_is_paid(scenario):
    assert (scenario.pays > 0) == (scenario.ends == Status.RECORDED)
    assert scenario.ends is None or scenario.ends in NEXT


def test_what_a_demo_leaves_behind_is_off_and_lets_the_next_have_the_address(connection, mifos):
    at = connection.host_url

    demo.tidy_up(connection.partner)

    connection.refresh_from_db()
    assert not connection.is_on and not Partner.objects.get().is_active
    jamii = Partner.objects.create(name="Jamii", code="jamii")
    assert MifosConnection.objects.create(partner=jamii, host_url=at).pk
