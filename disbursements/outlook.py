"""What intake would do with approved loans, told without writing anything."""

from collections.abc import Iterable
from dataclasses import dataclass

from disbursements import intake
from disbursements.holds import Hold, HoldReason, in_words
from disbursements.loans import LoanFacts
from disbursements.models import Disbursement
from disbursements.states import Status
from partners.models import MifosConnection


@dataclass(frozen=True)
class Prospect:
    """What would become of a loan; `status` is None where it is known here already."""

    facts: LoanFacts
    status: Status | None
    words: str


class Outlook:
    """Looks at one loan after the other, as intake would: the first may hold the second."""

    def __init__(self, connection: MifosConnection) -> None:
        self.connection = connection
        self._before: list[Disbursement] = []

    def of(self, facts: LoanFacts, *, found: Iterable[HoldReason] = ()) -> Prospect:
        earlier = list(
            Disbursement.objects.filter(connection=self.connection, loan_id=facts.loan_id)
        )
        if standing := intake.standing_of(earlier, facts):
            words = f"{standing.reference} is this loan's disbursement already."
            return Prospect(facts, None, words)
        drafted = intake.drafted(
            facts, earlier, connection=self.connection, origin=Disbursement.Origin.MIFOS_POLL
        )
        holds = [
            *found, *intake.reasons_in(facts), *intake.reasons_around(drafted, earlier),
            *self._twins(drafted),
        ]  # fmt: skip
        self._before.append(drafted)
        if holds:
            return Prospect(facts, Status.HELD, in_words(holds))
        if needs_person := intake.why_a_person_decides(drafted, self.connection.partner):
            return Prospect(facts, Status.AWAITING_APPROVAL, needs_person)
        return Prospect(facts, Status.APPROVED, "Every rule passes.")

    def _twins(self, drafted: Disbursement) -> list[HoldReason]:
        """Intake holds the second of two that look alike; here the first has no row yet."""
        key = (drafted.msisdn, drafted.amount)
        twin = next((d for d in self._before if (d.msisdn, d.amount) == key and d.msisdn), None)
        if twin is None:
            return []
        words = f"Loan {twin.loan_id} pays the same sum to the same number."
        return [HoldReason(Hold.LOOKS_LIKE_DUPLICATE, words)]
