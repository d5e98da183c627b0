"""Test a connection, register its hook, switch it on: three acts, none of which does another."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction
from django.utils import timezone

from mifos import port, tasks
from mifos.answers import Hook, Identity, LoanProduct, PaymentType
from mifos.client import MifosClient
from mifos.errors import BAD_TENANT, UNREADABLE
from partners import products
from partners.models import MifosConnection
from partners.webhook_tokens import LONGEST_URL
from paymentvault import audit, doorbell
from paymentvault.http import Answer, NotSent, OutcomeUnknown, Refused, RemoteError, Transport

EVENTS = [
    ("LOAN", action)
    for action in (
        "APPROVE", "APPROVALUNDO", "DISBURSE", "DISBURSETOSAVINGS", "DISBURSALUNDO", "REJECT",
        "WITHDRAW",
    )
]  # fmt: skip
DISPLAY_NAME = "Payment Vault"
NEEDED = ("READ_LOAN", "READ_CLIENT", "DISBURSE_LOAN", "CREATE_LOANNOTE", "READ_LOANPRODUCT",
          "READ_PAYMENTTYPE")  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One thing that was looked at. `result` is ok, warning, failed or skipped."""

    name: str
    result: str
    words: str
    took_ms: int


class Failed(Exception):
    """Why a step didn't pass, and what to do."""


class Doubtful(Exception):
    """What is odd, though it may work."""


class TimeIsUp(NotSent):
    """The test has taken as long as it may."""


@dataclass(frozen=True)
class Hurried(Transport):
    """Sends nothing once its time is up, and waits for no answer beyond it."""

    until: float = 0.0
    """On the monotonic clock."""

    def send(self, method: str, url: str, **given: Any) -> Answer:
        rest = self.until - time.monotonic()
        if rest <= 0:
            raise TimeIsUp("The test's time is up.")
        last = replace(
            self,
            connect_timeout_s=min(self.connect_timeout_s, rest),
            read_timeout_s=min(self.read_timeout_s, rest),
        )
        return super(Hurried, last).send(method, url, **given)


