"""Fineract's error answers, in the exact shape of its ApiGlobalErrorResponse."""

from datetime import date
from decimal import Decimal
from typing import Any

from paymentvault.sandbox.mifos_values import number
from paymentvault.sandbox.server import Answer

INVALID = (
    "The request was invalid. This typically will happen due to validation errors "
    "which are provided."
)
RULE = "Request was understood but caused a domain rule violation."
GONE = "The requested resource is not available."
DENIED = (
    "The user associated with credentials passed on this request does not have "
    "sufficient privileges to perform this action."
)
CLASHED = (
    "The server is currently unable to handle the request due to concurrent modification "
    " on optimistic lock [unknown], please try again"
)


class ApiError(Exception):
    """A command or a read that ends in this answer; nothing was applied."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status, answer.body)
        self.answer = answer


def detail(code: str, message: str, parameter: str, *args: object) -> dict[str, Any]:
    return {
        "developerMessage": message,
        "defaultUserMessage": message,
        "userMessageGlobalisationCode": code,
        "parameterName": parameter,
        "args": [{"value": _plain(arg)} for arg in args],
    }


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return number(value)
    return value.isoformat() if isinstance(value, date) else value


def _error(
    status: int, code: str, developer: str, user: str, details: list[dict[str, Any]] | None
) -> ApiError:
    body = {
        "developerMessage": developer,
        "httpStatusCode": str(status),
        "defaultUserMessage": user,
        "userMessageGlobalisationCode": code,
        "errors": details,
    }
    return ApiError(Answer(status, body))


def invalid(*details: dict[str, Any]) -> ApiError:
    code = "validation.msg.validation.errors.exist"
    return _error(400, code, INVALID, "Validation errors exist.", list(details))


def unsupported(*names: str) -> ApiError:
    code = "error.msg.parameter.unsupported"
    return invalid(*(detail(code, f"The parameter {n} is not supported.", n, n) for n in names))


def rule(code: str, message: str, *args: object) -> ApiError:
    top = "validation.msg.domain.rule.violation"
    user = "Errors contain reason for domain rule violation."
    return _error(403, top, RULE, user, [detail(code, message, "id", *args)])


def state(code: str, message: str) -> ApiError:
    return invalid(detail(code, message, "id"))


def missing(code: str, message: str, *args: object) -> ApiError:
    top = "error.msg.resource.not.found"
    return _error(404, top, GONE, GONE, [detail(code, message, "id", *args)])


def denied(task: str) -> ApiError:
    code, user = "error.msg.not.authorized", "Insufficient privileges to perform this action."
    message = f"User has no authority to: {task}"
    return _error(403, code, DENIED, user, [detail(code, message, "id")])


def integrity(message: str) -> ApiError:
    code = "error.msg.unknown.data.integrity.issue"
    return _error(403, code, message, message, [detail(code, message, "id")])


def not_authenticated() -> ApiError:
    code, message = "error.msg.not.authenticated", "Unauthenticated. Please login."
    return _error(401, code, "Invalid authentication details were passed in api request.",
                  message, [detail(code, message, "id")])  # fmt: skip


def password_outdated(user_id: int) -> ApiError:
    code = "error.msg.password.outdated"
    message = f"The password of the user with id {user_id} has expired, please reset it"
    return _error(400, code, message, message, [detail(code, message, "userId", user_id)])


def conflict() -> ApiError:
    code = "error.msg.platform.service.optimistic lock.conflict"
    return _error(409, code, CLASHED, CLASHED, None)


def locked(loan_id: int) -> ApiError:
    message = f"Loan is locked by the COB job. Loan ID: {loan_id}"
    return _error(409, "error.msg.loan.locked", message, message, None)


def not_json() -> ApiError:
    # The one validation error that comes bare, without the envelope.
    message = "The request body is not valid JSON."
    bare = detail("error.msg.invalid.request.body", message, "id")
    return ApiError(Answer(400, bare))


def crash(message: str) -> ApiError:
    return ApiError(Answer(500, {"Exception": message}))


def page(status: int, title: str, **headers: str) -> ApiError:
    """What Tomcat or a proxy answers: HTML, or nothing when the title is empty."""
    html = f"<!doctype html><html><title>{title}</title><h1>{title}</h1></html>" if title else None
    return ApiError(Answer(status, html, {k.replace("_", "-"): v for k, v in headers.items()}))
