"""Why a disbursement is held for a person, in words, and which holds a person may release."""

from dataclasses import dataclass
from enum import StrEnum


class Hold(StrEnum):
    NO_NUMBER = "no_number"
    BAD_NUMBER = "bad_number"
    TOP_UP = "top_up"
    TRANCHES = "tranches"
    NOT_INDIVIDUAL = "not_individual"
    OTHER_CURRENCY = "other_currency"
    TRANSFER_CHARGES = "transfer_charges"
    CLIENT_INACTIVE = "client_inactive"
    NOTHING_TO_PAY = "nothing_to_pay"
    NOT_WHOLE_SHILLINGS = "not_whole_shillings"
    NET_DISAGREES = "net_disagrees"
    PAYLOAD_DISAGREES = "payload_disagrees"
    BELOW_PARTNER_MIN = "below_partner_min"
    ABOVE_PARTNER_MAX = "above_partner_max"
    BELOW_MPESA_MIN = "below_mpesa_min"
    ABOVE_MPESA_MAX = "above_mpesa_max"
    ABOVE_DAILY_MAX = "above_daily_max"
    BEFORE_SWITCH_ON = "before_switch_on"
    PARTNER_INACTIVE = "partner_inactive"
    EARLIER_DISBURSEMENT = "earlier_disbursement"
    LOOKS_LIKE_DUPLICATE = "looks_like_duplicate"
    CHANGED_SINCE_APPROVAL = "changed_since_approval"
    MAY_BE_PAID = "may_be_paid"


@dataclass(frozen=True)
class HoldReason:
    """A hold and what was found, as one sentence."""

    hold: Hold
    words: str


# What M-Pesa would refuse or we can't pay in one sum: releasing it would change nothing.
NOT_RELEASABLE = {
    Hold.NO_NUMBER,
    Hold.BAD_NUMBER,
    Hold.NOTHING_TO_PAY,
    Hold.BELOW_MPESA_MIN,
    Hold.ABOVE_MPESA_MAX,
    Hold.OTHER_CURRENCY,
    Hold.CHANGED_SINCE_APPROVAL,
}
# Put right in Mifos X and then cancelled here, the loan is read anew.
PUT_RIGHT_IN_MIFOS = NOT_RELEASABLE


def in_words(reasons: list[HoldReason]) -> str:
    return " ".join(reason.words for reason in reasons)