class ConnectionTest:
    """Looks at one thing after the other. After a failure that the rest stands on, it skips."""

    LONGEST_S = 60.0
    STEPS = ("Address and TLS", "Credentials and tenant", "Permissions", "System information",
             "Loan products", "Payment type", "Hook")  # fmt: skip
    OTHERS_NEED = STEPS[:2]

    def __init__(self, connection: MifosConnection, mifos: MifosClient | None = None) -> None:
        self.connection = connection
        self.mifos = _hurried(mifos or port.client_of(connection), within_s=self.LONGEST_S)
        self.identity = Identity("", frozenset())
        self.products: list[LoanProduct] | None = None
        self.payment_types: list[PaymentType] | None = None
        """What Mifos X listed; None while it wasn't asked, or didn't say."""

    def run(self) -> Iterator[Step]:
        """Each step as soon as it is known."""
        looks: tuple[Callable[[], str], ...] = (
            self._address, self._credentials, self._permissions, self._system, self._products,
            self._payment_type, self._hook,
        )  # fmt: skip
        is_hopeless = False
        for name, look in zip(self.STEPS, looks, strict=True):
            step = Step(name, "skipped", "Not looked at.", 0) if is_hopeless else _step(name, look)
            is_hopeless = is_hopeless or (name in self.OTHERS_NEED and step.result == "failed")
            yield step

    def _address(self) -> str:
        try:
            self.mifos.get_offices()
        except NotSent as error:
            raise Failed(f"{error}. Check the host URL and the CA bundle.") from error
        except OutcomeUnknown as error:
            raise Failed(f"The server answers, but not like Mifos X: {error}") from error
        except Refused as error:
            if error.status == 404 or error.code == UNREADABLE:
                raise Failed("No Mifos X is at the API path. Check it.") from error
        return f"{self.connection.base_url} answers."

    def _credentials(self) -> str:
        try:
            self.identity = self.mifos.authenticate()
        except Refused as error:
            raise Failed(_about_credentials(error)) from error
        try:
            self.mifos.get_offices()
        except Refused as error:
            # 403 is a missing permission: then the credentials are good.
            if error.status != 403:
                raise Failed(_about_credentials(error)) from error
        return f"{self.identity.username or 'The client'} may sign in to {self.mifos.tenant!r}."

    def _permissions(self) -> str:
        if not self.identity.permissions:
            raise Doubtful("The server doesn't list permissions; the first payout will tell.")
        missing = [name for name in NEEDED if not self.identity.may(name)]
        if missing:
            raise Failed(f"Missing: {', '.join(missing)}. Give them to the user's role.")
        if self.mifos.is_parked_by_maker_checker("DISBURSE_LOAN"):
            raise Doubtful("Disbursing needs a checker there: each payout waits for one to record.")
        return "All that is needed."

    def _system(self) -> str:
        version = self.mifos.get_version()
        today = self.mifos.get_business_date()
        ours = timezone.now().astimezone(self.connection.zone).date()
        if today and today != ours:
            raise Doubtful(f"Its business date is {today}, ours {ours}. Recording uses its date.")
        return f"Version {version or 'not told'}; its date is {today or ours}."

    def _products(self) -> str:
        self.products = listed = self.mifos.get_loan_products()
        if not listed:
            raise Doubtful("There is no loan product that this user may see.")
        return f"{len(listed)} loan products, among them {listed[0].name}."

    def _payment_type(self) -> str:
        wanted = self.connection.payment_type_id
        self.payment_types = self.mifos.get_payment_types()
        types = {t.id: t for t in self.payment_types}
        named = ", ".join(f"{t.name} ({t.id})" for t in types.values() if not t.is_cash)
        if wanted is None:
            raise Failed(f"None is chosen. Choose one of: {named}.")
        if wanted not in types:
            raise Failed(f"{wanted} is not a payment type there. Choose one of: {named}.")
        if types[wanted].is_cash:
            raise Failed(f"{types[wanted].name} is for cash, which asks for a cashier.")
        return f"{types[wanted].name} ({wanted})."

    def _hook(self) -> str:
        url = self.connection.webhook_url
        if not url:
            raise Doubtful("No webhook address was made yet; loans are found by polling.")
        try:
            hooks = self.mifos.get_hooks()
        except Refused as error:
            raise Doubtful(f"The user may not see hooks: {error}") from error
        ours = [hook for hook in hooks if hook.url == url]
        if not ours:
            raise Doubtful("No hook points here; loans are found by polling, minutes later.")
        if not ours[0].is_active or not set(EVENTS) <= set(ours[0].events):
            raise Doubtful("The hook is not active, or lacks events. Register it again.")
        return f"Hook {ours[0].id} is active and points here."


def test(
    connection: MifosConnection,
    *,
    by: str,
    source_address: str | None = None,
    tell: Callable[[Step], object] = lambda step: None,
) -> list[Step]:
    """Test the saved connection and remember the result. A passed test earns *configured*.

    `tell` hears of each step as soon as it is known.
    """
    looking = ConnectionTest(connection)
    steps = []
    for step in looking.run():
        steps.append(step)
        tell(step)
    connection.last_test = [asdict(step) for step in steps]
    connection.last_tested_at, connection.last_tested_by = timezone.now(), by
    connection.save(update_fields=["last_test", "last_tested_at", "last_tested_by"])
    # Only of what was tested: somebody may have saved other credentials meanwhile.
    tested = MifosConnection.objects.filter(pk=connection.pk, updated_at=connection.updated_at)
    if tested.exists():
        keep_listed(connection, looking)
    if has_passed(steps):
        tested.update(configured_at=timezone.now())
    else:
        # One that is on goes on polling; that it fails is shown, it isn't silently switched off.
        tested.filter(is_on=False).update(configured_at=None)
    connection.refresh_from_db()
    audit.record("connection tested", by=by, subject=connection, passed=has_passed(steps),
                 partner_code=connection.partner.code, source_address=source_address)  # fmt: skip
    return steps


def keep_listed(connection: MifosConnection, looking: ConnectionTest) -> None:
    """Keep the payment types and loan products that Mifos X listed, for staff to choose from."""
    if looking.payment_types is not None:
        MifosConnection.objects.filter(pk=connection.pk).update(
            payment_types=[asdict(kind) for kind in looking.payment_types]
        )
    if looking.products is not None:
        products.listed(connection, {product.id: product.name for product in looking.products})


