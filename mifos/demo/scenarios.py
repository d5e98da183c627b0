"""The loans of the demo: what goes wrong with each, and how each must end."""

from dataclasses import dataclass, field

from disbursements.states import Status

RECORDED, HELD, FAILED, CANCELLED = Status.RECORDED, Status.HELD, Status.FAILED, Status.CANCELLED


@dataclass(frozen=True)
class Scenario:
    """One loan. `ends` is None where nothing may come of it."""

    title: str
    ends: Status | None = RECORDED
    principal: int = 10_000
    fees: int = 0
    has_phone: bool = True
    hook: tuple[str, ...] = ()
    mpesa: tuple[str, ...] = ()
    disburse: tuple[str, ...] = ()
    undone: bool = False

    @property
    def pays(self) -> int:
        """What the borrower must have in the end, in KES."""
        return self.principal - self.fees if self.ends == RECORDED else 0


SCENARIOS = [
    Scenario("Everything goes well"),
    Scenario("Fees are taken at disbursement", principal=20_000, fees=750),
    Scenario("The hook is lost", principal=11_000, hook=("lost_hook",)),
    Scenario("The hook comes three times", principal=12_000, hook=("hook_times:3",)),
    Scenario("M-Pesa's callback is lost", principal=13_000, mpesa=("lost_callback",)),
    Scenario(
        "The callback comes twice, before the answer",
        principal=14_000, mpesa=("callback_before_answer+double_callback",),
    ),
    Scenario(
        "The request dies unanswered after M-Pesa took it",
        principal=15_000, mpesa=("answer_lost_no_callback",),
    ),
    Scenario("M-Pesa refuses the number", FAILED, principal=16_000, mpesa=("result:2040",)),
    Scenario("It is over the partner's limit", HELD, principal=150_000),
    Scenario("The client has no phone number", HELD, principal=17_000, has_phone=False),
    Scenario(
        "Its approval is undone before payment",
        CANCELLED, principal=18_000, mpesa=("spike_arrest",), undone=True,
    ),
    Scenario(
        "Mifos X is busy when it is recorded", principal=19_000, disburse=("conflict_409",)
    ),
    Scenario("A hook tells of an approval that failed", None, principal=21_000, hook=("phantom",)),
]  # fmt: skip


@dataclass
class Loan:
    """A scenario's loan in the pretend Mifos X, and when it was approved."""

    scenario: Scenario
    loan_id: int
    msisdn: str
    approved_at: float
    seconds: float | None = None
    is_undone: bool = False
    problems: list[str] = field(default_factory=list)
