import signal

import pytest

from tests.sandbox.alone import run_and_stop


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT])
def test_alone_it_says_when_it_is_ready_and_stops_cleanly(wanted):
    health, exit_code = run_and_stop("safaricom", "--port", "0", by=wanted)

    assert (health, exit_code) == ({"ok": True}, 0)
