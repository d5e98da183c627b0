"""The page a person looks at while playing with the pretend Mifos X."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from html import escape
from typing import TYPE_CHECKING

import requests

from paymentvault.sandbox.mifos_delivery import ask
from paymentvault.sandbox.mifos_errors import ApiError
from paymentvault.sandbox.mifos_faults import CALL_FAULTS, HOOK_FAULTS
from paymentvault.sandbox.mifos_loans import STATUSES
from paymentvault.sandbox.mifos_markup import PAGE, offered, option, options, table
from paymentvault.sandbox.mifos_records import ACTIVE, APPROVED, PENDING, Loan
from paymentvault.sandbox.server import Answer, Request

if TYPE_CHECKING:
    from paymentvault.sandbox.mifos import Mifos

# What the page offers of a fault that needs a value.
EXAMPLES = {
    "hook_times:N": ("hook_times:2", "The hook is sent twice."),
    "late_hook:SECONDS": ("late_hook:20", "The hook comes 20 seconds late."),
    "slow:SECONDS": ("slow:10", "It takes 10 seconds before anything is answered."),
    "refused:CODE": ("refused:400.002.02", "Refused at once, nothing was taken."),
    "late_callback:SECONDS": ("late_callback:30", "Paid; the callback comes 30 seconds later."),
    "result:CODE": ("result:2040", "Accepted; then M-Pesa declines it, and nothing moves."),
}
BUTTONS = {
    PENDING: (("approve", "Approve"),),
    APPROVED: (("undo_approval", "Undo approval"), ("disburse_by_staff", "Disburse by staff")),
    ACTIVE: (("undo_disbursal", "Undo disbursal"),),
}
ACTS = {act for buttons in BUTTONS.values() for act, _ in buttons}


def handle(world: "Mifos", request: Request) -> Answer:
    if request.method == "GET" and request.path == "/":
        return Answer(200, _page(world, request.query.get("said", "")))
    if request.method == "GET" and request.path == "/list":
        return Answer(200, _list(world))
    if request.method == "POST" and request.path == "/new":
        return _said(lambda: _create(world, request.form()))
    match = re.fullmatch(r"/loan/(\d+)/(\w+)", request.path)
    if request.method == "POST" and match and match[2] in ACTS:
        return _said(lambda: _press(world, int(match[1]), match[2]))
    return Answer(404, PAGE.format(title="Nothing here", head="", body="<h1>Nothing here</h1>"))


def _said(act: Callable[[], str]) -> Answer:
    """Do it, then show the page with a sentence about what happened."""
    try:
        sentence = act()
    except ApiError as error:
        sentence = f"Mifos refused: {error.answer.body['errors'][0]['defaultUserMessage']}"
    except (ValueError, KeyError, InvalidOperation, requests.RequestException) as error:
        sentence = f"That did not work: {error}"
    where = requests.models.PreparedRequest()
    where.prepare_url("http://x/", {"said": sentence})
    return Answer(303, None, {"Location": (where.url or "").removeprefix("http://x")})


def _create(world: "Mifos", form: Mapping[str, str]) -> str:
    amount, fees = Decimal(form["amount"]), Decimal(form.get("fees") or 0)
    if not 0 <= fees < amount:
        raise ValueError("the fees must be less than the sum")
    _plan_mpesa(world, form)
    client_id = world.add_client(name=form["name"], mobile=form.get("mobile"))
    loan_id = world.add_loan(client_id, principal=amount, fees=fees)
    fault = form.get("fault", "")
    if fault in [value for value, _ in offered(_recording(), EXAMPLES)]:
        world.plan(fault, loan_id=loan_id, command="disburse")
        fault = ""
    world.approve(loan_id, faults=[fault] if fault else [])
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


def _page(world: "Mifos", said: str) -> str:
    told = f'<p role="status" class="said">{escape(said)}</p>' if said else ""
    version = ".".join(map(str, world.generation.version))
    body = f"""
<h1>Pretend Mifos X</h1>
<p>Fineract {version}, tenant <code>{escape(world.tenant)}</code>. No real money and no real
people: this stands in for Mifos X in tests and demonstrations.</p>
{told}
{_form(world)}
<h2>Loans</h2>
<iframe src="/list" title="Loans, refreshed every 5 seconds"></iframe>"""
    return PAGE.format(title="Pretend Mifos X", head="", body=body)


def _another_number(world: "Mifos") -> str:
    """The same sum to the same number twice a day looks like a mistake to whoever pays."""
    return f"0712{345_000 + len(world.loans):06}"


def _form(world: "Mifos") -> str:
    mpesa = _mpesa_faults(world)
    picker = f"""
<label>What goes wrong at M-Pesa
<select name="mpesa_fault">{option("", "Nothing")}{options(mpesa, EXAMPLES)}</select></label>"""
    return f"""
<form method="post" action="/new">
<h2>New loan</h2>
<label>Name <input name="name" value="Amina Otieno" required></label>
<label>Phone <input name="mobile" value="{_another_number(world)}" inputmode="tel"></label>
<label>Sum, KES <input name="amount" type="number" value="10000" min="1" required></label>
<label>Fees, KES <input name="fees" type="number" value="0" min="0"></label>
<label>What goes wrong at Mifos
<select name="fault">{option("", "Nothing")}
<optgroup label="When the loan is approved">{options(HOOK_FAULTS, EXAMPLES)}</optgroup>
<optgroup label="When the payment is recorded">{options(_recording(), EXAMPLES)}</optgroup>
</select></label>{picker if mpesa else ""}
<button>Create and approve</button>
</form>"""


def _recording() -> dict[str, str]:
    return {name: text for name, text in CALL_FAULTS.items() if name not in HOOK_FAULTS}


def _list(world: "Mifos") -> str:
    refresh = '<meta http-equiv="refresh" content="5">'
    rows = [_row(world, loan) for loan in reversed(list(world.loans.values()))]
    return PAGE.format(title="Loans", head=refresh, body=table(rows))


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
