"""What every resource does: find out who asks, count it, see whether they may, answer in JSON."""

from typing import Any, ClassVar

from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from paymentvault.addresses import source_address
from paymentvault.api import limits
from paymentvault.api.errors import CODES, Problem
from paymentvault.api.limits import Limit, OverLimit, Spent


class Resource(APIView):
    rights: ClassVar[dict[str, str]] = {}
    """The right that each method needs at some partner, at least."""
    limit: ClassVar[Limit | None] = None
    """Instead of the ones for reading and writing."""
    is_open: ClassVar[bool] = False
    """Who asks shows in the body, if at all."""

    _spent: Spent | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.format_kwarg = None
        request.accepted_renderer, request.accepted_media_type = self.perform_content_negotiation(
            request
        )
        self._identify(request)
        self._spent = limits.spend(self._limit(request), who(request))
        self._check_rights(request)

    def _identify(self, request: Request) -> None:
        """Only those who fail are counted by address: one guesser mustn't lock out the others."""
        try:
            self.perform_authentication(request)
        except exceptions.AuthenticationFailed:
            self._spent = limits.spend(limits.FAILED_SIGN_INS, address(request))
            raise

    def _limit(self, request: Request) -> Limit:
        if self.limit:
            return self.limit
        return limits.READS if request.method in ("GET", "HEAD") else limits.WRITES

    def _check_rights(self, request: Request) -> None:
        if self.is_open:
            return
        if not request.user.is_authenticated:
            raise exceptions.NotAuthenticated(CODES["not_authenticated"][1])
        method = "GET" if request.method == "HEAD" else str(request.method)
        if (right := self.rights.get(method)) and not request.user.has_perm(right):
            raise Problem("forbidden", why_not(request, right))

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        raise exceptions.MethodNotAllowed(str(request.method))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if self._spent:
            for name, value in self._spent.headers.items():
                answer[name] = value
        answer["Cache-Control"] = "no-store"
        return answer

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, OverLimit):
            self._spent = exc.spent
        return super().handle_exception(exc)


def why_not(request: Request, right: str) -> str:
    """Whom to ask for a right that is missing."""
    words = getattr(request.user, "why_not", None)
    return words(right) if words else f"You lack the right {right}. An administrator can give it."


def who(request: Request) -> str:
    """Whose requests are counted together."""
    user = request.user
    if not user.is_authenticated:
        return f"address-{address(request)}"
    # A session wraps its user; what it says it is counts, so that tokens count with it.
    return f"{user.__class__.__name__}-{user.pk}"


def address(request: Request) -> str:
    return source_address(request._request) or "unknown"


def given(serializer: type[Serializer[Any]], data: Any, **options: Any) -> dict[str, Any]:
    """What was given, checked. Raises ValidationError."""
    form = serializer(data=data, **options)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


def body(request: Request) -> dict[str, Any]:
    """The body, which is an object; none at all counts as an empty one."""
    data = request.data
    if not isinstance(data, dict):
        raise exceptions.ValidationError({"body": ["It must be a JSON object."]})
    return data
