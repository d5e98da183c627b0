"""Notes on a loan."""

from typing import TYPE_CHECKING, Any

from paymentvault.sandbox.mifos_body import Body
from paymentvault.sandbox.mifos_bus import Outcome
from paymentvault.sandbox.mifos_commands import found
from paymentvault.sandbox.mifos_values import compact, enum

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos


def add(world: "Mifos", raw: dict[str, Any], loan_id: int) -> Outcome:
    body = Body(raw, resource="note", allowed=("note",))
    text = body.text("note", longest=1000, required=True)
    body.done()
    loan = found(world, loan_id)
    resource = _id(loan_id, len(loan.notes))
    result = {"officeId": 1, "clientId": loan.client_id, "resourceId": resource}
    return Outcome(compact(result), lambda: loan.notes.append(text or ""))


def listed(world: "Mifos", loan_id: int) -> list[dict[str, Any]]:
    loan = found(world, loan_id)
    return [
        compact(
            {
                "id": _id(loan_id, place),
                "clientId": loan.client_id,
                "loanId": loan.id,
                "noteType": enum(200, "noteType.loan", "Loan note"),
                "note": text,
                "createdById": 1,
                "createdByUsername": "mifos",
            }
        )
        for place, text in enumerate(loan.notes)
    ]


def _id(loan_id: int, place: int) -> int:
    return loan_id * 100 + place
