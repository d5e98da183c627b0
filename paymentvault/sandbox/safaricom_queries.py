"""Transaction status and account balance: acknowledged at once, answered by callback."""

import threading
from collections.abc import Mapping
from typing import Any

from paymentvault.sandbox import safaricom_answers as answers
from paymentvault.sandbox import safaricom_results as results
from paymentvault.sandbox.safaricom_callbacks import Call, Courier, Step
from paymentvault.sandbox.safaricom_core import Core, Payment, new_conversation_id, new_receipt
from paymentvault.sandbox.safaricom_faults import Fault, Plans
from paymentvault.sandbox.server import Answer

Body = Mapping[str, Any]

NOT_FOUND = "2032"
_CLAIMED = {"pending": "Pending Authorized", "result_code_zero_but_failed": "Declined"}


class Queries:
    def __init__(self, core: Core, courier: Courier, plans: Plans) -> None:
        self.core, self.courier, self.plans = core, courier, plans

    def status(self, body: Body, delay_s: float) -> Answer:
        payment = self._asked_about(body)
        fault = self.plans.next(payment.msisdn) if payment else Fault()
        if fault.has("spike_arrest"):
            return answers.refusal("500.003.02")
        ack = answers.ack(new_conversation_id())
        result = self._status_result(body, ack, payment, fault)
        return self._promise(body, ack, None if fault.has("lost_callback") else result, delay_s)

    def balance(self, body: Body, delay_s: float) -> Answer:
        ack = answers.ack(new_conversation_id())
        if code := self._refused(body):
            result = results.balance_refused(ack, code, _placeholder())
        else:
            result = results.balance(ack, self.core.accounts[body["PartyA"]], _placeholder())
        return self._promise(body, ack, result, delay_s)

    def _status_result(self, body: Body, ack: Body, payment: Payment | None, fault: Fault) -> Any:
        if code := self._refused(body):
            return results.status_refused(ack, code, _placeholder())
        if payment is None or fault.has("not_found"):
            return results.status_refused(ack, NOT_FOUND, _placeholder())
        claimed = next((said for name, said in _CLAIMED.items() if fault.has(name)), None)
        occasion = body.get("Occasion", "")
        return results.status_found(ack, payment, claimed or payment.status, occasion)

    def _asked_about(self, body: Body) -> Payment | None:
        return self.core.find(
            body["PartyA"],
            receipt=body.get("TransactionID", ""),
            own_id=body.get("OriginalConversationID", ""),
        )

    def _refused(self, body: Body) -> str | None:
        return self.core.refuses(body["PartyA"], body["Initiator"], body["SecurityCredential"])

    def _promise(self, body: Body, ack: Any, result: Any, delay_s: float) -> Answer:
        left = threading.Event()
        if result is not None:
            self.courier.play([Step(delay_s, (Call(body["ResultURL"], result),))], once=left)
        return Answer(200, ack, after=left.set)


def _placeholder() -> str:
    return new_receipt()[:3] + "0000000"
