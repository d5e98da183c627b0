"""A bearer token from the OAuth2 server in front of a Mifos X."""

from mifos.errors import NOT_AUTHENTICATED
from paymentvault.http import NotSent, OutcomeUnknown, Refused, Transport


def fetch_oauth_token(
    transport: Transport, *, token_url: str, client_id: str, client_secret: str,
    username: str = "", password: str = "",
) -> tuple[str, int]:  # fmt: skip
    """A bearer token and its life in seconds: password grant with a username, else client's own."""
    form = {"grant_type": "password", "username": username, "password": password}
    if not username:
        form = {"grant_type": "client_credentials"}
    form |= {"client_id": client_id, "client_secret": client_secret}
    try:
        answer = transport.send("POST", token_url, data=form)
    except OutcomeUnknown as error:
        raise NotSent(f"No access token: {error}") from error
    token, life = answer.object.get("access_token"), answer.object.get("expires_in", 300)
    if answer.status == 200 and isinstance(token, str) and token:
        # However long it claims: a number without end would be no time at all.
        return token, int(str(life)[:6]) if str(life).isdecimal() else 300
    if 400 <= answer.status < 500:
        words = "The OAuth2 server refused the client or user."
        raise Refused(words, code=NOT_AUTHENTICATED, status=answer.status)
    raise NotSent(f"The OAuth2 server gave no token (HTTP {answer.status}).", status=answer.status)
