"""Two people settle what M-Pesa doesn't tell: one says what became of it, another agrees.

M-Pesa's own evidence always wins. If it comes first, `evidence` refuses the proposal; if it comes
later and says otherwise, it opens a case like any other contradiction.
"""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from disbursements import audited, cases, evidence, history
from disbursements.approval import NotAllowed
from disbursements.models import Attempt, Disbursement, Inquiry, Settlement
from disbursements.states import Status
from paymentvault.models import User
from paymentvault.wording import with_stop

Outcome, State = Settlement.Outcome, Settlement.State

# Sooner than this a payout may still be under way: M-Pesa has said nothing, not "no".
LEAST_QUESTIONS = 2
LEAST_AGE = timedelta(minutes=30)
# "Not paid" lets it be paid anew, so silence counts only after a day.
LEAST_SILENCE = timedelta(hours=24)
# It isn't a code of M-Pesa's, so no sweeper ever tries such a failure again by itself.
CODE = "settled"
TWO_SAY = "Two people say that it was not paid."
# People read M-Pesa's statement to the minute, and its clock isn't ours.
CLOCKS_DIFFER_BY = timedelta(minutes=2)
# What two people answer when they settle it. A contradiction is about another request as well.
ANSWERED_BY_IT = (
    "still_in_doubt",
    "callback_disagrees",
    "status_disagrees",
    "callback_not_understood",
)


def why_not_yet(attempt: Attempt, outcome: str) -> str:
    """Why nobody may settle it so now, since it may be under way still; "" if they may."""
    return _why_not_failed_yet(attempt) if outcome == Outcome.FAILED else _why_not_paid_yet(attempt)


def _why_not_failed_yet(attempt: Attempt) -> str:
    since = attempt.sent_at or attempt.created_at
    age = timezone.now() - since
    answers = attempt.inquiries.filter(kind=Inquiry.Kind.STATUS).exclude(result_code="").count()
    if age >= LEAST_SILENCE or (age >= LEAST_AGE and answers >= LEAST_QUESTIONS):
        return ""
    missing = []
    if age < LEAST_AGE:
        missing.append(f"30 minutes after it was sent, {_time(since + LEAST_AGE)}")
    if answers < LEAST_QUESTIONS:
        missing.append(
            f"M-Pesa's result to {_times(LEAST_QUESTIONS, 'question')} about it (so far "
            f"{_times(answers, 'result')})"
        )
    return (
        "It can't be settled as not paid yet: it may still be under way. Wait for "
        f"{' and for '.join(missing)}, or else until {_time(since + LEAST_SILENCE)}, a day after "
        "it was sent."
    )


def _why_not_paid_yet(attempt: Attempt) -> str:
    since = attempt.sent_at or attempt.created_at
    if timezone.now() - since >= LEAST_AGE:
        return ""
    asked = attempt.inquiries.filter(answer_code="0").count()
    if asked >= LEAST_QUESTIONS:
        return ""
    return (
        f"It may still be under way. M-Pesa has been asked {_often(asked)}; wait until it has been "
        f"asked {_often(LEAST_QUESTIONS)}, or until {_time(since + LEAST_AGE)}, 30 minutes after "
        "it was sent."
    )


def waiting(disbursement: Disbursement) -> Settlement | None:
    """The proposal that waits for a second person."""
    proposed = disbursement.settlements.filter(state=State.PROPOSED)
    return proposed.select_related("proposed_by").first()


