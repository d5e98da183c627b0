"""What staff start from a connection's pages and a worker does, told step by step."""

import time
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from disbursements.outlook import Prospect
from disbursements.states import Status
from mifos import connections, polling, port, prospects
from mifos.models import Event
from partners import products, work
from partners.forms import MifosConnectionForm
from partners.models import MifosConnection, Partner
from paymentvault import audit, jobs
from paymentvault.http import Answer, Refused, RemoteError, Transport
from paymentvault.jobs import Broken, Running

NOTHING_ON = "Nothing was switched on by it."
AGAIN = " Your browser's Back button leads to it; what is secret must be typed again."
PROCESSED_WITHIN_S = 20.0


# -- test


@jobs.kind(work.TEST, shown_to="partners.view_partner", about=work.partner_of)
def test_connection(running: Running) -> str:
    """On what was typed, with nothing kept; or on what is saved, with the result kept."""
    running.progress(0, len(connections.ConnectionTest.STEPS))
    partner = Partner.objects.get(pk=running.given["partner"])
    if typed := running.given.get("typed"):
        return _test_typed(running, partner, typed)
    connection = _connection(running)
    had = connection.products.count()
    steps = connections.test(
        connection, by=running.by.get_username(), source_address=_address(running),
        tell=lambda step: _tell(running, step),
    )  # fmt: skip
    is_first_list = not had and connection.products.exists()
    note = " Its loan products are listed now; choose which are paid automatically."
    return _verdict(steps) + (note if is_first_list else "")


def _test_typed(running: Running, partner: Partner, typed: dict[str, Any]) -> str:
    connection = typed_connection(partner, typed)
    looking = connections.ConnectionTest(connection)
    steps = []
    for step in looking.run():
        steps.append(step)
        types = looking.payment_types if step.name == "Payment type" else None
        more = {"types": [asdict(kind) for kind in types]} if types else {}
        _tell(running, step, **more)
    audit.record(
        "connection tested", by=running.by.get_username(), subject=connection, typed=True,
        passed=connections.has_passed(steps), partner_code=partner.code,
        source_address=_address(running),
    )  # fmt: skip
    only_type = [s.name for s in steps if s.result == "failed"] == ["Payment type"]
    if only_type:
        again = "" if running.given.get("in_place") else AGAIN
        return f"All but the payment type is right: choose it in the form, then save.{again}"
    again = "" if running.given.get("in_place") else AGAIN
    return f"{_verdict(steps)} What you typed isn't saved yet.{again}"


def typed_connection(partner: Partner, typed: dict[str, Any]) -> MifosConnection:
    """The connection as typed, not saved; a secret that was left empty is the saved one.

    Raises Broken where what is saved by now is no longer what was typed for: a secret that was
    saved since for another server stays there.
    """
    saved = MifosConnection.objects.filter(partner=partner).first()
    form = MifosConnectionForm(typed, instance=saved or MifosConnection(partner=partner))
    if not form.is_valid():
        told = " ".join(str(error) for errors in form.errors.values() for error in errors)
        raise Broken(f"What is saved changed meanwhile. Nothing was sent. {told}")
    # As validated, with what was kept.
    connection: MifosConnection = form.instance
    return connection


def _verdict(steps: list[connections.Step]) -> str:
    failed = [step.name for step in steps if step.result == "failed"]
    warned = [step.name for step in steps if step.result == "warning"]
    if failed:
        return f"Not passed: {', '.join(failed)}. {NOTHING_ON}"
    if not connections.has_passed(steps):
        return f"Not passed: not everything was looked at. {NOTHING_ON}"
    return f"Passed{', with something to look at: ' + ', '.join(warned) if warned else ''}. " + (
        NOTHING_ON
    )


def _tell(running: Running, step: connections.Step, **more: Any) -> None:
    running.tell(asdict(step) | more)
    running.progress(len(running.job.lines))


# -- the webhook


