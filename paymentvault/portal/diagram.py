"""The diagram of states, drawn from the table of moves that the code itself obeys.

The states stand in a column in the order in which one comes to them. Each state has one rail that
leads to it: going down on the right, coming back on the left. A dot on a rail is a state from
which one may go to where the rail ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from disbursements.states import FINAL, NEXT, TONE, Status

ROW, BOX_HEIGHT, BOX_WIDTH, RAIL, MARGIN = 48, 32, 164, 17, 10
# What leads away leaves a box this far below its middle, what comes arrives as far above.
APART = 7

# Who or what makes each move.
WHY: dict[tuple[Status, Status], str] = {}
S = Status


def _why(was: Status, *moves: tuple[Status, str]) -> None:
    WHY.update({(was, to): words for to, words in moves})


_why(
    S.RECEIVED,
    (S.HELD, "Something speaks against paying it as it stands."),
    (S.AWAITING_APPROVAL, "Nothing speaks against it, but a person must decide."),
    (S.APPROVED, "Automatic disbursement is on and every rule passed."),
)
_why(
    S.HELD,
    (S.APPROVED, "A person released it, or M-Pesa answered for a request after all."),
    (S.AWAITING_APPROVAL, "It may be paid after all, and a person must decide."),
    (S.CANCELLED, "A person cancelled it, or the loan's approval ended in Mifos X."),
)
_why(
    S.AWAITING_APPROVAL,
    (S.APPROVED, "A person other than the one who entered it approved it."),
    (S.HELD, "Something came to light that speaks against it."),
    (S.REJECTED, "A person rejected it."),
    (S.CANCELLED, "A person cancelled it, or the loan's approval ended in Mifos X."),
)
_why(
    S.APPROVED,
    (S.SENDING, "Every gate is open: the request to M-Pesa is made."),
    (S.HELD, "The last look before sending found something changed."),
    (S.CANCELLED, "A person cancelled it, or the loan's approval ended in Mifos X."),
)
_why(
    S.SENDING,
    (S.SENT, "M-Pesa accepted the request."),
    (S.PAID, "M-Pesa's result came before its answer."),
    (S.FAILED, "M-Pesa refused it. No money moved."),
    (S.IN_DOUBT, "No usable answer came. Money may have moved."),
    (S.APPROVED, "The request provably never left us; it is sent again."),
)
_why(
    S.SENT,
    (S.PAID, "M-Pesa says paid, with a receipt."),
    (S.FAILED, "M-Pesa says that it was not paid."),
    (S.IN_DOUBT, "M-Pesa is silent, or what it says can't be right."),
)
_why(
    S.IN_DOUBT,
    (S.PAID, "M-Pesa says paid, or two people settled it so."),
    (S.FAILED, "M-Pesa says not paid, or two people settled it so."),
)
_why(
    S.FAILED,
    (S.APPROVED, "A person retried it, or the float is back: a new attempt."),
    (S.CANCELLED, "A person gave it up, or the loan's approval ended in Mifos X."),
)
_why(S.PAID, (S.RECORDED, "Mifos X shows the loan disbursed with our receipt."))


@dataclass(frozen=True)
class Box:
    """A state, where it stands."""

    status: Status
    x: int
    y: int

    @property
    def label(self) -> str:
        return self.status.label

    @property
    def tone(self) -> str:
        return TONE[self.status]

    @property
    def middle(self) -> int:
        return self.y + BOX_HEIGHT // 2

    @property
    def centre(self) -> int:
        return self.x + BOX_WIDTH // 2

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


@dataclass(frozen=True)
class Rail:
    """All the moves to one state, on one side."""

    to: Box
    x: int
    side: int
    """The x at which boxes end on this side."""
    tone: str
    dots: list[int]

    @property
    def path(self) -> str:
        """From the box that is farthest to where it ends, with an arrow's head drawn apart."""
        ends = [*self.dots, self.arrives]
        lines = [f"M{self.x} {min(ends)}V{max(ends)}"]
        lines += [f"M{self.side} {dot}H{self.x}" for dot in self.dots]
        return "".join([*lines, f"M{self.x} {self.arrives}H{self.side}"])

    @property
    def arrives(self) -> int:
        return self.to.middle - APART

    @property
    def head(self) -> str:
        way = 7 if self.x > self.side else -7
        return f"M{self.side} {self.arrives}l{way} -4v8z"


