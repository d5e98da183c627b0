"""A pretend world as a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[2]


def run_and_stop(module: str, *options: str, by: signal.Signals) -> tuple[Any, int]:
    """Start it, ask for its health, stop it by a signal; the health and the exit code."""
    command = [sys.executable, "-m", f"paymentvault.sandbox.{module}", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().removeprefix("ready ").strip()
        health = requests.get(f"{url}/_sandbox/health", timeout=5)
        process.send_signal(by)
        return health.json(), process.wait(timeout=5)
