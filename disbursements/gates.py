"""What may keep an approved disbursement from being sent: for a while, as it stands, or for good.

Looked at early, before the slow re-read of the loan, and again in the transaction that claims it.
"""

from datetime import timedelta

from django.utils import timezone

from disbursements import cases, limits, loans, shortcodes
from disbursements.holds import Hold, HoldReason, in_words
from disbursements.intake import reasons_in
from disbursements.loans import LoanFacts
from disbursements.models import Attempt, Disbursement
from disbursements.msisdn import normalise
from partners.models import MpesaShortcode, Partner
from paymentvault.http import RemoteError
from paymentvault.models import KillSwitch
from paymentvault.wording import with_stop


class Wait(Exception):
    """It can't go now; it is tried again later."""

    def __init__(self, words: str, *, seconds: int = 30) -> None:
        super().__init__(words)
        self.delay = timedelta(seconds=seconds)


class Stop(Exception):
    """It must not go as it stands."""

    def __init__(self, *reasons: HoldReason) -> None:
        super().__init__(in_words(list(reasons)))
        self.reasons = list(reasons)


class ApprovalOver(Exception):
    """The loan is no longer approved and waiting for its money."""


def ready_shortcode(disbursement: Disbursement) -> MpesaShortcode:
    """The shortcode to pay from, or the reason why nothing can be paid now."""
    earlier = disbursement.live_attempt()
    shortcode = earlier.shortcode if earlier else shortcodes.default_of(disbursement.partner)
    if shortcode is None:
        raise Wait("The partner has no active default shortcode. Set one up.", seconds=60)
    check(shortcode)
    _check_rest(earlier)
    if not shortcodes.has_float_for(shortcode, disbursement.amount):
        raise Wait(f"The float of KES {shortcode.utility_balance:,.2f} is too small.", seconds=60)
    return shortcode


def check(shortcode: MpesaShortcode) -> None:
    """Raise Wait if nothing may leave now; asked early, and again in the claim."""
    if switch := KillSwitch.objects.first():
        raise Wait(str(switch))
    if not shortcode.partner.is_active:
        raise Wait("The partner is not active.", seconds=300)
    if not shortcode.is_active:
        raise Wait(f"Shortcode {shortcode.shortcode} is not active.", seconds=300)
    if shortcode.is_paused:
        raise Wait(f"Shortcode {shortcode.shortcode} is paused: {shortcode.pause_reason}")
    if shortcodes.waits_for_canary(shortcode):
        raise Wait("Another payout first proves that the credential is right.", seconds=2)


def _check_rest(earlier: Attempt | None) -> None:
    """A bell that rings late must not cut short the pause after a gateway that was too busy."""
    now = timezone.now()
    if earlier and earlier.rests_until and earlier.rests_until > now:
        seconds = (earlier.rests_until - now).seconds + 1
        raise Wait(f"It was not sent lately: {with_stop(earlier.answer_words)}", seconds=seconds)


def loan_now(disbursement: Disbursement) -> LoanFacts | None:
    """The loan re-read now; None for a disbursement without a loan system."""
    if not disbursement.connection_id:
        return None
    system = loans.system_of(disbursement)
    if system is None:
        raise Wait("Its loan system is not set up.", seconds=300)
    try:
        return system.read(disbursement)
    except RemoteError as error:
        raise Wait(f"The loan can't be re-read: {error}", seconds=30) from error


def compare_with_approval(disbursement: Disbursement, facts: LoanFacts | None) -> None:
    """Raise unless loan, sum and number are still what they were, and nothing new speaks against.

    What a person released stays released.
    """
    if facts is None:
        return
    if not facts.is_approved:
        raise ApprovalOver(f"The loan is {facts.status_words} in Mifos X.")
    changes = [
        ("sum", disbursement.amount, facts.net),
        ("number", disbursement.msisdn, normalise(facts.phone)),
        ("client", disbursement.client_id, facts.client_id),
        ("approval date", disbursement.approved_on, facts.approved_on),
    ]
    changed = [f"{what} was {then}, is {now}" for what, then, now in changes if then != now]
    if changed:
        words = f"Changed in Mifos X since approval: {'; '.join(changed)}."
        raise Stop(HoldReason(Hold.CHANGED_SINCE_APPROVAL, words))
    found = [r for r in reasons_in(facts) if r.hold not in disbursement.released_holds]
    if found:
        raise Stop(*found)


def check_limits(disbursement: Disbursement, partner: Partner) -> None:
    found = limits.reasons(disbursement.amount, partner=partner)
    if daily := limits.daily_reason(disbursement):
        found.append(daily)
    if stops := [reason for reason in found if reason.hold not in disbursement.released_holds]:
        raise Stop(*stops)


def check_cases(disbursement: Disbursement) -> None:
    if cases.money_may_have_moved(disbursement):
        words = "Money may have moved for it already: M-Pesa contradicted itself on it."
        raise Stop(HoldReason(Hold.MAY_BE_PAID, words))
