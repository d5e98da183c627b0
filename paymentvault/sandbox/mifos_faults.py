"""What can go wrong on purpose, each with the sentence that a person reads."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from paymentvault.sandbox.server import Request

PARKED = "The command waits for a second person (maker-checker): nothing is applied yet."

HOOK_FAULTS = {
    "lost_hook": "The loan is approved, but the hook is never sent.",
    "hook_times:N": "The hook is sent N times.",
    "late_hook:SECONDS": "The hook comes this late.",
    "phantom": "The hook is sent, but the approval was rolled back: the loan stays pending.",
    "parked": PARKED,
    "hook_failed_command": "The approval fails, and the failed command sends its own hook.",
}
CALL_FAULTS = {
    "reset": "The connection is reset before anything happens.",
    "hang_up": "The connection is closed before anything happens.",
    "error_500": "Mifos fails with 500 before anything happens.",
    "html_502": "A proxy in between answers 502 in HTML; Mifos never saw the call.",
    "slow:SECONDS": "Mifos takes this long before it acts and answers.",
    "reset_after_applying": "The command is applied, then the connection is reset.",
    "hang_up_after_applying": "The command is applied, then the connection is closed.",
    "error_500_after_applying": "The command is applied, then Mifos answers 500.",
    "conflict_409": "Two people changed the loan at once: 409, nothing is applied.",
    "locked_409": "The nightly job holds the loan: 409, nothing is applied.",
    "in_flight_425": "Mifos says that the same idempotency key is still being worked on.",
    "parked": PARKED,
    "empty_200_not_applied": "Mifos answers 200 with nothing in it, and applies nothing.",
}
FAULTS: dict[str, str] = HOOK_FAULTS | CALL_FAULTS
ANY_CALL = {"reset", "hang_up", "error_500", "html_502", "slow"}


def value_of(faults: Iterable[str], name: str) -> float | None:
    """The SECONDS or N of a fault such as `slow:2`, when it is among these."""
    values = [fault.split(":")[1] for fault in faults if fault.startswith(f"{name}:")]
    return float(values[0]) if values else None


def check(faults: Iterable[str], known: dict[str, str]) -> tuple[str, ...]:
    """Raise ValueError for a fault that doesn't exist here or lacks its value."""
    checked = tuple(faults)
    wants_value = {key.partition(":")[0]: ":" in key for key in known}
    for fault in checked:
        name, colon, value = fault.partition(":")
        if wants_value.get(name) is not bool(colon):
            raise ValueError(f"Unknown fault {fault!r}; known: {', '.join(known)}")
        if colon and not 0 <= float(value) < 1000:
            raise ValueError(f"{fault!r} needs a number from 0 to 999")
    return checked


@dataclass(frozen=True)
class Planned:
    fault: str
    loan_id: int | None
    command: str | None

    def fits(self, request: Request) -> bool:
        """Faults that speak of a command wait for one; the others meet any call."""
        if self.command is not None and request.query.get("command") != self.command:
            return False
        if self.loan_id is not None and str(self.loan_id) not in request.path.split("/"):
            return False
        return self.fault.split(":")[0] in ANY_CALL or is_command(request)


def is_command(request: Request) -> bool:
    return request.method != "GET" and not request.path.endswith(("/authentication", "/token"))


class Plan:
    """Faults still to come. A call takes the first that fits it."""

    def __init__(self) -> None:
        self._planned: list[Planned] = []
        self._lock = threading.Lock()

    def add(self, faults: Iterable[str], *, loan_id: int | None, command: str | None) -> None:
        checked = check(faults, CALL_FAULTS)
        with self._lock:
            self._planned.extend(Planned(fault, loan_id, command) for fault in checked)

    def take(self, request: Request) -> str | None:
        with self._lock:
            found = next((planned for planned in self._planned if planned.fits(request)), None)
            if found:
                self._planned.remove(found)
        return found.fault if found else None
