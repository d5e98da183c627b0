import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from paymentvault import settings
from paymentvault.stack import Broken, Program, Stack

PROJECT = Path(__file__).resolve().parents[2]


def says_ready(log: str) -> bool:
    return "ready" in log


def shell(name: str, script: str) -> Program:
    return Program(name, ["sh", "-c", script], says_ready)


STEADY = shell("steady", "sleep 60 & echo ready; wait")
STUBBORN = shell("stubborn", "trap '' TERM; echo ready; while :; do sleep 1; done")
BROKEN = shell("broken", "sleep 0.2; echo the disk is full; exit 3")
MUTE = shell("mute", "exec sleep 60")


@pytest.fixture
def stack_of(tmp_path):
    def make(*programs: Program) -> Stack:
        return Stack({"PATH": "/usr/bin:/bin"}, log_dir=tmp_path / "logs", programs=programs)

    return make


def below_us() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    """What still runs a moment later: a kill takes effect after it was sent."""
    _, left = psutil.wait_procs(processes, timeout=2)
    with contextlib.suppress(psutil.NoSuchProcess):
        return [p for p in left if p.status() != psutil.STATUS_ZOMBIE]
    return survivors(left)


def test_the_second_lender_s_mifos_x_is_there_for_who_asks(tmp_path):
    plain, more = Stack({}, log_dir=tmp_path), Stack({}, log_dir=tmp_path, second_mifos=True)

    assert set(more.programs) - set(plain.programs) == {"mifos2"}
    assert more.urls["mifos2"] != more.urls["mifos"]
    assert more.urls["mifos2"].rpartition(":")[2] in more.programs["mifos2"].argv


def test_no_program_and_none_of_its_children_remain(stack_of):
    with stack_of(STEADY, STUBBORN) as stack:
        stack.stop_timeout_s = 0.2
        stack.wait_until_ready(10)
        processes = below_us()

    assert len(processes) >= 4
    assert survivors(processes) == []


def test_a_program_that_ends_by_itself_is_named_with_the_end_of_its_log(stack_of):
    with stack_of(STEADY, BROKEN) as stack:
        with pytest.raises(Broken, match=r"broken ended by itself(.|\n)*the disk is full"):
            stack.wait_until_ready(10)

        assert stack.failed() == ["broken"]


def test_a_program_that_never_gets_ready_is_named(stack_of):
    with stack_of(STEADY, MUTE) as stack, pytest.raises(Broken, match="^mute is not ready"):
        stack.wait_until_ready(0.5)


def test_a_program_that_was_killed_on_purpose_has_not_failed(stack_of):
    with stack_of(STEADY) as stack:
        stack.kill("steady")

        assert stack.failed() == []


def test_a_program_that_starts_again_is_ready_only_when_it_says_so_again(stack_of, tmp_path):
    was = tmp_path / "was"
    once = shell("once", f"test -e {was} || {{ touch {was}; echo ready; }}; sleep 60")
    with stack_of(once) as stack:
        stack.wait_until_ready(10)
        stack.restart("once")

        with pytest.raises(Broken, match="once is not ready"):
            stack.wait_until_ready(0.5)

        assert "ready" in stack.log_of("once").read_text()


def test_a_program_runs_once(stack_of):
    with stack_of(STEADY) as stack, pytest.raises(ValueError, match="already"):
        stack.start("steady")


def test_nothing_remains_when_one_program_cannot_be_started(stack_of):
    with pytest.raises(FileNotFoundError), stack_of(STEADY, Program("lost", ["/no/such"])):
        pytest.fail("entered without all of its programs")

    assert survivors(below_us()) == []


def test_nothing_remains_when_the_start_is_interrupted(stack_of):
    stack = stack_of(STEADY, MUTE)
    start = stack.start

    def start_then_interrupt(name: str) -> None:
        start(name)
        signal.raise_signal(signal.SIGINT)

    stack.start = start_then_interrupt

    with pytest.raises(KeyboardInterrupt), stack:
        pytest.fail("the interrupt was lost")

    assert survivors(below_us()) == []


RUN_A_STUBBORN_ONE = """
import sys, time
from pathlib import Path
from paymentvault.stack import Program, Stack
program = Program("stubborn", ["sh", "-c", sys.argv[2]], lambda log: "ready" in log)
with Stack({"PATH": "/usr/bin:/bin"}, log_dir=Path(sys.argv[1]), programs=[program]) as stack:
    stack.stop_timeout_s = 1
    stack.wait_until_ready(10)
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def elsewhere(tmp_path):
    """A process of its own that runs a stack whose program doesn't want to stop."""
    argv = [sys.executable, "-c", RUN_A_STUBBORN_ONE, str(tmp_path), STUBBORN.argv[-1]]
    with subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        process.below = psutil.Process(process.pid).children(recursive=True)
        yield process
        with contextlib.suppress(ProcessLookupError):
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_break_off_the_stop(elsewhere, number):
    elsewhere.send_signal(number)
    time.sleep(0.3)
    elsewhere.send_signal(number)
    elsewhere.wait(timeout=20)

    assert elsewhere.below
    assert survivors(elsewhere.below) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children of the killed")
def test_no_program_outlives_a_parent_that_was_killed_outright(elsewhere):
    (program,) = psutil.Process(elsewhere.pid).children()

    elsewhere.kill()

    assert survivors([program]) == []


def test_every_queue_has_a_worker(tmp_path):
    stack = Stack({}, log_dir=tmp_path)

    workers = [p.argv for p in stack.programs.values() if p.name.startswith("worker-")]
    served = {queue for argv in workers for queue in argv[argv.index("-Q") + 1].split(",")}

    routed = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}
    assert served == routed | {settings.CELERY_TASK_DEFAULT_QUEUE}


def test_without_the_sandbox_only_the_system_itself_runs(tmp_path):
    stack = Stack({}, log_dir=tmp_path, sandbox=False, ports={"web": 8001})

    workers = {"worker-payouts", "worker-mifos", "worker-sweeps"}
    assert set(stack.programs) == {"web", "beat", *workers}
    assert stack.urls["web"] == "http://127.0.0.1:8001" == stack.env["PUBLIC_URL"]
