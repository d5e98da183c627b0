"""What is unusual about a disbursement: what happened, whether money moved, what happens next, and
what not to do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils import timezone

from disbursements import cases, makers, settlement
from disbursements.holds import NOT_RELEASABLE, Hold
from disbursements.models import Case, Disbursement
from disbursements.pages.whole import Whole, theirs
from disbursements.results import Meaning, of
from disbursements.states import TONE, AttemptStatus, Status
from disbursements.tasks import MOST_ATTEMPTS, RETRIED_BY_THEMSELVES
from partners.models import MpesaShortcode
from paymentvault.models import User
from paymentvault.wording import with_stop

NOTHING_MOVED = "No money has moved."
MAY_HAVE_MOVED = (
    "Money may have moved for it. Look it up in the M-Pesa statement first, by the receipt in its "
    "case or by number, sum and day. Never pay it by another way before."
)
NOT_ANOTHER_WAY = "Don't pay it by another way meanwhile: the borrower may be paid twice."

HOLD_WORDS: dict[Hold, str] = {
    Hold.NO_NUMBER: "there is no phone number",
    Hold.BAD_NUMBER: "the phone number is wrong",
    Hold.TOP_UP: "it is a top-up",
    Hold.TRANCHES: "it is paid in tranches",
    Hold.NOT_INDIVIDUAL: "it is not an individual's loan",
    Hold.OTHER_CURRENCY: "it is in another currency",
    Hold.TRANSFER_CHARGES: "a charge is taken from savings",
    Hold.CLIENT_INACTIVE: "the client is not active",
    Hold.NOTHING_TO_PAY: "nothing is left to pay",
    Hold.NOT_WHOLE_SHILLINGS: "the sum is not in whole shillings",
    Hold.NET_DISAGREES: "the sums in Mifos X disagree",
    Hold.PAYLOAD_DISAGREES: "the message and the loan disagree",
    Hold.BELOW_PARTNER_MIN: "it is below the partner's smallest sum",
    Hold.ABOVE_PARTNER_MAX: "it is above the partner's largest sum",
    Hold.BELOW_MPESA_MIN: "it is below M-Pesa's minimum",
    Hold.ABOVE_MPESA_MAX: "it is above M-Pesa's maximum",
    Hold.ABOVE_DAILY_MAX: "it is above M-Pesa's daily limit for the number",
    Hold.BEFORE_SWITCH_ON: "it was approved before the connection was switched on",
    Hold.PARTNER_INACTIVE: "the partner is not active",
    Hold.EARLIER_DISBURSEMENT: "an earlier one of the loan was stopped by a person",
    Hold.LOOKS_LIKE_DUPLICATE: "it looks like another one",
    Hold.CHANGED_SINCE_APPROVAL: "it changed in Mifos X since the approval",
    Hold.MAY_BE_PAID: "money may have moved for it already",
}


@dataclass(frozen=True)
class Notice:
    """What happened stands first; the code is M-Pesa's or Mifos X's own, for those who ask them."""

    tone: str
    what: str
    more: str = ""
    code: str = ""
    links: tuple[tuple[str, str], ...] = ()
    """What to press, for who may: address and words."""


def moved(one: Disbursement) -> str:
    """Whether money has moved for one that isn't paid, as far as anybody knows."""
    if vars(one)["must_be_looked_up"]:
        return MAY_HAVE_MOVED
    return settlement.TWO_SAY if one.failure_code == settlement.CODE else NOTHING_MOVED


def hold_words(holds: list[str]) -> str:
    """Short words for holds: "it is a top-up, the client is not active"."""
    known = {str(hold): words for hold, words in HOLD_WORDS.items()}
    return ", ".join(known.get(hold, hold.replace("_", " ")) for hold in holds)


def notices(whole: Whole, user: User) -> list[Notice]:
    """The open cases first: they are what a person must settle."""
    partner = whole.disbursement.partner
    may_close = user.has_perm("disbursements.change_case", partner)
    found = [
        _case(case, may_close=may_close and not cases.why_not_close(case, user))
        for case in whole.open_cases
    ]
    if whole.status == Status.IN_DOUBT and whole.proposal:
        found.append(_proposal(whole, user))
    return [*found, _OF_STATUS[whole.status](whole, user)]


def _case(case: Case, *, may_close: bool) -> Notice:
    tone = "bad" if case.kind in cases.MONEY_IN_QUESTION else "warn"
    close = (reverse("cases:close", args=[case.pk]), "Close this case…")
    links = (close,) if may_close else ()
    return Notice(tone, f"Open case: {cases.kind_of(case).label}.", case.words, links=links)


