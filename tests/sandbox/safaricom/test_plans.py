import pytest

from paymentvault.sandbox.safaricom import FAULTS, STATUS_FAULTS
from paymentvault.sandbox.safaricom_faults import Plans, any_fault, parse
from tests.samples import AMINA
from tests.sandbox.safaricom.calls import BARAKA, error
from tests.sandbox.safaricom.faults import NOTHING_TAKEN, PAID


def test_each_request_meets_its_own_fault_and_then_none(partner, world):
    world.plan(AMINA, "error_500", "normal", "quota")

    answers = [partner.pay(f"loan-{n}").status_code for n in range(5)]

    assert answers == [500, 200, 500, 200, 200]


def test_a_plan_is_for_one_number(partner, world):
    world.plan(AMINA, "error_500")

    assert partner.pay(PartyB=BARAKA).status_code == 200


def test_a_refused_field_uses_up_no_fault(partner, world):
    world.plan(AMINA, "quota")
    partner.pay(Amount="x")

    assert error(partner.pay())[1] == "500.003.03"


@pytest.mark.parametrize(
    "fault",
    [
        "",
        "typo",
        "reset+typo",
        "late_callback",
        "late_callback:soon",
        "slow:-1",
        "reset:1",
        "result:",
    ],
)
def test_an_unknown_fault_is_an_error(world, fault):
    with pytest.raises(ValueError):
        world.plan(AMINA, fault)


def test_every_fault_of_the_table_can_be_planned():
    assert len(any_fault()) == len(FAULTS) - 1
    assert all(parse(fault).parts for fault in any_fault())
    assert all(parse(fault, STATUS_FAULTS).parts for fault in STATUS_FAULTS)


def test_every_fault_of_the_table_is_tested_here():
    tested = [fault for fault, *_ in PAID + NOTHING_TAKEN]
    tested += ["html_firewall", "response_code", "reset", "garbage_callback"]
    tested += ["result", "result_as_object"]

    names = {part.partition(":")[0] for fault in tested for part in fault.split("+")}

    assert names == {key.partition(":")[0] for key in FAULTS}


def test_chance_is_the_same_for_the_same_seed_in_any_order():
    def met(numbers):
        plans = Plans()
        plans.at_random(7, 0.5, any_fault())
        return {number: [plans.next(number) for _ in range(4)] for number in numbers}

    numbers = [str(n) for n in range(100)]

    assert met(numbers) == met(reversed(numbers))


def test_chance_meets_about_its_share():
    plans = Plans()
    plans.at_random(7, 0.25, any_fault())

    met = [bool(plans.next(str(n)).parts) for n in range(1000)]

    assert 200 < sum(met) < 300


def test_a_planned_number_is_left_alone_by_chance(partner, world):
    world.plan_at_random(7, 1.0, "error_500")
    world.plan(AMINA, "normal")

    answers = [partner.pay("a"), partner.pay("b"), partner.pay("c", PartyB=BARAKA)]

    assert [answer.status_code for answer in answers] == [200, 200, 500]
