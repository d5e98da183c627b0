"""What Mifos X's refusals and failures say, by its own codes: its HTTP status says too little."""

from collections.abc import Iterable
from typing import Any

from paymentvault.http import Answer, OutcomeUnknown, Refused
from paymentvault.logging import hide

NOT_AUTHENTICATED = "error.msg.not.authenticated"
# Answers without a code of Mifos's own.
BAD_TENANT = "bad-tenant"
UNREADABLE = "unreadable"


def error_in(answer: Answer, *, sent: Iterable[str] = ()) -> Refused | OutcomeUnknown:
    """How sure we are after an answer that isn't 2xx. Server errors are unknown outcomes.

    Its words are shown, so the secrets that were `sent` are hidden in them, if it told them back.
    """
    code, words = _code_and_words(answer.object, sent)
    status = answer.status
    if status >= 500 or 300 <= status < 400:
        words = words or f"Mifos X answered HTTP {status}."
        return OutcomeUnknown(words, code=code, status=status)
    if status == 401:
        words = words or "Mifos X refused the user name or password."
        return Refused(words, code=code or NOT_AUTHENTICATED, status=status)
    if status == 400 and not answer.object:
        return Refused("Mifos X doesn't know this tenant.", code=BAD_TENANT, status=status)
    return Refused(words or f"Mifos X answered HTTP {status}.", code=code, status=status)


def _code_and_words(body: dict[str, Any], sent: Iterable[str]) -> tuple[str, str]:
    """The specific code stands in the first of the errors; some answers have none."""
    errors = body.get("errors")
    inner = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    code = inner.get("userMessageGlobalisationCode") or body.get("userMessageGlobalisationCode")
    words = inner.get("defaultUserMessage") or body.get("defaultUserMessage")
    return str(code or "")[:120], hide(str(words or ""), *sent)[:250]
