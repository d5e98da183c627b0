"""Approve the demo's loans, watch them end, and hold the outside worlds' books against ours."""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator

from disbursements.models import Disbursement
from disbursements.states import Status
from mifos.demo.scenarios import SCENARIOS, Loan, Scenario
from mifos.demo.world import Outside
from mifos.models import Event
from partners.models import Partner

LONGEST_S = 100.0
# What a hook that tells of nothing is given to do harm.
PATIENCE_S = 5.0

Say = Callable[[str], None]


class Run:
    def __init__(self, partner: Partner, outside: Outside, say: Say) -> None:
        self.partner, self.outside, self.say = partner, outside, say
        self.loans: list[Loan] = []
        # Other numbers each time: M-Pesa's daily limit counts across runs in one database.
        self.series = secrets.randbelow(10_000)

    def play(self) -> bool:
        """Whether everything ended as it should, here and in both outside worlds."""
        self.loans = [self._approve(n, scenario) for n, scenario in enumerate(SCENARIOS)]
        self.say(_line("loan", "KES", "status", "receipt", "s", "what went wrong, and what came"))
        for loan in self._as_they_end():
            self._tell(loan)
        problems = [*self._unfinished(), *self._wrong_payments(), *self._wrong_loans()]
        for problem in problems:
            self.say(f"WRONG: {problem}")
        return not problems

    def _approve(self, number: int, scenario: Scenario) -> Loan:
        phone = f"07{self.series:04}{number:04}"
        mifos, msisdn = self.outside.mifos, f"254{phone[1:]}"
        client = mifos.post("clients", name=_NAMES[number % len(_NAMES)],
                            mobile=phone if scenario.has_phone else None)["id"]  # fmt: skip
        loan_id = mifos.post("loans", client_id=client, principal=scenario.principal,
                             fees=scenario.fees)["id"]  # fmt: skip
        if scenario.mpesa:
            self.outside.safaricom.post("plan", msisdn=msisdn, faults=list(scenario.mpesa))
        if scenario.disburse:
            mifos.post("plan", faults=list(scenario.disburse), loan_id=loan_id, command="disburse")
        mifos.post(f"loans/{loan_id}/approve", faults=list(scenario.hook))
        return Loan(scenario, loan_id, msisdn, time.monotonic())

    def _as_they_end(self) -> Iterator[Loan]:
        waiting = list(self.loans)
        deadline = time.monotonic() + LONGEST_S
        while waiting and time.monotonic() < deadline:
            for loan in list(waiting):
                self._undo_if_due(loan)
                if self._has_ended(loan):
                    loan.seconds = time.monotonic() - loan.approved_at
                    waiting.remove(loan)
                    yield loan
            time.sleep(0.2)

    def _undo_if_due(self, loan: Loan) -> None:
        """Once M-Pesa's gateway was too busy, the loan waits: now its approval is undone."""
        row = self._row(loan)
        if not loan.scenario.undone or loan.is_undone or row is None:
            return
        if row.attempts.filter(status="not_sent").exists():
            self.outside.mifos.post(f"loans/{loan.loan_id}/undo_approval")
            loan.is_undone = True

    def _has_ended(self, loan: Loan) -> bool:
        row = self._row(loan)
        if loan.scenario.ends is None:
            return time.monotonic() - loan.approved_at > PATIENCE_S
        return row is not None and row.status == loan.scenario.ends

    def _row(self, loan: Loan) -> Disbursement | None:
        return Disbursement.objects.filter(partner=self.partner, loan_id=loan.loan_id).first()

    def _tell(self, loan: Loan) -> None:
        row = self._row(loan)
        status = row.get_status_display() if row else "No disbursement"
        words = f"{loan.scenario.title}. {self._outcome(loan, row)}"
        receipt = row.mpesa_receipt if row else ""
        self.say(_line(loan.loan_id, f"{loan.scenario.principal - loan.scenario.fees:,}", status,
                       receipt, f"{loan.seconds:.1f}", words))  # fmt: skip

    def _outcome(self, loan: Loan, row: Disbursement | None) -> str:
        if row is None:
            event = Event.objects.filter(
                connection__partner=self.partner, loan_id=loan.loan_id
            ).first()
            return event.outcome if event else "Nothing came of it."
        if row.status in (Status.HELD, Status.FAILED, Status.CANCELLED):
            last = row.transitions.last()
            return last.note if last else ""
        paid = row.transitions.filter(new=Status.PAID).first()
        hooks = row.events.filter(action="APPROVE").count()
        how = {0: "Found by polling.", 1: "One hook."}.get(hooks, f"{hooks} hooks, one payment.")
        return f"{how} {paid.note if paid else ''}"

    # -- the books of both outside worlds

    def _unfinished(self) -> Iterator[str]:
        for loan in self.loans:
            row = self._row(loan)
            status = Status(row.status) if row else None
            if loan.seconds is None or status != loan.scenario.ends:
                yield f"loan {loan.loan_id} ({loan.scenario.title}) is {status and status.label}"

    def _wrong_payments(self) -> Iterator[str]:
        """Nobody paid twice, nobody paid who shouldn't be, and everyone the right sum."""
        expected = {loan.msisdn: loan.scenario.pays for loan in self.loans if loan.scenario.pays}
        # Somebody may be setting a lender of their own up meanwhile.
        ours = set(self.partner.shortcodes.values_list("shortcode", flat=True))
        ledger = [payment for payment in self.outside.ledger() if payment["shortcode"] in ours]
        times = Counter(payment["msisdn"] for payment in ledger)
        for payment in ledger:
            msisdn, amount = payment["msisdn"], payment["amount"]
            if expected.get(msisdn) != amount:
                yield f"{msisdn} got KES {amount}, not KES {expected.get(msisdn, 0)}"
        yield from (f"{msisdn} was paid {n} times" for msisdn, n in times.items() if n > 1)
        yield from (f"{msisdn} was not paid" for msisdn in expected if msisdn not in times)
        self.say(f"\nSafaricom's ledger: {len(ledger)} payments to {len(times)} people, "
                 f"KES {sum(p['amount'] for p in ledger):,}.")  # fmt: skip

    def _wrong_loans(self) -> Iterator[str]:
        """Paid loans are active with our receipt, the others are not active."""
        loans, active = self.outside.loans(), 0
        for loan in self.loans:
            row, theirs = self._row(loan), loans[loan.loan_id]
            is_active = theirs["status"] == 300
            active += is_active
            if is_active != bool(loan.scenario.pays):
                yield f"loan {loan.loan_id} has status {theirs['status']} in Mifos X"
            elif is_active and (row is None or theirs["receipts"] != [row.mpesa_receipt]):
                yield f"loan {loan.loan_id} shows the receipts {theirs['receipts']}"
        self.say(f"Mifos X's loans: {active} of {len(self.loans)} active with our receipt.")


def _line(loan: object, amount: str, status: str, receipt: str, seconds: str, words: str) -> str:
    return f"{loan!s:>5} {amount:>9}  {status:<16}{receipt:<12}{seconds:>5}  {words}"


_NAMES = [
    "Amina Otieno", "Baraka Mwangi", "Chege Kamau", "Dorcas Wanjiru", "Elijah Kiprono",
    "Fatuma Hassan", "Grace Achieng", "Hamisi Juma", "Irene Muthoni", "Joseph Odhiambo",
    "Khadija Ali", "Lucy Njeri", "Moses Kibet",
]  # fmt: skip