@transaction.atomic
def propose(
    disbursement: Disbursement,
    *,
    outcome: str,
    evidence_words: str,
    by: User,
    receipt: str = "",
    paid_at: datetime | None = None,
    seen_attempt: int | None = None,
    source_address: str | None = None,
) -> Settlement:
    """Say what became of a payout in doubt; nothing follows before another person agrees.

    `seen_attempt` is the attempt that the person looked up.
    """
    attempt = _in_doubt(disbursement)
    if seen_attempt is not None and seen_attempt != attempt.pk:
        raise NotAllowed(
            "Another request is in doubt now than when you opened this page. Go back and look that "
            "one up."
        )
    if words := why_not_yet(attempt, outcome):
        raise NotAllowed(words)
    if outcome == Outcome.PAID:
        _must_be_plausible(attempt, receipt, paid_at)
    try:
        with transaction.atomic():
            made = Settlement.objects.create(
                disbursement=attempt.disbursement, attempt=attempt, outcome=outcome,
                mpesa_receipt=receipt, paid_at=paid_at, evidence=evidence_words, proposed_by=by,
            )  # fmt: skip
    except IntegrityError as error:
        raise NotAllowed("Another proposal waits for a second person already.") from error
    history.note(
        attempt.disbursement,
        f"Settlement proposed: {in_words(made)}. {with_stop(evidence_words)}",
        by=str(by),
    )
    _record("proposed", made, by, source_address, evidence=evidence_words)
    return made


@transaction.atomic
def confirm(
    settlement: Settlement, *, by: User, note: str = "", source_address: str | None = None
) -> str:
    """Agree as the second person, and let it count; returns what came of it, in words."""
    attempt = evidence.locked(settlement.attempt)
    settlement = _proposed(settlement)
    if settlement.proposed_by_id == by.pk:
        raise NotAllowed("Someone else must confirm what you proposed.")
    if attempt.disbursement.status != Status.IN_DOUBT:
        raise NotAllowed(_no_longer(attempt.disbursement))
    if words := why_not_yet(attempt, settlement.outcome):
        raise NotAllowed(words)
    # Before the evidence, which refuses what it overtakes.
    _decide(settlement, State.CONFIRMED, by, note)
    words = _let_it_count(settlement, attempt, by, note)
    for kind in ANSWERED_BY_IT:
        closing = f"Settled by {settlement.proposed_by} and {by}: {in_words(settlement)}."
        cases.close_cases(kind, by=str(by), note=closing, disbursement=attempt.disbursement)
    _record("confirmed", settlement, by, source_address, note=note)
    if settlement.outcome == Outcome.PAID:
        return words
    if cases.money_may_have_moved(attempt.disbursement):
        return f"{words} {cases.NEVER_AGAIN}"
    return f"{words} It can be retried or cancelled."


@transaction.atomic
def refuse(
    settlement: Settlement, *, by: User, note: str, source_address: str | None = None
) -> None:
    """Disagree, or withdraw one's own proposal: it stays in doubt, and M-Pesa is asked on."""
    attempt = evidence.locked(settlement.attempt)
    settlement = _proposed(settlement)
    _decide(settlement, State.REFUSED, by, note)
    what = "withdrawn" if settlement.proposed_by_id == by.pk else "refused"
    history.note(
        attempt.disbursement,
        f"Settlement {what}: {in_words(settlement)}. {with_stop(note)}",
        by=str(by),
    )
    _record(what, settlement, by, source_address, note=note)


def why_not_decide(settlement: Settlement) -> str:
    """Why a proposal can't be confirmed or refused any more; "" if it waits."""
    if settlement.state == State.PROPOSED:
        return ""
    who = settlement.decided_by or "M-Pesa's own answer, which came first"
    return f"The proposal was {settlement.get_state_display().lower()} already by {who}."


def in_words(settlement: Settlement) -> str:
    if settlement.outcome == Outcome.FAILED:
        return "not paid, and it won't be"
    at = f"{timezone.localtime(settlement.paid_at):%-d %B %Y %H:%M}" if settlement.paid_at else ""
    return f"paid, receipt {settlement.mpesa_receipt}, {at}"


def _in_doubt(disbursement: Disbursement) -> Attempt:
    """The attempt in question, locked as evidence locks it."""
    attempt = disbursement.live_attempt()
    if attempt is None:
        raise NotAllowed(_no_longer(disbursement))
    attempt = evidence.locked(attempt)
    if attempt.disbursement.status != Status.IN_DOUBT:
        raise NotAllowed(_no_longer(attempt.disbursement))
    return attempt