@jobs.kind(work.REGISTER, shown_to="partners.view_partner", about=work.partner_of)
def register_hook(running: Running) -> str:
    connection = _connection(running)
    known, began = connection.hook_id, time.monotonic()
    try:
        hook = connections.register_hook(
            connection, by=running.by.get_username(), source_address=_address(running)
        )
    except ValueError as error:
        raise Broken(str(error)) from error
    except RemoteError as error:
        raise Broken(_why_not_registered(error)) from error
    was = "It was there and was updated." if hook.id == known else "It is kept there now."
    _line(running, f"Hook {hook.id} in Mifos X", "ok", was, began)
    _line(running, "Active", "ok", "It is ticked active.")
    _line(running, "Address", "ok", "It points to this partner's address, letter by letter.")
    missing = [f"{entity} {action}" for entity, action in connections.EVENTS
               if (entity, action) not in hook.events]  # fmt: skip
    words = f"It lacks {', '.join(missing)}." if missing else "All that matter."
    _line(running, "Events", "warning" if missing else "ok", words)
    return "Registered. Send a test event to see it arrive." if not missing else "Registered."


def _why_not_registered(error: RemoteError) -> str:
    if error.code.endswith("url.invalid"):
        return (
            "Mifos X called the webhook's address and got no answer, so it kept no hook. Its "
            f"server must reach {settings.PUBLIC_URL}: let whoever runs it open the way, then "
            "register again. Loans are found by polling meanwhile."
        )
    if isinstance(error, Refused) and error.status == 403:
        return (
            f"Mifos X refused: {error} Give the user's role READ_HOOK, CREATE_HOOK and "
            "UPDATE_HOOK, or register the hook by hand."
        )
    return f"Mifos X: {error}. Test the connection, then register again."


@jobs.kind(work.TRIAL, shown_to="partners.view_partner", about=work.partner_of)
def try_webhook(running: Running) -> str:
    """Call the webhook as Mifos X does, over real HTTP, and follow what comes of it."""
    connection, began = _connection(running), time.monotonic()
    if not connection.webhook_url:
        raise Broken("Make the webhook's address first.")
    try:
        answer = _deliver(connection)
    except RemoteError as error:
        raise Broken(
            f"This server can't reach {_host(connection)}: {error}. Look at PUBLIC_URL, its name "
            "in DNS, its certificate and the proxy. Some networks let no server call its own "
            "public address: then only Mifos X's own call can tell. No loan was touched."
        ) from error
    _line(running, "The address answers", "ok" if answer.status == 202 else "failed",
          f"HTTP {answer.status}.", began)  # fmt: skip
    if answer.status != 202:
        raise Broken(_why_not_taken(answer))
    event = Event.objects.get(pk=answer.object["event"], connection=connection)
    link = reverse("events:detail", args=[event.pk])
    running.tell({"name": "It is kept", "result": "ok", "words": f"As event {event.pk}.",
                  "link": link})  # fmt: skip
    began = time.monotonic()
    while event.state == Event.State.WAITING:
        if time.monotonic() - began > PROCESSED_WITHIN_S:
            words = "No worker has looked at it yet. Do the workers run?"
            _line(running, "It is processed", "warning", words, began)
            return "It arrived and is kept, but is not processed yet."
        time.sleep(0.2)
        event.refresh_from_db()
    _line(running, "It is processed", "ok", f"{event.get_state_display()}: {event.outcome}", began)
    if not connection.is_on:
        return "The webhook works. The connection is off: until it is on, each event is ignored."
    return "The webhook works. The event was about no loan, so nothing was to be done."


def _deliver(connection: MifosConnection) -> Answer:
    url = connection.webhook_url
    # Our own address, from our own settings: it may well be in a private network.
    transport = Transport(
        allow_private=True, allow_http=url.startswith("http:"), connect_timeout_s=5,
        read_timeout_s=15,
    )  # fmt: skip
    body = {
        # About no loan, so it can pay nothing.
        "entityName": work.TRIAL_HEADERS["X-Fineract-Entity"],
        "actionName": work.TRIAL_HEADERS["X-Fineract-Action"],
        "response": {"note": "A test, sent from the portal. It is about no loan."},
        "timestamp": timezone.now().isoformat(),
    }  # fmt: skip
    headers = work.TRIAL_HEADERS | {"Fineract-Platform-TenantId": connection.tenant_id}
    return transport.send("POST", url, json=body, headers=headers)


def _why_not_taken(answer: Answer) -> str:
    if 300 <= answer.status < 400:
        return (
            "Something in front of this portal redirects the call, and Mifos X would lose it "
            "there. Let the proxy pass it on as it is. No loan was touched."
        )
    if answer.status == 404:
        return (
            "The address answers, but the call didn't arrive at this connection: a proxy changes "
            "the path, or PUBLIC_URL is another server. No loan was touched."
        )
    return "The call wasn't taken. Look at the proxy and at this server's log. No loan was touched."