def _proposal(whole: Whole, user: User) -> Notice:
    proposal = whole.proposal
    assert proposal is not None  # noqa: S101 -- the caller looked
    is_own = proposal.proposed_by == user
    who = "You propose" if is_own else f"{proposal.proposed_by} proposes"
    others = "Someone else" if is_own else "A second person"
    ways = {"refuse": "Withdraw it…"} if is_own else {
        "confirm": "Check and confirm…", "refuse": "Refuse it…",
    }  # fmt: skip
    at = [whole.disbursement.pk, proposal.pk]
    links = ((reverse(f"disbursements:settle-{way}", args=at), ways[way]) for way in ways)
    may_settle = user.has_perm("disbursements.settle_disbursement", whole.disbursement.partner)
    return Notice(
        "warn",
        f"{who} to settle it as {settlement.in_words(proposal)}.",
        f"Evidence: {with_stop(proposal.evidence)} {others} must check it and confirm. Until then "
        "nothing follows, and should M-Pesa's own answer come first, that one counts.",
        links=tuple(links) if may_settle else (),
    )


def _received(whole: Whole, user: User) -> Notice:
    words = f"{moved(whole.disbursement)} It is decided within seconds whether it can be paid."
    return Notice(TONE[Status.RECEIVED], "It has just come in.", words)


def _awaiting(whole: Whole, user: User) -> Notice:
    why = with_stop(whole.last_move.note) if whole.last_move else ""
    if words := makers.why_not(whole.disbursement, user):
        following = words
    else:
        following = "Once it is approved, M-Pesa is asked at once to pay it."
    words = f"{why} {moved(whole.disbursement)} {following}"
    return Notice("wait", "It waits for a person's approval.", words)


def _held(whole: Whole, user: User) -> Notice:
    one = whole.disbursement
    stuck = [hold for hold in one.holds if hold in NOT_RELEASABLE]
    free = [hold for hold in one.holds if hold not in NOT_RELEASABLE]
    following = _put_right(whole, stuck) if stuck else ""
    if stuck and free:
        following += f" The rest could be released: {hold_words(free)}."
    elif free:
        following = "Release it, if it is right to pay it in spite of that, or cancel it."
    if whole.is_in_question:
        following = cases.NOT_FROM_HERE
    return Notice("warn", f"It is held. {one.hold_words}", f"{moved(one)} {following}")


def _put_right(whole: Whole, stuck: list[str]) -> str:
    words = f"It can't be paid as it stands, since {hold_words(stuck)}."
    if not whole.disbursement.connection_id:
        return f"{words} Cancel it and enter it anew."
    return (
        f"{words} Put it right in Mifos X, then cancel it here: the next look at Mifos X takes the "
        "loan in anew, for a person to release."
    )


def _approved(whole: Whole, user: User) -> Notice:
    one, attempt = whole.disbursement, whole.attempt
    said = moved(one)
    if said == NOTHING_MOVED and attempt and attempt.status == AttemptStatus.NOT_SENT:
        said = "No money has moved: the request provably didn't leave us."
    if one.waits_for:
        following = f"It is tried again by itself {_when(one.due_at)}."
        return Notice("warn", f"It is approved but waits: {one.waits_for}", f"{said} {following}")
    return Notice("busy", "It is approved and goes next.", f"{said} M-Pesa is asked to pay it as "
                  "soon as its turn comes.")  # fmt: skip


def _sending(whole: Whole, user: User) -> Notice:
    return Notice("busy", "Its request is on the way to M-Pesa.", "Money may move at any moment. "
                  "Should no answer come, M-Pesa is asked what became of it. "
                  f"{NOT_ANOTHER_WAY}")  # fmt: skip


def _sent(whole: Whole, user: User) -> Notice:
    due_at = whole.disbursement.due_at
    return Notice("busy", "M-Pesa has accepted the request and is paying it.",
                  "Money may have moved; M-Pesa's result says whether it did, usually within "
                  f"seconds. Should it stay silent, it is asked {_when(due_at)}. "
                  f"{NOT_ANOTHER_WAY}")  # fmt: skip


def _in_doubt(whole: Whole, user: User) -> Notice:
    attempt = whole.attempt
    left = ""
    if attempt and attempt.sent_at:
        left = f"The request left us {_at(attempt.sent_at)}. "
    if attempt and attempt.answer_words:
        left += f"What came back: {with_stop(attempt.answer_words)} "
    following = f"{left}Money may have moved. {_questions(whole)}"
    return Notice("warn", "M-Pesa has not said whether this was paid.",
                  f"{following} Don't send it again by hand or by another way: the borrower may be "
                  "paid twice.", code=theirs(attempt.answer_code if attempt else ""))  # fmt: skip


def _questions(whole: Whole) -> str:
    """When M-Pesa was asked and will be asked."""
    attempt, asked = whole.attempt, [i for i in whole.inquiries if i.sent_at]
    if attempt and attempt.shortcode.pause == MpesaShortcode.Pause.CONFIGURATION:
        return (
            f"M-Pesa can't be asked while shortcode {attempt.shortcode.shortcode} is paused for "
            "its credential: put that right first."
        )
    before = "M-Pesa has not been asked yet"
    if asked and asked[-1].sent_at:
        before = f"M-Pesa was last asked {_at(asked[-1].sent_at)}"
    return f"{before}; it is asked by itself {_when(whole.disbursement.due_at)}."


