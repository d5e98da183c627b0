"""The faults of a payout, and what comes of each: the tables that the tests walk."""

import pytest
import requests

from tests.sandbox.safaricom.calls import error

NOTHING_TAKEN = [
    ("error_500", 500, "500.002.1001"),
    ("spike_arrest", 500, "500.003.02"),
    ("quota", 500, "500.003.03"),
    ("token_expired", 401, "401.002.01"),
    ("refused:400.002.02", 400, "400.002.02"),
    ("refused:403.002.1001", 403, "403.002.1001"),
    ("refused:404.001.03", 404, "404.001.03"),
]


def broken_off(partner):
    with pytest.raises(requests.ConnectionError):
        partner.pay()


def says_500(partner):
    assert error(partner.pay()) == (500, "500.002.1001", "System internal error.")


def says_html(partner):
    answer = partner.pay()
    assert (answer.status_code, answer.text[:5]) == (200, "<html")


def accepts(partner):
    assert partner.pay().json()["ResponseCode"] == "0"


PAID = [
    ("answer_lost", broken_off, [0]),
    ("answer_lost_no_callback", broken_off, []),
    ("reset_after_acceptance", broken_off, [0]),
    ("error_500_after_acceptance", says_500, [0]),
    ("html_after_acceptance", says_html, [0]),
    ("slow:0.2", accepts, [0]),
    ("lost_callback", accepts, []),
    ("late_callback:0.3", accepts, [0]),
    ("reordered_callback", accepts, [0]),
    ("double_callback", accepts, [0, 0]),
    ("callback_before_answer", accepts, [0]),
    ("callback_before_answer+double_callback", accepts, [0, 0]),
    ("contradicting_callback", accepts, [0, 2]),
    ("contradicting_failure_first", accepts, [2, 0]),
    ("wrong_amount", accepts, [0]),
    ("wrong_number", accepts, [0]),
    ("queue_timeout_then_success", accepts, [0]),
    ("queue_timeout_only", accepts, []),
    ("error_500_after_acceptance+lost_callback", says_500, []),
    ("normal", accepts, [0]),
]
