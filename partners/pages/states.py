"""The state of a partner's Mifos X connection in words, and where its setting-up stands."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from partners import work
from partners.models import LoanProduct, MifosConnection, MpesaShortcode, Partner
from paymentvault.models import Job, User

# As the case that polling opens: then a person must look.
POLLED_TOO_LONG_AGO = timedelta(minutes=15)
MAKE_ADDRESS_FIRST = "Make the webhook’s address first."


@dataclass(frozen=True)
class State:
    """A badge, a sentence, and the moment it is about: "polled", 4 min ago."""

    tone: str
    label: str
    words: str = ""
    at: datetime | None = None


def of_connection(connection: MifosConnection | None) -> State:
    """What staff need to know of a connection, in one line."""
    if connection is None:
        return State("wait", "Not set up")
    if connection.is_on:
        return _of_one_that_is_on(connection)
    if connection.configured_at:
        return State("wait", "Switched off", "passed its test", connection.last_tested_at)
    if failed := first_failure(connection.last_test):
        return State("bad", "Test failed", failed["name"], connection.last_tested_at)
    return State("wait", "Not tested", "entered", connection.updated_at)


def _of_one_that_is_on(connection: MifosConnection) -> State:
    if connection.failing_since:
        return State("bad", "Failing", "since", connection.failing_since)
    polled = connection.polled_at
    long_ago = timezone.now() - POLLED_TOO_LONG_AGO
    if (polled or connection.switched_on_at or long_ago) <= long_ago:
        return State("warn", "Late", "polled" if polled else "not polled yet, on", polled)
    if polled is None:
        return State("busy", "Switched on", "not polled yet")
    return State("ok", "Switched on", "polled", polled)


def first_failure(test: list[dict[str, Any]]) -> dict[str, Any] | None:
    return next((step for step in test if step["result"] == "failed"), None)


def mifos_of(partner: Partner) -> MifosConnection | None:
    return getattr(partner, "mifos", None)


@dataclass(frozen=True)
class Step:
    """One step from nothing to the first automatic payout."""

    name: str
    is_done: bool
    words: str
    link: str
    verb: str
    right: str
    """What somebody needs to be shown the link; `is_allowed` says whether they have it."""
    is_posted: bool = False
    """Whether the link is a button that does it at once."""
    is_possible: bool = True
    is_optional: bool = False
    is_allowed: bool = False


@dataclass(frozen=True)
class Known:
    """What the checklist is made of, each asked for once."""

    partner: Partner
    connection: MifosConnection | None
    shortcodes: list[MpesaShortcode]
    products: list[LoanProduct]
    jobs: dict[str, Job]
    last_event_at: datetime | None

    def url(self, name: str) -> str:
        return reverse(name, args=[self.partner.code])

    @property
    def default(self) -> MpesaShortcode | None:
        """What is paid from."""
        return next((row for row in self.shortcodes if row.is_active and row.is_default), None)


def checklist(known: Known, *, user: User) -> list[Step]:
    """What leads from nothing to the first automatic payout, in the order in which it works."""
    steps = [*_of_the_partner(known), *_of_mifos(known), *_of_mpesa(known), *_to_switch(known)]
    return [replace(step, is_allowed=user.has_perm(step.right, known.partner)) for step in steps]


def _of_the_partner(known: Known) -> Iterator[Step]:
    partner = known.partner
    bounds = (partner.min_amount, partner.max_amount)
    words = "Sums outside them are held for a person. Empty: only M-Pesa’s own limits count."
    if any(bound is not None for bound in bounds):
        low, high = ("no limit" if bound is None else f"KES {bound:,.2f}" for bound in bounds)
        words = f"Smallest: {low}; largest: {high}."
    yield Step("Set the partner’s limits", any(bound is not None for bound in bounds), words,
               known.url("partners:edit"), "Set limits", "partners.change_partner",
               is_optional=True)  # fmt: skip


def _of_mifos(known: Known) -> Iterator[Step]:
    connection, right = known.connection, "partners.change_mifosconnection"
    form = known.url("connection:edit")
    words = "Address, tenant and a user of its own. Test them before you save."
    if connection:
        words = f"{connection.base_url}, tenant {connection.tenant_id}."
    yield Step("Enter the Mifos X connection", connection is not None, words, form,
               "Change it" if connection else "Enter it", right)  # fmt: skip
    is_chosen = bool(connection and connection.payment_type_id)
    yield Step("Choose the payment type for M-Pesa", is_chosen, _about_payment_type(connection),
               f"{form}#id_payment_type_id", "Choose it", right,
               is_possible=connection is not None)  # fmt: skip
    yield Step("Test the connection", bool(connection and connection.configured_at),
               _about_test(connection), known.url("connection:test"), "Test connection", right,
               is_posted=True, is_possible=connection is not None)  # fmt: skip
    has_address = bool(connection and connection.webhook_url)
    words = "The address that Mifos X calls; its path is the secret."
    yield Step("Make the webhook’s address", has_address, words,
               known.url("connection:webhook-make"), "Make address and secret", right,
               is_posted=True, is_possible=connection is not None)  # fmt: skip
    is_registered, words = hook(known)
    yield Step("Register the hook in Mifos X", is_registered, words,
               known.url("connection:webhook-register"), "Register in Mifos X", right,
               is_posted=True, is_possible=has_address)  # fmt: skip
    on = [product for product in known.products if product.is_automatic]
    words = "The test lists them; each is off for automatic disbursement until you choose it."
    if known.products:
        words = f"{len(on)} of {len(known.products)} are paid automatically."
    yield Step("Choose the loan products", bool(on), words, known.url("connection:products"),
               "Choose products", right, is_possible=bool(known.products))  # fmt: skip


def _about_payment_type(connection: MifosConnection | None) -> str:
    if connection is None:
        return "Mifos X lists them once the connection is tested."
    chosen = connection.payment_type_id
    if chosen is None:
        return "Press Test connection: Mifos X lists its payment types; choose M-Pesa’s, and save."
    named = {kind["id"]: kind["name"] for kind in connection.payment_types}
    return f"{named[chosen]} ({chosen})." if chosen in named else f"Number {chosen}."


def _about_test(connection: MifosConnection | None) -> str:
    if connection and connection.configured_at:
        return "It passed. A test switches nothing on."
    if connection and (failed := first_failure(connection.last_test)):
        return f"The last one failed. {failed['name']}: {failed['words']}"
    if connection and connection.last_test:
        return "What was tested is not what is saved now. Test it again."
    return "Each step says in words what it found, and what to do."


def hook(known: Known) -> tuple[bool, str]:
    """Whether Mifos X's hook calls our present address, and how we know: the newest sign counts."""
    connection = known.connection
    if connection is None or not connection.webhook_url:
        return False, MAKE_ADDRESS_FIRST
    proofs, doubts = _signs_of_hook(connection, known)
    proof, doubt = max(proofs, default=None), max(doubts, default=None)
    if proof and (doubt is None or proof[0] > doubt[0]):
        return True, proof[1]
    if doubt and connection.hook_id:
        return False, doubt[1]
    if connection.hook_id:
        return True, f"Hook {connection.hook_id} in Mifos X points here."
    return False, "In one click through Mifos X’s API, or by hand with the steps on its page."