@dataclass(frozen=True)
class Move:
    """One line of the table that says the same."""

    was: Status
    to: Status
    why: str


@dataclass(frozen=True)
class Diagram:
    boxes: list[Box]
    rails: list[Rail]
    steps: list[str]
    moves: list[Move] = field(default_factory=list)
    width: int = 0
    height: int = 0
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


@cache
def of_states() -> Diagram:
    """Drawn anew when the table of moves changes, and never by hand."""
    order = in_order()
    rank = {status: i for i, status in enumerate(order)}
    on_the_right = _lanes({to: _sources(rank, to, forward=True) for to in order}, rank)
    on_the_left = _lanes({to: _sources(rank, to, forward=False) for to in order}, rank)
    left = MARGIN + RAIL * (1 + max(on_the_left.values(), default=-1))
    boxes = {s: Box(s, left, MARGIN + rank[s] * ROW) for s in order}
    right = left + BOX_WIDTH
    rails = [
        _rail(boxes, to, right + RAIL * (lane + 1), right, _sources(rank, to, forward=True))
        for to, lane in on_the_right.items()
    ] + [
        _rail(boxes, to, left - RAIL * (lane + 1), left, _sources(rank, to, forward=False))
        for to, lane in on_the_left.items()
    ]
    return Diagram(
        boxes=list(boxes.values()),
        rails=rails,
        steps=[
            _step(boxes[was], boxes[to])
            for was, to in zip(order, order[1:], strict=False)
            if to in NEXT[was]
        ],
        moves=[
            Move(was, to, WHY.get((was, to), ""))
            for was in order
            for to in order
            if to in NEXT[was]
        ],
        width=right + RAIL * (2 + max(on_the_right.values(), default=-1)),
        height=MARGIN * 2 + ROW * (len(order) - 1) + BOX_HEIGHT,
    )


def in_order() -> list[Status]:
    """Each state after those that lead to it, as far as none leads back; the ends below all."""
    depth = dict.fromkeys(Status, 0)
    forward = {(was, to) for was in Status for to in NEXT[was] if not _leads(to, was)}
    for _ in Status:
        for was, to in forward:
            depth[to] = max(depth[to], depth[was] + 1)
    return sorted(Status, key=lambda s: (s in FINAL, depth[s], list(Status).index(s)))


def _leads(start: Status, end: Status) -> bool:
    """Whether one may come from the one to the other and the other was defined before it."""
    order = list(Status)
    if order.index(start) > order.index(end):
        return False
    seen, todo = {start}, [start]
    while todo:
        for status in NEXT[todo.pop()] - seen:
            seen.add(status)
            todo.append(status)
    return end in seen


def _sources(rank: dict[Status, int], to: Status, *, forward: bool) -> list[Status]:
    """From where a rail leads to a state; what stands right above it has a plain step."""
    found = [was for was in rank if to in NEXT[was]]
    if forward:
        return [was for was in found if rank[was] < rank[to] - 1]
    return [was for was in found if rank[was] > rank[to]]


def _lanes(sources: dict[Status, list[Status]], rank: dict[Status, int]) -> dict[Status, int]:
    """The innermost lane for each rail in which it crosses no other; the short ones first."""
    spans = {
        to: (min(ranks), max(ranks))
        for to, found in sources.items()
        if found and (ranks := [rank[s] for s in (*found, to)])
    }
    lanes: dict[Status, int] = {}
    for to, span in sorted(spans.items(), key=lambda item: item[1][1] - item[1][0]):
        taken = {lanes[other] for other in lanes if _overlap(span, spans[other])}
        lanes[to] = next(lane for lane in range(len(Status)) if lane not in taken)
    return lanes


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _rail(
    boxes: dict[Status, Box], to: Status, x: int, side: int, sources: Iterable[Status]
) -> Rail:
    dots = [boxes[status].middle + APART for status in sources]
    return Rail(boxes[to], x, side, TONE[to], dots)


def _step(above: Box, below: Box) -> str:
    x, y = above.x + BOX_WIDTH // 2, below.y
    return f"M{x} {above.y + BOX_HEIGHT}V{y - 7}m-4 0h8l-4 7z"
