"""Getting, renewing and ending the tokens of a person's own programs."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from paymentvault.api import tokens
from paymentvault.api.resources import Resource, body, given
from paymentvault.models import User

FROM_SESSION: Any = [{"session": []}]
BY_A_PERSON: Any = [{"session": []}, {"staffToken": []}]


class RefreshToken(serializers.Serializer[Any]):
    refresh = serializers.CharField(max_length=200)


class Tokens(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="Send it as `Authorization: Bearer …`.")
    expires_in = serializers.IntegerField(help_text="Seconds that the access token lasts.")
    refresh = serializers.CharField(help_text="Gets the next pair, once.")
    refresh_ends_at = serializers.DateTimeField()


class TokenList(Resource):
    @extend_schema(
        operation_id="issueTokens", tags=["Signing in"], request=None, responses={201: Tokens},
        auth=FROM_SESSION, summary="Get tokens",
        description="From a session only, once the person is wholly signed in, with their second "
        "factor. The tokens end when the session does.",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        pair = tokens.issue(request._request, tokens.from_session(request))
        return Response(Tokens(pair).data, 201)

    @extend_schema(
        operation_id="revokeAllTokens", tags=["Signing in"], responses={204: None},
        summary="End all of one's own tokens", auth=BY_A_PERSON,
    )  # fmt: skip
    def delete(self, request: Request) -> Response:
        user = request.user
        if isinstance(user, User):
            tokens.revoke_all(user, by=user.get_username(), why="Asked for.")
        return Response(status=204)


class TokenRefresh(Resource):
    authentication_classes = ()
    is_open = True

    @extend_schema(
        operation_id="refreshTokens", tags=["Signing in"], request=RefreshToken, auth=[],
        responses={200: Tokens}, summary="Renew tokens",
        description="The refresh token is spent by it. If one comes a second time, somebody has "
        "a copy: all tokens of that sign-in end.",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        asked = given(RefreshToken, body(request))
        return Response(Tokens(tokens.refresh(asked["refresh"])).data)


class TokenRevocation(Resource):
    authentication_classes = ()
    is_open = True

    @extend_schema(
        operation_id="revokeTokens", tags=["Signing in"], request=RefreshToken, auth=[],
        responses={204: None}, summary="End the tokens of one sign-in",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        tokens.revoke(given(RefreshToken, body(request))["refresh"])
        return Response(status=204)
