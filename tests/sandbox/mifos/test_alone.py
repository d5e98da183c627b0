import signal

import pytest

from tests.sandbox.alone import run_and_stop


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_alone_and_stops_cleanly(how):
    health, exit_code = run_and_stop("mifos", "--generation", "1.4", by=how)

    assert (health, exit_code) == ({"status": "UP"}, 0)