def _host(connection: MifosConnection) -> str:
    """In words; a host name for hooks is a secret, and whoever may see the partner reads this."""
    return "the host name for hooks" if connection.hook_host else settings.PUBLIC_URL


# -- products and loans


@jobs.kind(work.PRODUCTS, shown_to="partners.view_partner", about=work.partner_of)
def ask_for_products(running: Running) -> str:
    connection, began = _connection(running), time.monotonic()
    try:
        listed = port.client_of(connection).get_loan_products()
    except RemoteError as error:
        raise Broken(f"Mifos X: {error}. Nothing was changed. Test the connection.") from error
    new = products.listed(connection, {product.id: product.name for product in listed})
    _line(running, "Loan products", "ok", f"Mifos X lists {len(listed)}.", began)
    if new:
        return f"{new} new, not paid automatically until you choose so."
    return "None is new."


@jobs.kind(work.POLL, shown_to="partners.view_partner", about=work.partner_of)
def poll_now(running: Running) -> str:
    connection, began = _connection(running), timezone.now()
    if not connection.is_on:
        raise Broken("The connection is switched off, so nothing is polled.")
    new = polling.poll_one(connection.pk)
    connection.refresh_from_db()
    if connection.polled_at and connection.polled_at >= began:
        audit.record(
            "polled", by=running.by.get_username(), subject=connection, new=new,
            partner_code=connection.partner.code, source_address=_address(running),
        )  # fmt: skip
        return f"Polled to its end. New loans: {new}."
    if connection.last_error:
        raise Broken(f"Mifos X: {connection.last_error}. It is tried again by itself.")
    return "It is being polled by another worker just now."


@jobs.kind(work.OUTLOOK, shown_to="partners.view_partner", about=work.partner_of)
def look_ahead(running: Running) -> str:
    """What automatic disbursement would do with the approved loans that aren't here yet."""
    connection = _connection(running)
    told = dict.fromkeys(LABELS, 0)
    total, tail = Decimal(0), ""
    try:
        for prospect in prospects.prospects(connection, is_automatic=True):
            if isinstance(prospect, str):
                running.tell({"name": "A loan", "label": "Not read", "tone": "warn",
                              "words": prospect})  # fmt: skip
                continue
            assert prospect.status is not None  # noqa: S101 -- known ones aren't told
            told[prospect.status] += 1
            total += prospect.facts.net if prospect.status == Status.APPROVED else 0
            running.tell(_in_line(prospect))
    except prospects.More:
        tail = " There are more, which were not looked at."
    except RemoteError as error:
        raise Broken(f"Mifos X: {error}. Nothing was changed. Test the connection.") from error
    if not any(told.values()):
        return "No approved loan is in Mifos X that isn't here already." + tail
    return (
        f"Would be paid: {told[Status.APPROVED]}, KES {total:,.2f} in all. Would wait for a "
        f"person: {told[Status.AWAITING_APPROVAL]}. Would be held: {told[Status.HELD]}.{tail}"
    )


LABELS = {
    Status.APPROVED: ("Would be paid", "ok"),
    Status.AWAITING_APPROVAL: ("Would wait", "wait"),
    Status.HELD: ("Would be held", "warn"),
}


def _in_line(prospect: Prospect) -> dict[str, Any]:
    label, tone = LABELS[prospect.status]  # type: ignore[index]
    facts = prospect.facts
    return {
        "name": f"Loan {facts.account or facts.loan_id}, {facts.client_name or 'no name'}, "
        f"{facts.currency} {facts.net:,.2f}",
        "label": label, "tone": tone, "words": prospect.words,
    }  # fmt: skip


def _connection(running: Running) -> MifosConnection:
    found = MifosConnection.objects.select_related("partner").filter(
        partner=running.given["partner"]
    )
    if connection := found.first():
        return connection
    raise Broken("There is no Mifos X connection. Enter it first.")


def _address(running: Running) -> str | None:
    address: str | None = running.given.get("address")
    return address


def _line(running: Running, name: str, result: str, words: str, began: float | None = None) -> None:
    took = {} if began is None else {"took_ms": int((time.monotonic() - began) * 1000)}
    running.tell({"name": name, "result": result, "words": words} | took)
