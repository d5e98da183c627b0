"""The page a person looks at while playing with the pretend Mifos X."""

import re
import secrets
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from html import escape
from typing import TYPE_CHECKING

import requests

from paymentvault.sandbox import markup
from paymentvault.sandbox.markup import offered, option, options
from paymentvault.sandbox.mifos_delivery import ask
from paymentvault.sandbox.mifos_errors import ApiError
from paymentvault.sandbox.mifos_faults import CALL_FAULTS, HOOK_FAULTS
from paymentvault.sandbox.mifos_loans import STATUSES
from paymentvault.sandbox.mifos_records import ACTIVE, APPROVED, PENDING, Loan
from paymentvault.sandbox.mifos_routes import API
from paymentvault.sandbox.server import Answer, Request

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

COLUMNS = ("Loan", "Client", "Phone", "Sum, KES", "Status", "Receipt", "")
BUTTONS = {
    PENDING: (("approve", "Approve"),),
    APPROVED: (("undo_approval", "Undo approval"), ("disburse_by_staff", "Disburse by staff")),
    ACTIVE: (("undo_disbursal", "Undo disbursal"),),
}
ACTS = {act for buttons in BUTTONS.values() for act, _ in buttons}


def handle(world: "Mifos", request: Request) -> Answer:
    if request.method == "GET" and request.path == "/":
        return Answer(200, _page(world, request))
    if request.method == "GET" and request.path == "/list":
        return Answer(200, _list(world))
    if request.method == "POST" and request.path == "/new":
        return _said(lambda: _create(world, request.form()))
    if request.method == "POST" and request.path == "/user":
        return _said(lambda: _create_user(world))
    match = re.fullmatch(r"/loan/(\d+)/(\w+)", request.path)
    if request.method == "POST" and match and match[2] in ACTS:
        return _said(lambda: _press(world, int(match[1]), match[2]))
    return Answer(404, markup.page("Nothing here", "<h1>Nothing here</h1>"))


def _said(act: Callable[[], str]) -> Answer:
    """Do it, then show the page with a sentence about what happened."""
    try:
        sentence = act()
    except ApiError as error:
        sentence = f"Mifos refused: {error.answer.body['errors'][0]['defaultUserMessage']}"
    except (ValueError, KeyError, InvalidOperation, requests.RequestException) as error:
        sentence = f"That did not work: {error}"
    return markup.back(sentence)


def _create_user(world: "Mifos") -> str:
    name = "payment-vault"
    while name in world.users:
        name = f"payment-vault-{secrets.randbelow(10_000)}"
    world.add_user(name, secrets.token_urlsafe(9))
    return f"The user {name} was created. Its password never expires."


def _create(world: "Mifos", form: Mapping[str, str]) -> str:
    amount, fees = Decimal(form["amount"]), Decimal(form.get("fees") or 0)
    if not 0 <= fees < amount:
        raise ValueError("the fees must be less than the sum")
    fault, is_approved = form.get("fault", ""), form.get("then") != "wait"
    while_recording = fault in [value for value, _ in offered(_recording())]
    if fault and not (is_approved or while_recording):
        raise ValueError("that goes wrong when a loan is approved: approve it at once")
    _plan_mpesa(world, form)
    client_id = world.add_client(name=form["name"], mobile=form.get("mobile"))
    loan_id = world.add_loan(client_id, principal=amount, fees=fees)
    if while_recording:
        world.plan(fault, loan_id=loan_id, command="disburse")
    if not is_approved:
        return f"Loan {loan_id} for {form['name']} was created. It waits for approval."
    world.approve(loan_id, faults=[fault] if fault and not while_recording else [])
    return f"Loan {loan_id} for {form['name']} was created and sent for approval."


def _press(world: "Mifos", loan_id: int, act: str) -> str:
    getattr(world, act)(loan_id)
    return f"Loan {loan_id}: {act.replace('_', ' ')}, done."


def _plan_mpesa(world: "Mifos", form: Mapping[str, str]) -> None:
    fault = form.get("mpesa_fault")
    if not (world.safaricom_url and fault):
        return
    number = re.sub(r"\D", "", form.get("mobile", ""))
    body = {"msisdn": re.sub(r"^0", "254", number), "faults": [fault]}
    url = f"{world.safaricom_url.rstrip('/')}/_sandbox/plan"
    ask(world, "POST", url, json=body).raise_for_status()


