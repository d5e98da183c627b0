"""One B2C request after the gateway let it in: its fault, its answer, its callbacks."""

import random
import threading
import time
from collections.abc import Mapping
from typing import Any

from paymentvault.sandbox import safaricom_answers as answers
from paymentvault.sandbox import safaricom_results as results
from paymentvault.sandbox.safaricom_callbacks import Call, Courier, Step
from paymentvault.sandbox.safaricom_core import PAID, Core, Payment, new_conversation_id
from paymentvault.sandbox.safaricom_faults import Fault
from paymentvault.sandbox.server import Answer, HangUp, Reset

Body = Mapping[str, Any]

NO_CALLBACK = ("lost_callback", "answer_lost_no_callback")
OTHER_FINAL_FAILURE = "2"
UNREGISTERED = "2040"


class Payouts:
    def __init__(self, core: Core, courier: Courier, chance: random.Random) -> None:
        self.core, self.courier, self.chance = core, courier, chance

    def serve(self, body: Body, fault: Fault, delay_s: float) -> Answer:
        if turned_away := _turned_away(body, fault):
            time.sleep(fault.seconds("slow"))
            return turned_away
        payment = self.core.take(body, _planned_result(fault))
        if payment is None:
            return answers.duplicate()
        steps = self._steps(body, payment, fault, delay_s)
        if steps and fault.has("callback_before_answer"):
            self.courier.deliver(steps.pop(0))
        time.sleep(fault.seconds("slow"))
        left = threading.Event()
        self.courier.play(steps, once=left)
        return _answer(payment, fault, left)

    def _steps(self, body: Body, payment: Payment, fault: Fault, delay_s: float) -> list[Step]:
        if fault.has(*NO_CALLBACK):
            return []
        pause_s = self._pause_s(fault, delay_s)
        calls = self._calls(body, payment, fault)
        copies = 2 if fault.has("double_callback") else 1
        return [
            Step(pause_s if at == 0 else delay_s, (call,) * copies) for at, call in enumerate(calls)
        ]

    def _pause_s(self, fault: Fault, delay_s: float) -> float:
        if fault.has("late_callback"):
            return fault.seconds("late_callback")
        if fault.has("reordered_callback"):
            return self.chance.uniform(0, 10 * delay_s)
        return delay_s

    def _calls(self, body: Body, payment: Payment, fault: Fault) -> list[Call]:
        """Return the calls in their order."""
        result = Call(body["ResultURL"], self._told(payment, fault))
        gave_up = Call(body["QueueTimeOutURL"], dict(body))
        denial = Call(body["ResultURL"], results.declined(payment, OTHER_FINAL_FAILURE))
        if fault.has("garbage_callback"):
            return [Call(body["ResultURL"], "<Result>0</Result>")]
        if fault.has("queue_timeout_only"):
            return [gave_up]
        if fault.has("queue_timeout_then_success"):
            return [gave_up, result]
        if fault.has("contradicting_callback"):
            return [result, denial]
        return [denial, result] if fault.has("contradicting_failure_first") else [result]

    def _told(self, payment: Payment, fault: Fault) -> Any:
        """Return what the callback claims, true or not."""
        if payment.result_code != PAID:
            as_object = fault.has("result_as_object")
            return results.declined(payment, payment.result_code, as_object=as_object)
        amount = payment.amount + 1 if fault.has("wrong_amount") else None
        msisdn = _another(payment.msisdn) if fault.has("wrong_number") else None
        return results.paid(payment, self.chance, amount=amount, msisdn=msisdn)


def _turned_away(body: Body, fault: Fault) -> Answer | None:
    """Return the answer of a gateway that took nothing, or None if it lets the request in."""
    if fault.has("reset"):
        raise Reset
    if fault.has("error_500"):
        return answers.refusal("500.002.1001")
    if fault.has("html_firewall"):
        return answers.page(403)
    if fault.has("spike_arrest"):
        return answers.refusal("500.003.02")
    if fault.has("quota"):
        return answers.refusal("500.003.03")
    if code := fault.code("refused"):
        return answers.refusal(code)
    if code := fault.code("response_code"):
        own_id = body["OriginatorConversationID"]
        return Answer(200, answers.ack(new_conversation_id(), own_id, code))
    return None


def _planned_result(fault: Fault) -> str | None:
    return fault.code("result") or (UNREGISTERED if fault.has("result_as_object") else None)


def _answer(payment: Payment, fault: Fault, left: threading.Event) -> Answer:
    """Answer for an accepted payment, or fail to; `left` is set when that is done."""
    if fault.has("answer_lost", "answer_lost_no_callback"):
        left.set()
        raise HangUp
    if fault.has("reset_after_acceptance"):
        left.set()
        raise Reset
    answer = _accepted(payment, fault)
    return Answer(answer.status, answer.body, answer.headers, after=left.set)


def _accepted(payment: Payment, fault: Fault) -> Answer:
    if fault.has("error_500_after_acceptance"):
        return answers.refusal("500.002.1001")
    if fault.has("html_after_acceptance"):
        return answers.page(200)
    return Answer(200, answers.ack(payment.conversation_id, payment.originator_conversation_id))


def _another(msisdn: str) -> str:
    return msisdn[:-1] + str((int(msisdn[-1]) + 1) % 10)
