"""The page a person looks at: apps to connect, their float, what was paid, what goes wrong next."""

import re
import secrets
from collections.abc import Callable, Mapping
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING

from paymentvault.sandbox import markup
from paymentvault.sandbox.safaricom_core import Account, Payment
from paymentvault.sandbox.safaricom_faults import FAULTS
from paymentvault.sandbox.server import Answer, Request

if TYPE_CHECKING:
    from paymentvault.sandbox.safaricom import Safaricom

TITLE = "Pretend M-Pesa, with its Daraja portal"
FLOAT = Decimal(1_000_000)
CERTIFICATE = "/certificate.cer"
# At most this many of the newest payments.
LATEST = 100
COLUMNS = ("When", "To", "Sum, KES", "From shortcode", "Receipt", "What became of it")

Act = Callable[["Safaricom", Mapping[str, str]], str]


def answer(world: "Safaricom", request: Request) -> Answer | None:
    """None for what is no part of the page."""
    if request.method == "POST" and (act := ACTS.get(request.path)):
        return _said(world, act, request.form())
    if request.method != "GET":
        return None
    if request.path == "/":
        return Answer(200, _page(world, request))
    if request.path == "/ledger":
        return Answer(200, _ledger(world))
    if request.path == CERTIFICATE:
        return Answer(200, world.certificate_pem.encode())
    return None


def _said(world: "Safaricom", act: Act, form: Mapping[str, str]) -> Answer:
    try:
        return markup.back(act(world, form))
    except (ValueError, KeyError, ArithmeticError) as error:
        return markup.back(f"That did not work: {error}")


def _create(world: "Safaricom", form: Mapping[str, str]) -> str:
    shortcode = str(600_000 + secrets.randbelow(100_000))
    while shortcode in world.accounts:
        shortcode = str(600_000 + secrets.randbelow(100_000))
    world.add_app(
        consumer_key=secrets.token_hex(16), consumer_secret=secrets.token_hex(8),
        shortcode=shortcode, initiator="payment-vault", password=f"{secrets.token_urlsafe(9)}#1",
        utility_balance=FLOAT,
    )  # fmt: skip
    return f"The app and its shortcode {shortcode} were created."


def _add_float(world: "Safaricom", form: Mapping[str, str]) -> str:
    account = world.accounts[form["shortcode"]]
    world.set_balance(account.shortcode, account.utility + FLOAT)
    return f"KES {FLOAT:,} were added to the float of {account.shortcode}."


def _take_float(world: "Safaricom", form: Mapping[str, str]) -> str:
    world.set_balance(form["shortcode"], 0)
    return f"The float of {form['shortcode']} is empty now."


def _plan(world: "Safaricom", form: Mapping[str, str]) -> str:
    digits = re.sub(r"\D", "", form["mobile"])
    msisdn = re.sub(r"^0", "254", digits)
    if not re.fullmatch(r"254[17]\d{8}", msisdn):
        raise ValueError("give a number such as 0712 345 678")
    world.plan(msisdn, form["fault"])
    return f"The next payout to {msisdn} meets this: {form['fault']}."


ACTS: dict[str, Act] = {
    "/app": _create,
    "/float/add": _add_float,
    "/float/take": _take_float,
    "/plan": _plan,
}


def _page(world: "Safaricom", request: Request) -> str:
    apps = [_app(world, request, account) for account in reversed(list(world.accounts.values()))]
    body = f"""
<h1>{TITLE}</h1>
<p>No real money: this stands in for Safaricom in tests and demonstrations.</p>
{markup.told(request)}
<form method="post" action="/app"><button>Create an app with a shortcode</button></form>
<h2>Apps</h2>
{"".join(apps) or "<p>No app yet.</p>"}
<h2>Certificate</h2>
<p>The same for all apps. Copy the text, or <a href="{CERTIFICATE}">download the file</a>.</p>
<pre>{escape(world.certificate_pem)}</pre>
<h2>Payments</h2>
<iframe src="/ledger" title="Payments, refreshed every 5 seconds"></iframe>
{_faults()}"""
    return markup.page(TITLE, body)


def _app(world: "Safaricom", request: Request, account: Account) -> str:
    """What Payment Vault's form of a shortcode asks for, named as it names it."""
    rows = {
        "Shortcode": account.shortcode,
        "Environment": "Sandbox",
        "Address instead of Safaricom's": markup.address_of(request),
    }
    for app in list(world.apps.values()):
        if account.shortcode in app.shortcodes:
            rows |= {"Consumer key": app.consumer_key, "Consumer secret": app.consumer_secret}
    for operator in list(account.operators.values()):
        rows |= {"Initiator name": operator.name, "Initiator password": operator.password}
    title = f"Shortcode {account.shortcode}, float KES {account.utility:,}"
    return f"""
{markup.values(title, rows)}
{_float("add", "Add float", f"KES {FLOAT:,} more", account)}
{_float("take", "Take float away", "none is left", account)}"""


def _float(act: str, label: str, what: str, account: Account) -> str:
    return f"""<form method="post" action="/float/{act}" class="inline">
<input type="hidden" name="shortcode" value="{account.shortcode}">
<button aria-label="{label} of {account.shortcode}">{label}: {what}</button></form>"""


def _faults() -> str:
    return f"""
<form method="post" action="/plan" class="card">
<h2>Let the next payout to a number go wrong</h2>
<label>Phone <input name="mobile" inputmode="tel" required></label>
<label>What goes wrong <select name="fault">{markup.options(FAULTS)}</select></label>
<button>Plan it</button>
</form>"""


def _ledger(world: "Safaricom") -> str:
    rows = [_row(payment) for payment in reversed(list(world.ledger)[-LATEST:])]
    refresh = '<meta http-equiv="refresh" content="5">'
    table = markup.table(COLUMNS, rows, empty="Nothing was paid yet.")
    return markup.page("Payments", table, head=refresh)


def _row(payment: Payment) -> tuple[str, ...]:
    became = "Paid" if payment.status == "Completed" else f"Declined, {payment.result_code}"
    return (
        f"{payment.at:%-d %b %H:%M:%S}",
        payment.msisdn,
        f"{payment.amount:,}",
        payment.shortcode,
        payment.receipt if payment.status == "Completed" else "none",
        escape(became),
    )
