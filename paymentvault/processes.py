"""Child processes that never outlive us, and stops that a second Ctrl-C cannot break off."""

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

Process = subprocess.Popen[bytes]

ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP came; whoever knows what to do on Ctrl-C, pytest too, does the same."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@dataclass(frozen=True)
class Account:
    """A user of the operating system to run a child as."""

    uid: int
    gid: int


def start(
    argv: Sequence[str | Path],
    *,
    account: Account | None = None,
    on_our_death: signal.Signals = signal.SIGKILL,
    **options: Any,
) -> Process:
    """Start a child that gets `on_our_death` when the thread that called this ends."""
    if account:
        options.update(user=account.uid, group=account.gid, extra_groups=[])
    # When we are killed with SIGKILL nothing of ours runs any more, so the kernel has to end
    # the child. `subprocess` calls this after it changed the user, which would undo the tie.
    tie = functools.partial(_tie_to, os.getpid(), on_our_death)
    return subprocess.Popen(argv, preexec_fn=tie, **options)  # noqa: S603


def _tie_to(parent: int, on_its_death: signal.Signals) -> None:
    if _LIBC is None:  # only Linux has it
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(on_its_death), 0, 0, 0)
    if os.getppid() != parent:  # it died before the tie was made
        os._exit(1)


@contextlib.contextmanager
def running(
    argv: Sequence[str | Path], *, stop_by: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[Process]:
    """Have a child while the block runs; see `start` for the options."""
    process: Process | None = None
    try:
        with undisturbed():
            process = start(argv, **options)
        yield process
    finally:
        if process:
            stop([process], by=stop_by)


def stop(
    processes: Iterable[Process], *, by: signal.Signals = signal.SIGTERM, timeout_s: float = 8
) -> None:
    """Ask all to end, wait for all together, then kill what is left of their groups."""
    processes = list(processes)
    until = monotonic() + timeout_s
    with undisturbed():
        for process in processes:
            process.send_signal(by)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0, until - monotonic()))
        for process in processes:
            kill(process)


def kill(process: Process, by: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process with its whole group, if it leads one, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, by)
    process.send_signal(by)
    process.wait()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP wait until the block is done."""
    came: list[int] = []
    try:
        with _handling(ENDING, lambda number, _: came.append(number)):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


@contextlib.contextmanager
def cleaning_up_when_terminated() -> Iterator[None]:
    """Make an exception of SIGTERM and SIGHUP, which would end us without a `finally`."""

    def terminate(number: int, _: FrameType | None) -> None:
        raise Terminated(number)

    unhandled = {n for n in ENDING if signal.getsignal(n) is signal.SIG_DFL}
    with _handling(unhandled, terminate):
        yield


@contextlib.contextmanager
def _handling(
    numbers: Iterable[signal.Signals], handler: Callable[[int, FrameType | None], object]
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread only, so this one isn't disturbed
        return
    # What is ignored, such as SIGHUP under nohup, stays ignored.
    before = {n: h for n in numbers if (h := signal.getsignal(n)) not in (None, signal.SIG_IGN)}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)