def _failed(whole: Whole, user: User) -> Notice:
    one = whole.disbursement
    if whole.is_in_question:
        what = with_stop(one.failure_words) or "It failed."
        following = f"{moved(one)} {cases.NOT_FROM_HERE}"
        return Notice("bad", what, following, code=one.failure_code)
    if one.failure_code == settlement.CODE:
        following = (
            "M-Pesa itself has not said so: should it have paid after all, a retry pays the "
            "borrower twice. Retry it or cancel it."
        )
        return Notice("bad", settlement.TWO_SAY, f"{with_stop(one.failure_words)} {following}")
    return Notice(
        "bad", f"M-Pesa did not pay it: {with_stop(one.failure_words)}",
        f"{moved(one)} {_after_failure(whole)}", code=one.failure_code,
    )  # fmt: skip


def _after_failure(whole: Whole) -> str:
    code = whole.disbursement.failure_code
    if code in RETRIED_BY_THEMSELVES and len(whole.attempts) < MOST_ATTEMPTS:
        return "It is tried again by itself once the shortcode has float again."
    following = {
        Meaning.RECIPIENT: "Ask the borrower to put that right, then retry it, or cancel it.",
        Meaning.CONFIGURATION: "Put the shortcode's settings right and resume it, then retry this.",
        Meaning.AMOUNT: "The same sum would fail again: cancel it, and settle another way with the "
        "lender.",
    }
    return following.get(of(code).meaning, "Retry it, or cancel it.")


def _paid(whole: Whole, user: User) -> Notice:
    one = whole.disbursement
    if not one.connection_id:
        return Notice("ok", "The borrower has the money.", "It was entered by hand, so there is no "
                      "loan in Mifos X to record it at. Nothing is left to do.")  # fmt: skip
    if not one.recording_error:
        return Notice("ok", "The borrower has the money.", "It is being recorded in Mifos X. "
                      "Never pay it again.")  # fmt: skip
    return Notice(
        "warn", f"The borrower has the money, but Mifos X doesn't show it: {one.recording_error}",
        f"Recording was tried {one.recording_tries} times and is tried again by itself "
        f"{_when(one.due_at)}. Put it right in Mifos X, or record it again from here. Never pay it "
        "again.",
        code=one.recording_error_code,
    )  # fmt: skip


def _recorded(whole: Whole, user: User) -> Notice:
    return Notice("ok", "The borrower has the money, and Mifos X shows it.", "Nothing is left to "
                  "do.")  # fmt: skip


def _over(whole: Whole, user: User) -> Notice:
    last, attempt = whole.last_move, whole.attempt
    what = f"It was {whole.status.label.lower()}."
    if last:
        what = f"It was {whole.status.label.lower()} by {last.by}. {last.note}"
    if attempt and attempt.status == AttemptStatus.PAID:
        receipt = f"Yet M-Pesa paid it, receipt {attempt.receipt}."
        return Notice("bad", what, f"{receipt} Money has moved: never pay it again.")
    unsure = moved(whole.disbursement)
    tone = "warn" if unsure == MAY_HAVE_MOVED else "wait"
    return Notice(tone, what, f"{unsure} {_after_its_end(whole)}")


def _after_its_end(whole: Whole) -> str:
    one = whole.disbursement
    if not one.connection_id:
        return "It is over for good; to pay it after all, enter it anew."
    if one.is_approval_over:
        return "Should the loan be approved in Mifos X, still or again, it comes in anew."
    return (
        "This approval won't be paid. To pay the loan after all, undo its approval in Mifos X and "
        "approve it again."
    )


_OF_STATUS: dict[Status, Callable[[Whole, User], Notice]] = {
    Status.RECEIVED: _received,
    Status.AWAITING_APPROVAL: _awaiting,
    Status.HELD: _held,
    Status.APPROVED: _approved,
    Status.SENDING: _sending,
    Status.SENT: _sent,
    Status.IN_DOUBT: _in_doubt,
    Status.FAILED: _failed,
    Status.PAID: _paid,
    Status.RECORDED: _recorded,
    Status.REJECTED: _over,
    Status.CANCELLED: _over,
}


def _at(moment: datetime) -> str:
    """ "at 14:03:11", with the day where that isn't today."""
    local = timezone.localtime(moment)
    day = "" if local.date() == timezone.localdate() else f"on {local:%-d %B} "
    return f"{day}at {local:%H:%M:%S}"


def _when(moment: datetime) -> str:
    return _at(moment) if moment > timezone.now() else "within seconds"
