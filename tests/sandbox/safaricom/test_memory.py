from tests.samples import AMINA
from tests.sandbox.safaricom.calls import PAYMENTS
from tests.sandbox.safaricom.faults import broken_off


def test_every_request_is_kept_with_what_it_got(partner, world):
    world.plan(AMINA, "answer_lost")
    broken_off(partner)
    partner.pay("loan-2", Amount=0)

    kept = [(r.method, r.path, r.answer_status) for r in world.requests]

    assert kept == [
        ("GET", "/oauth/v1/generate", 200),
        ("POST", PAYMENTS, None),
        ("POST", PAYMENTS, 400),
    ]
    assert world.requests[1].body == partner.order()


def test_every_callback_is_kept_with_what_it_got(partner, world):
    partner.pay("loan-1")
    partner.pay("loan-2", ResultURL="http://127.0.0.1:1/r")
    world.settle()

    kept = {d.url: (d.status, bool(d.error)) for d in world.callbacks}

    heard, deaf = partner.listener + "/r", "http://127.0.0.1:1/r"
    assert kept == {heard: (200, False), deaf: (None, True)}


def test_a_reset_forgets_all_and_stops_callbacks(partner, world, listener):
    world.plan(AMINA, "late_callback:0.2")
    partner.pay()

    world.reset()

    world.settle()
    assert (world.ledger, world.requests, world.callbacks, listener.heard) == ([], [], [], [])
    assert partner.token_answer().status_code == 400
