"""The way of every command: permission, idempotency, maker-checker, commit and hook."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paymentvault.sandbox import mifos_errors as errors
from paymentvault.sandbox.mifos_delivery import Event, publish
from paymentvault.sandbox.mifos_faults import value_of
from paymentvault.sandbox.mifos_records import User
from paymentvault.sandbox.server import Answer

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

Key = tuple[str, str, str]
"""(idempotency key, action, entity): the loan is no part of it."""


@dataclass(frozen=True)
class Outcome:
    """What a command would answer and change, decided but not yet true."""

    result: dict[str, Any]
    commit: Callable[[], object]


@dataclass(frozen=True)
class Command:
    entity: str
    action: str
    user: User
    request: dict[str, Any] | None
    decide: Callable[[], Outcome]
    """Raises ApiError when the command fails."""
    loan_id: int | None = None
    key: str | None = None

    @property
    def task(self) -> str:
        return f"{self.action}_{self.entity}"

    @property
    def idempotency(self) -> Key | None:
        return (self.key, self.action, self.entity) if self.key else None

    def event(
        self, result: dict[str, Any] | None = None, error: errors.ApiError | None = None
    ) -> Event:
        return Event(self.entity, self.action, self.user, self.request, result, error)


@dataclass(frozen=True)
class Parked:
    id: int
    command: Command


def run(world: "Mifos", command: Command, *, faults: Sequence[str] = ()) -> Answer:
    """Answer a command once; the same idempotency key gets the same answer again."""
    if not command.user.may(command.task):
        raise errors.denied(command.task)
    if blocked := _shortcut(command, faults):
        return blocked
    if command.key and len(command.key) > 50:
        raise errors.crash("Data too long for column 'idempotency_key' at row 1")
    if earlier := _claim(world, command):
        return earlier
    answer = _final(world, command, faults)
    _keep(world, command, answer)
    return answer


def _shortcut(command: Command, faults: Sequence[str]) -> Answer | None:
    if "locked_409" in faults:
        raise errors.locked(command.loan_id or 0)
    if "in_flight_425" in faults:
        return Answer(425, command.request)
    return Answer(200) if "empty_200_not_applied" in faults else None


def _claim(world: "Mifos", command: Command) -> Answer | None:
    """Take the key, or say what became of whoever has it."""
    if not (key := command.idempotency):
        return None
    with world.lock:
        if key not in world.answers:
            world.answers[key] = None
            return None
        known = world.answers[key]
    if known is None:
        return Answer(425, command.request)
    return Answer(known.status, known.body, known.headers | {"x-served-from-cache": "true"})


def _keep(world: "Mifos", command: Command, answer: Answer) -> None:
    if key := command.idempotency:
        with world.lock:
            world.answers[key] = answer


def _final(world: "Mifos", command: Command, faults: Sequence[str]) -> Answer:
    """Failures are answers too: they are kept under the key like successes."""
    try:
        time.sleep(value_of(faults, "slow") or 0)
        if "conflict_409" in faults:
            raise errors.conflict()
        return Answer(200, perform(world, command, faults=faults))
    except errors.ApiError as error:
        publish(world, command.event(error=error), faults=faults)
        return error.answer


def perform(
    world: "Mifos", command: Command, *, faults: Sequence[str] = (), checked: bool = False
) -> dict[str, Any]:
    with world.turn(command.loan_id):
        outcome = command.decide()
        asks = "parked" in faults or world.needs_checker(command.action, command.entity)
        if asks and not checked:
            return _park(world, command, faults)
        _apply(world, command, outcome, faults)
    return outcome.result


def _apply(world: "Mifos", command: Command, outcome: Outcome, faults: Sequence[str]) -> None:
    event = command.event(outcome.result)
    if "phantom" in faults:
        publish(world, event, faults=faults)
    elif world.generation.hook_precedes_commit:
        if publish(world, event, faults=faults):
            time.sleep(world.hook_delay_s + world.hook_commit_lag_s)
        outcome.commit()
    else:
        outcome.commit()
        publish(world, event, faults=faults)


def _park(world: "Mifos", command: Command, faults: Sequence[str]) -> dict[str, Any]:
    parked = Parked(next(world.command_ids), command)
    world.parked[parked.id] = parked
    publish(world, command.event(), faults=faults)
    result: dict[str, Any] = {"commandId": parked.id, "resourceId": command.loan_id}
    return result | ({"rollbackTransaction": True} if world.generation.is_idempotent else {})


def approve(world: "Mifos", parked: Parked) -> dict[str, Any]:
    """The checker's yes: only now does the command happen, and fire its usual hook."""
    result = perform(world, parked.command, checked=True)
    world.parked.pop(parked.id, None)
    _keep(world, parked.command, Answer(200, result))
    return result
