"""M-Pesa's result codes: what each means for us, and in words.

Sources: Safaricom's B2C and AccountBalance pages and integrators' captures, gathered in the
Daraja contract of November 2026. What isn't in the table is unknown, never a failure.
"""

from dataclasses import dataclass
from enum import StrEnum


class Meaning(StrEnum):
    PAID = "paid"
    FUNDS = "funds"  # failed; the shortcode waits for float
    AMOUNT = "amount"  # failed; another sum is needed
    RECIPIENT = "recipient"  # failed; the borrower must do something
    CONFIGURATION = "configuration"  # failed; nothing more is sent until a person has looked
    UNKNOWN = "unknown"  # ask M-Pesa


FAILED = {Meaning.FUNDS, Meaning.AMOUNT, Meaning.RECIPIENT, Meaning.CONFIGURATION}


@dataclass(frozen=True)
class Result:
    meaning: Meaning
    words: str

    @property
    def is_failure(self) -> bool:
        return self.meaning in FAILED


_M = Meaning
RESULTS: dict[str, Result] = {
    "0": Result(_M.PAID, "Paid."),
    "1": Result(_M.FUNDS, "The utility account doesn't hold enough. Top it up."),
    "2": Result(_M.AMOUNT, "The sum is below M-Pesa's minimum."),
    "3": Result(_M.AMOUNT, "The sum is above M-Pesa's maximum."),
    "4": Result(_M.RECIPIENT, "The recipient's daily limit is reached. Try another day."),
    "7": Result(_M.RECIPIENT, "M-Pesa doesn't accept this recipient."),
    "8": Result(_M.RECIPIENT, "The recipient's wallet would hold more than M-Pesa allows."),
    "14": Result(_M.RECIPIENT, "M-Pesa doesn't accept this recipient."),
    "2040": Result(_M.RECIPIENT, "The number is not registered for M-Pesa."),
    "2051": Result(_M.RECIPIENT, "The phone number is not valid."),
    "SFC_IC0003": Result(_M.RECIPIENT, "The phone number does not exist at Safaricom."),
    "R002": Result(_M.RECIPIENT, "The recipient's kind of ID was not found."),
    "R003": Result(_M.RECIPIENT, "The ID number is not the recipient's."),
    "11": Result(_M.CONFIGURATION, "The shortcode is not in a state to pay."),
    "18": Result(_M.CONFIGURATION, "The initiator's credential was refused."),
    "20": Result(_M.CONFIGURATION, "M-Pesa doesn't know the initiator."),
    "21": Result(_M.CONFIGURATION, "The initiator may not do this."),
    "22": Result(_M.CONFIGURATION, "The initiator is not active."),
    "2001": Result(
        _M.CONFIGURATION,
        "The initiator's name or security credential is wrong. Three wrong tries lock it.",
    ),
    "8006": Result(
        _M.CONFIGURATION, "The initiator is locked. The Business Administrator unlocks it."
    ),
    "TP40153": Result(_M.CONFIGURATION, "The initiator lacks the permission for B2C."),
    "2006": Result(_M.CONFIGURATION, "The shortcode's account status doesn't allow it."),
    "2028": Result(_M.CONFIGURATION, "The shortcode's product doesn't allow it."),
    "24": Result(_M.CONFIGURATION, "M-Pesa misses a parameter. This is a fault of ours."),
    "25": Result(_M.CONFIGURATION, "M-Pesa refuses a parameter. This is a fault of ours."),
    "29": Result(_M.CONFIGURATION, "M-Pesa refuses the command. This is a fault of ours."),
    # Busy or throttled: perhaps taken, perhaps not. Only a status query can say.
    "26": Result(_M.UNKNOWN, "M-Pesa is busy."),
    "100000001": Result(_M.UNKNOWN, "M-Pesa is overloaded."),
    "100000002": Result(_M.UNKNOWN, "M-Pesa throttles requests."),
    "100000011": Result(_M.UNKNOWN, "M-Pesa's request rate is exceeded."),
    "00.002.1001": Result(_M.UNKNOWN, "M-Pesa is under maintenance."),
    "15": Result(_M.UNKNOWN, "M-Pesa saw this request before; the first one's outcome stands."),
    "17": Result(_M.UNKNOWN, "M-Pesa had an internal failure."),
    "19": Result(_M.UNKNOWN, "M-Pesa could not put the request in order."),
    "2029": Result(_M.UNKNOWN, "M-Pesa could not resolve the request."),
    "100000000": Result(_M.UNKNOWN, "M-Pesa keeps the request for sending it again."),
    "100000004": Result(_M.UNKNOWN, "M-Pesa had an internal error."),
    # Answers to a status query or a reversal; they say nothing of a payment.
    "2032": Result(_M.UNKNOWN, "M-Pesa doesn't find the transaction (yet)."),
    "2033": Result(_M.UNKNOWN, "M-Pesa doesn't find the transaction (yet)."),
    "R000002": Result(_M.UNKNOWN, "M-Pesa doesn't know the original transaction."),
}


def of(code: object) -> Result:
    """What a result code means; an unfamiliar one is unknown."""
    text = str(code).strip()
    return RESULTS.get(text, Result(Meaning.UNKNOWN, f"M-Pesa's code {text[:20]} is unfamiliar."))


# TransactionStatus in the answer to a status query decides, not its ResultCode.
COMPLETED = {"completed"}
NEVER_HAPPENED = {"cancelled", "declined", "expired", "failed", "rejected"}
OPEN = {"initiated", "authorized", "pending authorized"}
# Money did move, and back: a person must look.
REVERSED = {"reversed"}