Sign = tuple[datetime, str]


def _signs_of_hook(connection: MifosConnection, known: Known) -> tuple[list[Sign], list[Sign]]:
    """What speaks for it and what against it, each with its time."""
    proofs, doubts = list[Sign](), list[Sign]()
    if rotated_at := rotated_at_of(connection):
        words = "The address was rotated since. Register it again before the old one ends."
        doubts.append((rotated_at, words))
    elif known.last_event_at:
        # After a rotation nobody can tell which of the two addresses was called.
        proofs.append((known.last_event_at, "Mifos X has called the address."))
    if registered_at := _registered_at(known.jobs.get(work.REGISTER)):
        proofs.append((registered_at, f"Hook {connection.hook_id} is active and points here."))
    seen = next((step for step in connection.last_test if step["name"] == "Hook"), None)
    if seen and connection.last_tested_at and seen["result"] in ("ok", "warning"):
        side = proofs if seen["result"] == "ok" else doubts
        side.append((connection.last_tested_at, seen["words"]))
    return proofs, doubts


def rotated_at_of(connection: MifosConnection) -> datetime | None:
    """When the webhook's address was last rotated, while the one before is known."""
    until = connection.previous_token_until
    return until - connection.ROTATION if until else None


def _registered_at(job: Job | None) -> datetime | None:
    return job.ended_at if job and job.state == Job.State.DONE else None


