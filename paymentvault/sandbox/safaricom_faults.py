"""What can go wrong with one request, by name, and who meets what when."""

import random
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FAULTS: dict[str, str] = {
    "normal": "Nothing goes wrong; it fills a place in a plan.",
    # Nothing was taken: the same request may be sent again.
    "reset": "The connection is reset before anything was taken.",
    "error_500": "500 “System internal error.”, nothing was taken.",
    "html_firewall": "403 with an HTML page from the firewall, nothing was taken.",
    "spike_arrest": "500.003.02, too many requests a second, nothing was taken.",
    "quota": "500.003.03, the quota is used up, nothing was taken.",
    "token_expired": "The token dies on the way: 401.002.01, nothing was taken; a new one works.",
    "refused:CODE": "Refused at once with this error code, nothing was taken.",
    "response_code:CODE": "200 with this response code, nothing was taken.",
    # Accepted, and the answer says otherwise or nothing.
    "answer_lost": "Paid; the connection closes without an answer; the callback comes.",
    "answer_lost_no_callback": "Paid; neither an answer nor a callback comes.",
    "reset_after_acceptance": "Paid; the connection is reset; the callback comes.",
    "error_500_after_acceptance": "Paid; the answer is 500 “System internal error.”.",
    "html_after_acceptance": "Paid; the answer is 200 with an HTML page.",
    "slow:SECONDS": "The answer takes this long; the callback follows it.",
    # Accepted and answered, and the outcome is reported badly.
    "lost_callback": "Paid; no callback ever comes.",
    "late_callback:SECONDS": "Paid; the callback comes this long after the answer.",
    "reordered_callback": "Paid; the callback comes after a random while, before or after others.",
    "double_callback": "Paid; the same callback comes twice at the same moment.",
    "callback_before_answer": "Paid; the callback is made and answered before our answer leaves.",
    "contradicting_callback": "Paid; a success callback, then a failure for the same payout.",
    "contradicting_failure_first": "Paid; a failure callback, then a success for the same payout.",
    "queue_timeout_then_success": "Paid; the queue time-out URL is called, later the result URL.",
    "queue_timeout_only": "Paid; only the queue time-out URL is called.",
    "wrong_amount": "Paid; the callback names another amount than was paid.",
    "wrong_number": "Paid; the callback names another receiver than was paid.",
    "garbage_callback": "Paid; the callback's body is not JSON, and nothing follows.",
    # Accepted, and M-Pesa declines.
    "result:CODE": "Accepted; nothing moves; the callback has this result code.",
    "result_as_object": "Declined (2040 unless result:CODE says); its one parameter is no list.",
}

STATUS_FAULTS: dict[str, str] = {
    "normal": "Nothing goes wrong; it fills a place in a plan.",
    "lost_callback": "The result of the query never comes.",
    "not_found": "2032, as if M-Pesa had never heard of the payment.",
    "pending": "TransactionStatus is Pending Authorized, whatever is true.",
    "spike_arrest": "500.003.02, too many requests a second.",
    "result_code_zero_but_failed": "ResultCode 0, TransactionStatus Declined, whatever is true.",
}

_AT_RANDOM_VALUES = {
    "refused": "400.002.02",
    "response_code": "1",
    "slow": "0.5",
    "late_callback": "2",
    "result": "2040",
}


@dataclass(frozen=True)
class Fault:
    parts: Mapping[str, str] = field(default_factory=dict)

    def has(self, *names: str) -> bool:
        return any(name in self.parts for name in names)

    def code(self, name: str) -> str | None:
        return self.parts.get(name)

    def seconds(self, name: str) -> float:
        return float(self.parts.get(name, 0))


def parse(text: str, known: Mapping[str, str] = FAULTS) -> Fault:
    """Read one fault, or several joined by "+"; unknown words are a ValueError."""
    return Fault(dict(_part(part, known) for part in text.split("+")))


def _part(text: str, known: Mapping[str, str]) -> tuple[str, str]:
    name, _, value = text.partition(":")
    wants = {key.partition(":")[0]: key.partition(":")[2] for key in known}
    if name not in wants:
        raise ValueError(f"Unknown fault {text!r}")
    if bool(value) != bool(wants[name]):
        raise ValueError(f"Fault {name!r} {'needs' if wants[name] else 'has no'} value")
    if wants[name] == "SECONDS" and not float(value) >= 0:
        raise ValueError(f"Fault {text!r} needs seconds")
    return name, value


def any_fault() -> list[str]:
    """Return each fault once, those with a value with a likely one."""
    names = [key.partition(":")[0] for key in FAULTS if key != "normal"]
    return [f"{n}:{_AT_RANDOM_VALUES[n]}" if n in _AT_RANDOM_VALUES else n for n in names]


class Plans:
    """Which fault the next request about a number meets."""

    def __init__(self, known: Mapping[str, str] = FAULTS) -> None:
        self._known = known
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self._planned: dict[str, deque[Fault]] = {}
        self._met: Counter[str] = Counter()
        self._seed, self._share = 0, 0.0
        self._pool: list[str] = []

    def plan(self, msisdn: str, faults: Iterable[str]) -> None:
        """Replace what is left of this number's plan."""
        planned = deque(parse(fault, self._known) for fault in faults)
        with self._lock:
            self._planned[msisdn] = planned

    def at_random(self, seed: int, share: float, pool: Iterable[str]) -> None:
        pool = list(pool)
        for fault in pool:
            parse(fault, self._known)
        with self._lock:
            self._seed, self._share, self._pool = seed, share, pool
            self._met.clear()

    def next(self, msisdn: str) -> Fault:
        with self._lock:
            self._met[msisdn] += 1
            if msisdn in self._planned:
                planned = self._planned[msisdn]
                return planned.popleft() if planned else Fault()
            return self._by_chance(msisdn)

    def _by_chance(self, msisdn: str) -> Fault:
        # Drawn per number and count, so that the order of threads changes nothing.
        chance = random.Random(f"{self._seed}:{msisdn}:{self._met[msisdn]}")
        if chance.random() >= self._share:
            return Fault()
        return parse(chance.choice(self._pool), self._known)
