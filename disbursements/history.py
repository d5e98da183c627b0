"""Lines of history that move nothing: what people did about a disbursement, and said of it."""

from disbursements.models import Disbursement, Transition


def note(disbursement: Disbursement, words: str, *, by: str) -> Transition:
    """Tell an act that leaves the status as it is; such a line leads from a status to itself."""
    status = disbursement.status
    return disbursement.transitions.create(old=status, new=status, by=by, note=words)
