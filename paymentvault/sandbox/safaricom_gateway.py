"""The gateway's door: apps, their one valid token each, and the products it opens."""

import base64
import binascii
import secrets
import string
import threading
import time
from dataclasses import dataclass, field

from paymentvault.sandbox import safaricom_answers as answers
from paymentvault.sandbox.server import Answer, Request

PRODUCTS = ("b2c", "status", "balance")


@dataclass(frozen=True)
class Token:
    value: str
    dies_at: float
    products: frozenset[str]
    """Those the app had when the token was made; a later one needs a new token."""


@dataclass
class App:
    consumer_key: str
    consumer_secret: str
    products: frozenset[str]
    shortcodes: set[str] = field(default_factory=set)
    token: Token | None = None


class Gateway:
    def __init__(self, token_life_s: int) -> None:
        self.token_life_s = token_life_s
        self.expires_in_as_string = False
        self.apps: dict[str, App] = {}
        self._lock = threading.RLock()

    def forget(self) -> None:
        self.apps.clear()

    def register(self, key: str, secret: str, products: frozenset[str], shortcode: str) -> None:
        unknown = products - set(PRODUCTS)
        if unknown:
            raise ValueError(f"Unknown products: {', '.join(sorted(unknown))}")
        with self._lock:
            app = self.apps.setdefault(key, App(key, secret, products))
            app.consumer_secret, app.products = secret, products
            app.shortcodes.add(shortcode)

    def expire_tokens(self) -> None:
        for app in list(self.apps.values()):
            app.token = None

    def new_token(self, request: Request) -> Answer:
        kind, _, credentials = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return answers.refusal("400.008.01")
        if request.query.get("grant_type") != "client_credentials":
            return answers.refusal("400.008.02")
        app = self._app_with(credentials)
        if app is None:
            # As integrators report it: a wrong key or secret gets no body at all.
            return Answer(400)
        life_s = self.token_life_s
        token = self._issue(app)
        expires_in = str(life_s) if self.expires_in_as_string else life_s
        return Answer(200, {"access_token": token.value, "expires_in": expires_in})

    def admit(self, request: Request, product: str) -> App | Answer:
        """Return the app whose token this is, or the answer that turns it away."""
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        app = self._app_holding(value) if kind.lower() == "bearer" else None
        if app is None or app.token is None:
            return answers.invalid_token(value)
        return app if product in app.token.products else answers.no_product()

    def _issue(self, app: App) -> Token:
        letters = string.ascii_letters + string.digits
        value = "".join(secrets.choice(letters) for _ in range(28))
        token = Token(value, time.monotonic() + self.token_life_s, app.products)
        app.token = token
        return token

    def _app_with(self, credentials: str) -> App | None:
        try:
            key, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        app = self.apps.get(key)
        return app if app and app.consumer_secret == secret else None

    def _app_holding(self, value: str) -> App | None:
        for app in list(self.apps.values()):
            token = app.token
            if token and token.value == value and time.monotonic() < token.dies_at:
                return app
        return None
