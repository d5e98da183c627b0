"""Wait for what other threads and processes do."""

import time
from collections.abc import Callable
from typing import Any


def until(true: Callable[[], Any], *, seconds: float = 10) -> Any:
    """Wait until something is so and return it; fails the test if it never is."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)
    return found
