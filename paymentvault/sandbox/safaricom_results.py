"""The bodies of result callbacks, in the shapes that integrators captured."""

import random
from collections.abc import Mapping
from typing import Any

from paymentvault.sandbox.safaricom_core import (
    FEE,
    INVALID_INITIATOR,
    LOCKED,
    Account,
    Payment,
    now,
)

DESCRIPTIONS: dict[str, str] = {
    "0": "The service request is processed successfully.",
    "1": "The balance is insufficient for the transaction.",
    "2": "Declined due to limit rule: less than the minimum transaction amount.",
    "3": "Declined due to limit rule: greater than the maximum transaction amount.",
    "4": "Declined due to limit rule: would exceed daily transfer limit.",
    "8": "Declined due to limit rule: would exceed the maximum balance.",
    "11": "The DebitParty is in an invalid state.",
    "15": "Duplicate Detected.",
    "17": "System internal error.",
    "21": "The initiator is not allowed to initiate this request.",
    "26": "Traffic blocking condition in place.",
    INVALID_INITIATOR: "The initiator information is invalid.",
    "2032": "The transaction receipt number does not exist.",
    "2040": "Credit Party customer type (Unregistered or Registered Customer) can't be supported "
    "by the service.",
    LOCKED: "The security credential is locked.",
    "SFC_IC0003": "The operator does not exist.",
}

_FIRST = ("WANJIRU", "OTIENO", "AKINYI", "KIPCHOGE", "NJERI", "MUTUA", "ADHIAMBO")
_LAST = ("KAMAU", "ODHIAMBO", "CHEBET", "MWANGI", "WAFULA")
_INTERNAL = "https://internalsandbox.safaricom.co.ke/mpesa/{}/v1/submit"

Parameters = dict[str, Any]


def public_name(msisdn: str) -> str:
    """Return the number in local form with its owner's name, the same name each time."""
    number = int(msisdn)
    name = f"{_FIRST[number % len(_FIRST)]} {_LAST[number % len(_LAST)]}"
    return f"0{msisdn[3:]} - {name}"


def paid(
    payment: Payment, order: random.Random, *, amount: int | None = None, msisdn: str | None = None
) -> Any:
    """Return a success, naming another amount or receiver than the true one if told."""
    parameters = {
        "TransactionAmount": payment.amount if amount is None else amount,
        "TransactionReceipt": payment.receipt,
        "ReceiverPartyPublicName": public_name(msisdn or payment.msisdn),
        "TransactionCompletedDateTime": f"{payment.at:%d.%m.%Y %H:%M:%S}",
        "B2CUtilityAccountAvailableFunds": float(payment.utility_after),
        "B2CWorkingAccountAvailableFunds": 0.0,
        "B2CRecipientIsRegisteredCustomer": "Y",
        "B2CChargesPaidAccountAvailableFunds": float(payment.charges_after),
    }
    listed = _listed(parameters)
    order.shuffle(listed)
    return _payment_result(payment, "0", {"ResultParameter": listed})


def declined(payment: Payment, code: str, *, as_object: bool = False) -> Any:
    if not as_object:
        return _payment_result(payment, code, None)
    parameter = {"Key": "BOCompletedTime", "Value": int(f"{now():%Y%m%d%H%M%S}")}
    return _payment_result(payment, code, {"ResultParameter": parameter})


def _payment_result(payment: Payment, code: str, parameters: Any) -> Any:
    return _result(
        code,
        {
            "OriginatorConversationID": payment.originator_conversation_id,
            "ConversationID": payment.conversation_id,
        },
        payment.receipt,
        parameters,
        {"Key": "QueueTimeoutURL", "Value": _INTERNAL.format("b2cresults")},
    )


def status_found(ack: Mapping[str, Any], payment: Payment, status: str, occasion: str) -> Any:
    moment = f"{payment.at:%Y%m%d%H%M%S}"
    parameters = {
        "DebitPartyName": f"{payment.shortcode} - Sandbox Partner",
        "CreditPartyName": public_name(payment.msisdn),
        "OriginatorConversationID": payment.originator_conversation_id,
        "InitiatedTime": moment,
        "DebitAccountType": "Utility Account",
        "DebitPartyCharges": f"Fee For B2C Payment|KES|{FEE}",
        "TransactionReason": None,
        "ReasonType": "Business Payment to Customer via API",
        "TransactionStatus": status,
        "FinalisedTime": moment,
        "Amount": str(payment.amount),
        "ConversationID": payment.conversation_id,
        "ReceiptNo": payment.receipt,
    }
    placeholder = payment.receipt[:3] + "0000000"
    listed = {"ResultParameter": _listed(parameters)}
    return _result("0", ack, placeholder, listed, _item("Occasion", occasion or None))


def status_refused(ack: Mapping[str, Any], code: str, placeholder: str) -> Any:
    return _result(code, ack, placeholder, None, _item("Occasion", None))


def balance(ack: Mapping[str, Any], account: Account, placeholder: str) -> Any:
    parameters = {
        "AccountBalance": _accounts(account),
        "BOCompletedTime": f"{now():%Y%m%d%H%M%S}",
    }
    reference = _item("QueueTimeoutURL", _INTERNAL.format("abresults"))
    body = _result("0", ack, placeholder, {"ResultParameter": _listed(parameters)}, reference)
    # Safaricom's own sample of this one has its codes as strings.
    body["Result"] |= {"ResultType": "0", "ResultCode": "0"}
    return body


def balance_refused(ack: Mapping[str, Any], code: str, placeholder: str) -> Any:
    parameters = {
        "ActionType": "AccountBalance",
        "ErrorMsg": "API Password is locked. " if code == LOCKED else DESCRIPTIONS[code],
        "BOCompletedTime": int(f"{now():%Y%m%d%H%M%S}"),
    }
    listed = {"ResultParameter": _listed(parameters)}
    return _result(code, ack, placeholder, listed, _item("QueueTimeoutURL", None))


def _accounts(account: Account) -> str:
    funds = {
        "Working Account": account.working,
        "Float Account": 0,
        "Utility Account": account.utility,
        "Charges Paid Account": account.charges,
        "Organization Settlement Account": 0,
    }
    return "&".join(f"{name}|KES|{sum_:.2f}|{sum_:.2f}|0.00|0.00" for name, sum_ in funds.items())


def _result(
    code: str, ids: Mapping[str, Any], transaction_id: str, parameters: Any, reference: Any
) -> Any:
    result = {
        "ResultType": 0,
        "ResultCode": int(code) if code.isdigit() and code == str(int(code)) else code,
        "ResultDesc": DESCRIPTIONS.get(code, "The service request could not be processed."),
        "OriginatorConversationID": ids["OriginatorConversationID"],
        "ConversationID": ids["ConversationID"],
        "TransactionID": transaction_id,
    }
    if parameters is not None:
        result["ResultParameters"] = parameters
    return {"Result": result | {"ReferenceData": {"ReferenceItem": reference}}}


def _listed(parameters: Parameters) -> list[Parameters]:
    return [_item(key, value) for key, value in parameters.items()]


def _item(key: str, value: object) -> Parameters:
    """Return a key with its value, or alone, as M-Pesa sends what it has no value for."""
    return {"Key": key} if value is None else {"Key": key, "Value": value}