def _of_mpesa(known: Known) -> Iterator[Step]:
    right, row = "partners.change_mpesashortcode", known.default
    code = known.partner.code
    link, verb = reverse("shortcodes:add", args=[code]), "Enter it"
    words = "The B2C number that pays, and its credentials at Safaricom."
    if some := row or next(iter(known.shortcodes), None):
        link, verb = reverse("shortcodes:edit", args=[code, some.pk]), "Change it"
        words = str(row) if row else "None is active and the default one: nothing can be paid."
    yield Step("Enter the M-Pesa shortcode", row is not None, words, link, verb, right)
    words = "Token, security credential and balance, at Safaricom itself."
    if row and row.is_paused:
        words = f"Paused: {row.pause_reason}"
    elif row and row.credential_proved_at:
        words = "M-Pesa took the credential."
    yield Step("Test M-Pesa", bool(row and row.credential_proved_at and not row.is_paused), words,
               f"{known.url('partners:detail')}#mpesa", "Go to M-Pesa", right,
               is_possible=row is not None)  # fmt: skip


def _to_switch(known: Known) -> Iterator[Step]:
    connection = known.connection
    words = "From then on approved loans are taken in. Those approved before wait for a person."
    if connection and connection.is_on:
        words = "Approved loans are taken in, by hook and by polling."
    yield Step("Switch the connection on", bool(connection and connection.is_on), words,
               known.url("connection:on"), "Switch on…", "partners.change_mifosconnection",
               is_possible=bool(connection and connection.configured_at))  # fmt: skip
    words = "Shows first what would be paid, what would wait and what would be held."
    if known.partner.is_automatic:
        words = "Loans that pass every rule are paid without a person."
    yield Step("Switch automatic disbursement on", known.partner.is_automatic, words,
               known.url("automatic:switch"), "See what would happen…",
               "partners.change_partner", is_possible=not why_not_automatic(known))  # fmt: skip


def why_not_automatic(known: Known) -> list[tuple[str, str, str]]:
    """What must be put right before automatic disbursement is switched on: words, link, verb."""
    connection, row = known.connection, known.default
    mpesa = f"{known.url('partners:detail')}#mpesa"
    found = list[tuple[str, str, str]]()
    if not known.partner.is_active:
        found.append(("The partner is not active.", known.url("partners:edit"), "Activate it"))
    if connection is None:
        return [*found, ("There is no Mifos X connection.", known.url("connection:edit"),
                         "Enter it")]  # fmt: skip
    if not connection.configured_at:
        words = "The Mifos X connection hasn’t passed its test."
        found.append((words, known.url("connection:edit"), "Test it"))
    elif not connection.is_on:
        words = "The Mifos X connection is switched off."
        found.append((words, known.url("connection:on"), "Switch it on"))
    if row is None:
        words = "No M-Pesa shortcode is active and the default one."
        found.append((words, mpesa, "Enter one"))
    elif not row.credential_proved_at:
        words = f"M-Pesa hasn’t taken the credential of shortcode {row.shortcode} yet."
        found.append((words, mpesa, "Test it"))
    if not any(product.is_automatic for product in known.products):
        words = "No loan product is chosen to be paid automatically."
        found.append((words, known.url("connection:products"), "Choose products"))
    return found