def _mpesa_faults(world: "Mifos") -> dict[str, str]:
    """Nothing when the pretend Safaricom isn't there, or doesn't tell."""
    if not world.safaricom_url:
        return {}
    url = f"{world.safaricom_url.rstrip('/')}/_sandbox/faults"
    try:
        answer = ask(world, "GET", url)
        answer.raise_for_status()
        return dict(answer.json()["b2c"])
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return {}


def _page(world: "Mifos", request: Request) -> str:
    title = f"Pretend Mifos X{f' of {world.lender}' if world.lender else ''}"
    version = ".".join(map(str, world.generation.version))
    body = f"""
<h1>{escape(title)}</h1>
<p>Fineract {version}. No real money and no real people: this stands in for a lender’s Mifos X in
tests and demonstrations.</p>
{markup.told(request)}
{_access(world, request)}
{_form(world)}
<h2>Loans</h2>
<iframe src="/list" title="Loans, refreshed every 5 seconds"></iframe>"""
    return markup.page(title, body)


def _access(world: "Mifos", request: Request) -> str:
    """What connects Payment Vault, named as its form names it."""
    where = {"Address of the server": markup.address_of(request), "Path of the API": API,
             "Tenant": world.tenant}  # fmt: skip
    users = "".join(
        markup.values(f"User {number}", {"User name": user.username, "Password": user.password})
        for number, user in enumerate(list(world.users.values()), 1)
    )
    return f"""
<h2>Access for Payment Vault</h2>
{markup.values("For the connection, in Payment Vault", where)}
{users or "<p>No user yet.</p>"}
<form method="post" action="/user"><button>Create a user for Payment Vault</button></form>"""


def _another_number() -> str:
    """The same sum to the same number twice a day looks like a mistake to whoever pays."""
    return f"0712{secrets.randbelow(10**6):06}"


def _form(world: "Mifos") -> str:
    mpesa = _mpesa_faults(world)
    picker = f"""
<label>What goes wrong at M-Pesa
<select name="mpesa_fault">{option("", "Nothing")}{options(mpesa)}</select></label>"""
    return f"""
<form method="post" action="/new" class="card">
<h2>New loan</h2>
<label>Name <input name="name" value="Amina Otieno" required></label>
<label>Phone <input name="mobile" value="{_another_number()}" inputmode="tel"></label>
<label>Sum, KES <input name="amount" type="number" value="10000" min="1" required></label>
<label>Fees, KES <input name="fees" type="number" value="0" min="0"></label>
<label>What goes wrong at Mifos
<select name="fault">{option("", "Nothing")}
<optgroup label="When the loan is approved">{options(HOOK_FAULTS)}</optgroup>
<optgroup label="When the payment is recorded">{options(_recording())}</optgroup>
</select></label>{picker if mpesa else ""}
<button>Create and approve</button>
<button name="then" value="wait">Create, approve later</button>
</form>"""


def _recording() -> dict[str, str]:
    return {name: text for name, text in CALL_FAULTS.items() if name not in HOOK_FAULTS}


def _list(world: "Mifos") -> str:
    refresh = '<meta http-equiv="refresh" content="5">'
    rows = [_row(world, loan) for loan in reversed(list(world.loans.values()))]
    body = markup.table(COLUMNS, rows, empty="No loans yet.")
    return markup.page("Loans", body, head=refresh)


def _row(world: "Mifos", loan: Loan) -> tuple[str, ...]:
    client = world.clients[loan.client_id] if loan.client_id is not None else None
    return (
        str(loan.id),
        escape(client.name if client else "A group"),
        escape((client.mobile if client else None) or "none"),
        f"{loan.principal:,}",
        escape(STATUSES[loan.status][1]),
        escape(", ".join(loan.receipts) or "none"),
        "".join(_button(loan, act, label) for act, label in BUTTONS.get(loan.status, ())),
    )


def _button(loan: Loan, act: str, label: str) -> str:
    return (
        f'<form method="post" action="/loan/{loan.id}/{act}" target="_top">'
        f'<button aria-label="{label}: loan {loan.id}">{label}</button></form>'
    )
