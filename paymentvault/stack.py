"""The whole system as real processes on one machine: for the demo and for end-to-end tests."""

import contextlib
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from paymentvault import processes
from paymentvault.embedded import free_port
from paymentvault.processes import Process

PROJECT = Path(__file__).resolve().parent.parent
DEMO_LENDER, SECOND_LENDER = "Pesa Pamoja SACCO", "Jamii Microfinance"
WITH_A_PORT = ("web", "safaricom", "mifos", "mifos2")


class Broken(Exception):
    """A program ended by itself or did not become ready; says which, with the end of its log."""


@dataclass(frozen=True)
class Program:
    name: str
    argv: Sequence[str]
    is_ready: Callable[[str], bool] = lambda log: True
    """Called with what the program has logged since its start."""


@dataclass(frozen=True)
class _Running:
    program: Program
    process: Process
    log: Path
    log_starts_at: int

    def said(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self.log_starts_at)
            return log.read().decode(errors="replace")


class Stack:
    """Starts every program on entering, and leaves none of them behind, whatever happens.

    To be used in the main thread: the kernel kills the programs when the thread that started
    them ends.
    """

    stop_timeout_s = 8.0

    def __init__(
        self,
        env: Mapping[str, str],
        *,
        log_dir: Path,
        sandbox: bool = True,
        second_mifos: bool = False,
        ports: Mapping[str, int] | None = None,
        programs: Iterable[Program] | None = None,
    ) -> None:
        """`ports` and `programs` replace the free ports and the programs we'd take ourselves."""
        given = ports or {}
        self.urls = {n: f"http://127.0.0.1:{given.get(n) or free_port()}" for n in WITH_A_PORT}
        self.env = {"PUBLIC_URL": self.urls["web"], "PYTHONUNBUFFERED": "1", **env}
        self.log_dir = log_dir
        ours = programs or _programs(self.urls, sandbox=sandbox, second_mifos=second_mifos)
        self.programs = {program.name: program for program in ours}
        self._running: dict[str, _Running] = {}
        self._signals = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        try:
            self._signals.enter_context(processes.cleaning_up_when_terminated())
            for name in self.programs:
                self.start(name)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self, name: str) -> None:
        if name in self._running:
            raise ValueError(f"{name} was started already")
        program = self.programs[name]
        with processes.undisturbed(), self.log_of(name).open("ab") as log:
            log_starts_at = log.tell()  # before the program, which shares this position, writes
            process = processes.start(
                program.argv,
                env=self.env,
                cwd=PROJECT,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            self._running[name] = _Running(program, process, self.log_of(name), log_starts_at)

    def kill(self, name: str, by: signal.Signals = signal.SIGKILL) -> None:
        """End one program with its children; one that outlasts the signal is killed."""
        processes.stop([self._running[name].process], by=by, timeout_s=self.stop_timeout_s)
        del self._running[name]

    def restart(self, name: str) -> None:
        self.kill(name, signal.SIGTERM)
        self.start(name)

    def stop(self) -> None:
        running = [running.process for running in self._running.values()]
        processes.stop(running, timeout_s=self.stop_timeout_s)
        self._running.clear()
        self._signals.close()

    def wait_until_ready(self, timeout_s: float = 60) -> None:
        """Wait until everything that was started, and not killed since, is ready."""
        until = time.monotonic() + timeout_s
        while waiting := [n for n, r in self._running.items() if not r.program.is_ready(r.said())]:
            if failed := self.failed():
                raise Broken(self._why(failed, "ended by itself"))
            if time.monotonic() > until:
                raise Broken(self._why(waiting, f"is not ready after {timeout_s:g} s"))
            time.sleep(0.1)

    def failed(self) -> list[str]:
        """The programs that ended by themselves."""
        return [n for n, running in self._running.items() if running.process.poll() is not None]

    def log_of(self, name: str) -> Path:
        return self.log_dir / f"{name}.log"

    def _why(self, names: Iterable[str], what: str) -> str:
        tails = (
            f"{n} {what}. The end of its log:\n{self._running[n].said()[-3000:]}" for n in names
        )
        return "\n\n".join(tails)


def _programs(urls: Mapping[str, str], *, sandbox: bool, second_mifos: bool) -> Iterator[Program]:
    if sandbox:
        yield _sandbox("safaricom", "safaricom", urls["safaricom"])
        yield _mifos("mifos", urls, "--lender", DEMO_LENDER)
    if second_mifos:
        yield _mifos("mifos2", urls, "--lender", SECOND_LENDER, "--with-loans")
    yield _web(urls["web"])
    yield _worker("payouts", queues="payouts,questions")
    yield _worker("mifos", queues="events,recording,polls,jobs,deliveries")
    yield _worker("sweeps", queues="callbacks,sweeps")
    yield _beat()


def _mifos(name: str, urls: Mapping[str, str], *options: str) -> Program:
    return _sandbox("mifos", name, urls[name], "--safaricom", urls["safaricom"], *options)


def _sandbox(module: str, name: str, url: str, *options: str) -> Program:
    argv = _python(f"paymentvault.sandbox.{module}", "--port", _port(url), *options)
    return Program(name, argv, lambda _: _answers(f"{url}/_sandbox/health"))


def _web(url: str) -> Program:
    argv = _python(
        *("gunicorn", "paymentvault.wsgi", "--bind", f"127.0.0.1:{_port(url)}"),
        *("--workers", "2", "--worker-class", "gthread", "--threads", "8"),
        # Its default place for that socket is one per user, not one per server.
        "--no-control-socket",
    )
    return Program("web", argv, lambda _: _answers(f"{url}/readyz"))


def _worker(name: str, *, queues: str) -> Program:
    argv = _python(
        *("celery", "-A", "paymentvault", "worker", "-P", "threads", "-c", "8", "-Q", queues),
        *("-n", f"{name}@%h", "--loglevel", "INFO"),
        # Workers have nothing to tell each other, and start faster without.
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )
    return Program(f"worker-{name}", argv, lambda log: " ready." in log)


def _beat() -> Program:
    # The default scheduler keeps its times in a file; ours start anew.
    options = ("--scheduler", "celery.beat:Scheduler", "--loglevel", "INFO")
    argv = _python("celery", "-A", "paymentvault", "beat", *options)
    return Program("beat", argv, lambda log: "beat: Starting" in log)


def _python(module: str, *args: str) -> list[str]:
    return [sys.executable, "-m", module, *args]


def _port(url: str) -> str:
    return url.rpartition(":")[2]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:  # urllib's errors are of this kind
        return False