def has_passed(steps: list[Step]) -> bool:
    return bool(steps) and all(step.result in ("ok", "warning") for step in steps)


def register_hook(
    connection: MifosConnection, *, by: str, source_address: str | None = None
) -> Hook:
    """Create or update our hook in Mifos X, and read it back. Raises RemoteError or ValueError."""
    url = connection.webhook_url
    if not url:
        raise ValueError("Make a webhook address first.")
    if len(url) > LONGEST_URL:
        raise ValueError(f"The address is longer than the {LONGEST_URL} characters Mifos X keeps.")
    mifos = port.client_of(connection)
    ours = [h for h in mifos.get_hooks() if h.id == connection.hook_id or h.url == url]
    if ours:
        hook_id = ours[0].id
        mifos.update_hook(hook_id, url=url, events=EVENTS, display_name=DISPLAY_NAME)
    else:
        hook_id = mifos.create_hook(url=url, events=EVENTS, display_name=DISPLAY_NAME)
    MifosConnection.objects.filter(pk=connection.pk).update(hook_id=hook_id)
    audit.record("hook registered", by=by, subject=connection, hook=hook_id,
                 partner_code=connection.partner.code, source_address=source_address)  # fmt: skip
    found = [h for h in mifos.get_hooks() if h.id == hook_id]
    if not found or not found[0].is_active or found[0].url != url:
        raise ValueError("Mifos X kept the hook, but it is not active or points elsewhere.")
    return found[0]


@transaction.atomic
def switch_on(
    connection: MifosConnection,
    *,
    by: str,
    source_address: str | None = None,
    reason: str = "",
    **detail: Any,
) -> None:
    """Take in loans from now on; the next poll lists what was approved before, for a person."""
    if not connection.configured_at:
        raise ValueError("The connection must pass its test before it is switched on.")
    connection.is_on = True
    connection.switched_on_at = timezone.now()
    connection.backlog_listed_at = None
    connection.save(update_fields=["is_on", "switched_on_at", "backlog_listed_at"])
    audit.record(
        "connection switched on",
        by=by,
        subject=connection,
        partner_code=connection.partner.code,
        source_address=source_address,
        **({"reason": reason} if reason else {}),
        **detail,
    )
    doorbell.ring(tasks.poll_mifos)


@transaction.atomic
def switch_off(
    connection: MifosConnection,
    *,
    by: str,
    source_address: str | None = None,
    reason: str = "",
) -> None:
    connection.is_on = False
    connection.save(update_fields=["is_on"])
    audit.record(
        "connection switched off",
        by=by,
        subject=connection,
        partner_code=connection.partner.code,
        source_address=source_address,
        **({"reason": reason} if reason else {}),
    )


def _step(name: str, look: Callable[[], str]) -> Step:
    began = time.monotonic()
    try:
        result, words = "ok", look()
    except TimeIsUp:
        result = "skipped"
        words = (
            f"Not looked at: the test ended after {ConnectionTest.LONGEST_S:.0f} s. The server is "
            "slow; test again, or ask whoever runs it."
        )
    except Doubtful as doubt:
        result, words = "warning", str(doubt)
    except (Failed, RemoteError) as error:
        result, words = "failed", str(error)
    return Step(name, result, words, int((time.monotonic() - began) * 1000))


def _hurried(mifos: MifosClient, *, within_s: float) -> MifosClient:
    given = mifos.transport
    hurried = Hurried(
        allow_private=given.allow_private,
        allow_http=given.allow_http,
        ca_bundle=given.ca_bundle,
        connect_timeout_s=given.connect_timeout_s,
        read_timeout_s=given.read_timeout_s,
        until=time.monotonic() + within_s,
    )
    return replace(mifos, transport=hurried)


def _about_credentials(error: Refused) -> str:
    if error.code == BAD_TENANT:
        return "The server doesn't know this tenant id."
    if error.code == "error.msg.password.outdated":
        return "The user's password has expired. Give it one that never does."
    if error.status == 401:
        return "The user name or password is wrong."
    return str(error)