def _proposed(settlement: Settlement) -> Settlement:
    locked = (
        Settlement.objects.select_for_update(of=("self",), no_key=True)
        .select_related("proposed_by", "decided_by", "disbursement__partner")
        .get(pk=settlement.pk)
    )
    if words := why_not_decide(locked):
        raise NotAllowed(words)
    return locked


def _must_be_plausible(attempt: Attempt, receipt: str, paid_at: datetime | None) -> None:
    """Raise NotAllowed unless it can be the receipt, and the time, of this very payout."""
    if not evidence.RECEIPT.fullmatch(receipt):
        raise NotAllowed("A receipt is 8 to 20 capital letters and digits, as in TJM7ABCDEF.")
    if other := _paid_by(receipt, attempt):
        # Of another partner's it is told that it is there, and nothing more.
        is_ours = other.partner_id == attempt.disbursement.partner_id
        whose = other.reference if is_ours else "another disbursement"
        raise NotAllowed(f"The receipt {receipt} is {whose}'s already.")
    since = (attempt.sent_at or attempt.created_at) - CLOCKS_DIFFER_BY
    if paid_at is None or not since <= paid_at <= timezone.now() + CLOCKS_DIFFER_BY:
        raise NotAllowed(
            "The time must lie between when it was sent, "
            f"{timezone.localtime(since + CLOCKS_DIFFER_BY):%-d %B %H:%M}, and now."
        )


def _paid_by(receipt: str, attempt: Attempt) -> Disbursement | None:
    """The other disbursement that a receipt belongs to."""
    taken = Disbursement.objects.filter(mpesa_receipt=receipt).exclude(pk=attempt.disbursement_id)
    return taken.first()


def _let_it_count(settlement: Settlement, attempt: Attempt, by: User, note: str) -> str:
    """As if M-Pesa had said it, in the same transaction."""
    found = f"{with_stop(settlement.evidence)} {with_stop(note)}".strip()
    why = f"Settled by {settlement.proposed_by} and {by}. {found}"
    if settlement.outcome == Outcome.FAILED:
        evidence.failed(attempt, code=CODE, words=why, by=str(by), note=f"{TWO_SAY} {why}")
        return TWO_SAY
    try:
        evidence.paid(
            attempt, receipt=settlement.mpesa_receipt, at=settlement.paid_at, by=str(by),
            note=f"M-Pesa receipt {settlement.mpesa_receipt}. {why}",
        )  # fmt: skip
    except IntegrityError as error:
        words = f"The receipt {settlement.mpesa_receipt} has paid another disbursement meanwhile."
        raise NotAllowed(words) from error
    return f"It is paid, receipt {settlement.mpesa_receipt}."


def _decide(settlement: Settlement, state: Settlement.State, by: User, note: str) -> None:
    settlement.state, settlement.decided_by = state, by
    settlement.decided_at, settlement.decision_note = timezone.now(), note
    settlement.save(update_fields=["state", "decided_by", "decided_at", "decision_note"])


def _no_longer(disbursement: Disbursement) -> str:
    status = Status(disbursement.status).label.lower()
    return f"{disbursement.reference} is {status}; only what is in doubt can be settled."


def _often(count: int) -> str:
    return {0: "not once", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _times(count: int, what: str) -> str:
    number = {0: "no", 1: "one", 2: "two"}.get(count, str(count))
    return f"{number} {what}{'' if count == 1 else 's'}"


def _time(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%-d %B %H:%M}"


def _record(
    what: str, settlement: Settlement, by: User, source_address: str | None, **detail: str
) -> None:
    disbursement = settlement.disbursement
    at = timezone.localtime(settlement.paid_at).isoformat() if settlement.paid_at else ""
    audited.record(
        f"settlement {what}", disbursement, by=str(by), source_address=source_address,
        outcome=settlement.outcome, receipt=settlement.mpesa_receipt, paid_at=at, **detail,
    )  # fmt: skip
