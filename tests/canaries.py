"""Secrets that can be told apart from everything else, and the search for them.

A canary is known by its cores: pieces of letters and digits that no escaping changes, whether of
JSON, HTML, an address or a string of Python. In base64 and hex they are looked for as well.
"""

import base64
import re
import secrets
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

# Shorter ones stand in many a text by chance, or are what tests without canaries use.
SHORTEST = 10
# Cores consist of these, so that what can't hold one is skipped.
_RUN = re.compile(rb"[\w+/=%-]{" + str(SHORTEST).encode() + rb",}")


def canary(*, ends: str = "") -> str:
    """A new one with what gets escaped somewhere in its middle; both its ends are its cores."""
    return f"{_core()}&\"'<b>\\ ,;=%Ü}}{_core()}{ends}"


def plain_canary() -> str:
    """One for where nothing but letters and digits may stand."""
    return _core() + _core()


def _core() -> str:
    return "Kn" + secrets.token_hex(7)


def cores(value: str) -> list[str]:
    """What gives it away: its first and its last long piece."""
    long = [piece for piece in re.findall("[A-Za-z0-9]+", value) if len(piece) >= SHORTEST]
    ends = {long[0], long[-1]} if long else set()
    # Of one long piece its halves, so that the half that a mask leaves is found.
    halves = {
        half
        for piece in ends
        if len(piece) >= 2 * SHORTEST
        for half in (piece[: len(piece) // 2], piece[len(piece) // 2 :])
    }
    return sorted(halves or ends)


@cache
def forms(core: str) -> tuple[bytes, ...]:
    """A core as it is, in hex, and as it stands in base64 whatever comes before it."""
    text = core.encode()
    return (text, text.hex().encode(), text.hex().upper().encode(), *_in_base64(text))


def _in_base64(text: bytes) -> Iterator[bytes]:
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + text)
        # What the neighbours have a part in is left out.
        yield encoded[(0, 2, 3)[before] : (before + len(text)) * 8 // 6]


@dataclass
class Canaries:
    """Every secret that is known, by what kind of secret it is."""

    values: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def learn(self, kind: str, *values: str) -> None:
        self.values[kind].update(value for value in values if cores(value))

    def needles(self) -> Iterator[tuple[str, bytes]]:
        for kind, values in self.values.items():
            for value in values:
                for core in cores(value):
                    for form in forms(core):
                        yield kind, form

    def found(self, text: bytes | str) -> set[str]:
        """The kinds of secret that stand in a text, in whatever form."""
        runs = _runs(text)
        return {kind for kind, needle in self.needles() if needle in runs}


def _runs(text: bytes | str) -> bytes:
    """All that could hold a core, each once: pages say most things many times."""
    raw = text if isinstance(text, bytes) else text.encode(errors="replace")
    return b"\n".join(set(_RUN.findall(raw)))


Leak = tuple[str, str]
"""Where a secret stands, and what kind of secret it is."""


@dataclass
class Traces:
    """What a day left behind: for each surface the places, and what stands there."""

    places: dict[str, dict[str, list[bytes]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def keep(self, surface: str, place: str, text: bytes | str) -> None:
        raw = text if isinstance(text, bytes) else text.encode(errors="replace")
        self.places[surface][place].append(raw)

    def leaks(self, surface: str, canaries: Canaries) -> set[Leak]:
        return {
            (place, kind)
            for place, texts in self.places[surface].items()
            for kind in canaries.found(b"\n".join(texts))
        }
