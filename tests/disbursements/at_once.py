"""Do something on several threads at the same moment, each with a connection of its own."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection


def at_once(act: Callable[..., Any], over: Iterable[Any]) -> list[Any]:
    """Call act with each of these at once; returns what it returned, or raised."""
    items = list(over)
    start = threading.Barrier(len(items))

    def run(item: Any) -> Any:
        try:
            start.wait(10)
            return act(item)
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(run, items))


def errors(results: Iterable[Any]) -> list[Exception]:
    return [result for result in results if isinstance(result, Exception)]
