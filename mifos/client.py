"""Mifos X's API (Apache Fineract 1.0 to 1.11), as far as payouts need it.

Old servers ignore what they don't know, so what was asked for is always checked here too. HTTP
403 means a business rule as often as a permission: errors are told apart by Mifos's own code.
"""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from mifos import answers
from mifos.answers import (
    Client,
    CommandResult,
    Hook,
    Identity,
    Loan,
    LoanProduct,
    Office,
    PaymentType,
    Unreadable,
)
from mifos.errors import BAD_TENANT, UNREADABLE, error_in
from paymentvault.http import Answer, NotSent, OutcomeUnknown, Refused, Transport

T = TypeVar("T")
PAGE = 200
DATE_FORMAT = {"dateFormat": "yyyy-MM-dd", "locale": "en"}


class Tokens(Protocol):
    def get(self) -> str: ...
    def drop(self, token: str) -> None: ...


@dataclass(frozen=True)
class MifosClient:
    """Raises NotSent, Refused (with Mifos's code) or OutcomeUnknown."""

    base_url: str
    tenant: str
    transport: Transport
    username: str = ""
    password: str = field(default="", repr=False)
    tokens: Tokens | None = None
    """Where there are tokens they are used (OAuth2), otherwise Basic."""

    # -- who we are

    def authenticate(self) -> Identity:
        """Whether the credentials are good, and what they may do (empty if it doesn't say)."""
        body = self._get("/userdetails") if self.tokens else self._authenticate_basic()
        permissions = body.get("permissions") if isinstance(body, dict) else None
        return Identity(
            username=str(body.get("username") or self.username),
            permissions=frozenset(str(p) for p in permissions or ()),
        )

    def _authenticate_basic(self) -> dict[str, Any]:
        """JSON from 1.4 on; up to 1.3 query parameters, which proxies log.

        An old server refuses the JSON as it refuses a wrong password, so the password is first
        proved on another call: a wrong one, perhaps another system's, never stands in an address.
        """
        login = {"username": self.username, "password": self.password}
        try:
            return self._object("POST", "/authentication", json=login)
        except Refused as error:
            if error.status not in (400, 401, 415) or error.code == BAD_TENANT:
                raise
        except OutcomeUnknown as error:
            if error.status is None:
                raise
        self._prove_credentials()
        return self._object("POST", "/authentication", params=login)

    def _prove_credentials(self) -> None:
        try:
            self.get_offices()
        except Refused as error:
            if error.status != 403:
                raise

    # -- reading

    def get_loan(self, loan_id: int, *, transactions: bool = False) -> Loan:
        wanted = "charges,multiDisburseDetails" + (",transactions" if transactions else "")
        body = self._get(f"/loans/{int(loan_id)}", params={"associations": wanted})
        return self._read(answers.loan, body)

    def get_client(self, client_id: int) -> Client:
        return self._read(answers.client, self._get(f"/clients/{int(client_id)}"))

    def get_approved_loans(self) -> Iterator[Loan]:
        """Every loan that is approved and not disbursed, each once.

        Servers up to 1.8 know only sqlSearch, later ones only status, and each ignores the other
        silently and then returns all loans: so both are sent and each loan is looked at. One that
        can't be read is told at the end, so that it doesn't keep the others back.
        """
        seen: set[int] = set()
        unreadable: list[str] = []
        before: list[Any] = []
        for offset in range(0, 10_000_000, PAGE):
            page = self._loans_page(offset)
            if page == before:
                break  # A server that ignores the offset would show this page for ever.
            before = page
            for body in page:
                try:
                    loan = answers.loan(body)
                except Unreadable as error:
                    unreadable.append(str(error))
                    continue
                if loan.is_approved and loan.id not in seen:
                    seen.add(loan.id)
                    yield loan
            if len(page) < PAGE:
                break
        if unreadable:
            words = f"{len(unreadable)} loans in its list can't be read: {unreadable[0]}"
            raise Refused(words, code=UNREADABLE)

    def _loans_page(self, offset: int) -> list[Any]:
        params = {
            "status": answers.APPROVED,
            "sqlSearch": f"l.loan_status_id={answers.APPROVED}",
            "offset": offset, "limit": PAGE, "orderBy": "id", "sortOrder": "ASC",
        }  # fmt: skip
        body = self._get("/loans", params=params)
        items = body.get("pageItems") if isinstance(body, dict) else None
        if not isinstance(items, list):
            raise Refused("Mifos X's list of loans can't be read.", code=UNREADABLE)
        return items

    def get_loan_products(self) -> list[LoanProduct]:
        return self._list(answers.loan_product, "/loanproducts")

    def get_payment_types(self) -> list[PaymentType]:
        return self._list(answers.payment_type, "/paymenttypes")

    def get_offices(self) -> list[Office]:
        return self._list(answers.office, "/offices")

    def get_business_date(self) -> date | None:
        """The tenant's business date; None where the server knows none."""
        try:
            body = self._get("/businessdate/BUSINESS_DATE")
        except Refused:
            return None
        stated = body.get("date") if isinstance(body, dict) else None
        if isinstance(stated, str):
            stated = _array(stated)
        return self._read(answers.day, stated)

    def is_parked_by_maker_checker(self, permission: str) -> bool | None:
        """Whether a command waits for a checker there; None if we may not see that."""
        try:
            body = self._get("/permissions", params={"makerCheckerable": "true"})
        except Refused:
            return None
        found = [p for p in answers.as_list(body) if p.get("code") == permission]
        return any(p.get("selected") is True for p in found)

    def get_version(self) -> str:
        """What the server says it is; "" where proxies hide that, as many do."""
        root = self.base_url.rpartition("/api/")[0]
        try:
            answer = self.transport.send("GET", f"{root}/actuator/info")
        except (NotSent, OutcomeUnknown):
            return ""
        told = answer.object
        for build in (told.get("build"), answers.as_object(told.get("git")).get("build")):
            if version := answers.as_object(build).get("version"):
                return str(version)[:40]
        return ""

    # -- commands

    def approve_loan(self, loan_id: int, *, on: date, note: str = "") -> CommandResult:
        body = {"approvedOnDate": on.isoformat(), **DATE_FORMAT}
        return self._command(loan_id, "approve", body | ({"note": note} if note else {}))

    def disburse_loan(
        self,
        loan_id: int,
        *,
        on: date,
        gross: Decimal,
        payment_type_id: int,
        msisdn: str,
        receipt: str,
        external_id: str,
        note: str,
        idempotency_key: str,
    ) -> CommandResult:
        """Tell Mifos X that a loan was paid. The sum is the gross one, in the tenant's date.

        Posting the net sum would shrink the borrower's principal. Only a status of 300 in the
        result says that it was applied.
        """
        body = {
            "actualDisbursementDate": on.isoformat(), **DATE_FORMAT,
            "transactionAmount": _json_number(gross),
            "paymentTypeId": payment_type_id,
            "accountNumber": msisdn,
            "receiptNumber": receipt,
            "externalId": external_id,
            "note": note,
        }  # fmt: skip
        return self._command(loan_id, "disburse", body, key=idempotency_key)

    def update_loan_status(self, loan_id: int, *, receipt: str, external_id: str) -> bool:
        """Verify that the loan is active with our disbursement; note it where it isn't shown.

        A server that dropped the payment details still has our external id; then a note says
        which receipt it was.
        """
        loan = self.get_loan(loan_id, transactions=True)
        ours = [
            t for t in loan.disbursements if receipt == t.receipt or external_id == t.external_id
        ]
        if not loan.is_disbursed or not ours:
            return False
        if not any(t.receipt == receipt for t in ours):
            self.add_note(loan_id, f"Paid by M-Pesa, receipt {receipt}.")
        return True

    def add_note(self, loan_id: int, text: str) -> None:
        self._object("POST", f"/loans/{int(loan_id)}/notes", json={"note": text[:1000]})

    def _command(
        self, loan_id: int, command: str, body: dict[str, Any], *, key: str = ""
    ) -> CommandResult:
        answer = self._object(
            "POST", f"/loans/{int(loan_id)}", params={"command": command}, json=body,
            headers={"Idempotency-Key": key} if key else None,
        )  # fmt: skip
        return self._result(answers.command_result, answer)

    # -- hooks

    def get_hooks(self) -> list[Hook]:
        return self._list(answers.hook, "/hooks")

    def create_hook(self, *, url: str, events: list[tuple[str, str]], display_name: str) -> int:
        """Register a webhook; the server first calls its address with GET."""
        body = self._object("POST", "/hooks", json=_hook_body(url, events, display_name))
        return self._result(answers.number, body.get("resourceId"))

    def update_hook(
        self, hook_id: int, *, url: str, events: list[tuple[str, str]], display_name: str
    ) -> None:
        self._object("PUT", f"/hooks/{int(hook_id)}", json=_hook_body(url, events, display_name))

    def delete_hook(self, hook_id: int) -> None:
        self._object("DELETE", f"/hooks/{int(hook_id)}")

    # -- the wire

    def _get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        answer = self._send("GET", path, params=params)
        if answer.json is None:
            raise OutcomeUnknown("Mifos X's answer is not JSON.", status=answer.status)
        return answer.json

    def _list(self, read: Callable[[dict[str, Any]], T], path: str) -> list[T]:
        body = self._get(path)
        if not isinstance(body, list):
            raise Refused("Mifos X's answer is not a list.", code=UNREADABLE)
        return [self._read(read, item) for item in body if isinstance(item, dict)]

    def _object(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        answer = self._send(method, path, **kwargs)
        if not isinstance(answer.json, dict):
            raise OutcomeUnknown("Mifos X's answer is not a JSON object.", status=answer.status)
        return answer.object

    def _read(self, read: Callable[[Any], T], body: Any) -> T:
        try:
            return read(body)
        except Unreadable as error:
            raise Refused(str(error), code=UNREADABLE) from error

    def _result(self, read: Callable[[Any], T], body: Any) -> T:
        """What a command answered: it was carried out, or not, whatever we make of the answer."""
        try:
            return read(body)
        except Unreadable as error:
            raise OutcomeUnknown(str(error), code=UNREADABLE) from error

    def _send(self, method: str, path: str, **kwargs: Any) -> Answer:
        token = self.tokens.get() if self.tokens else ""
        answer = self._send_as(token, method, path, **kwargs)
        if self.tokens and answer.status == 401:
            # Refused before anything was done: once more with a fresh token.
            self.tokens.drop(token)
            token = self.tokens.get()
            answer = self._send_as(token, method, path, **kwargs)
        if not 200 <= answer.status < 300:
            raise error_in(answer, sent=(token, self.password, self._basic.removeprefix("Basic ")))
        return answer

    def _send_as(self, token: str, method: str, path: str, **kwargs: Any) -> Answer:
        headers = {"Fineract-Platform-TenantId": self.tenant, "Accept": "application/json"}
        headers |= kwargs.pop("headers", None) or {}
        headers["Authorization"] = f"Bearer {token}" if token else self._basic
        return self.transport.send(method, self.base_url + path, headers=headers, **kwargs)

    @property
    def _basic(self) -> str:
        # As UTF-8, which Mifos X reads; requests would write Latin-1, or fail.
        login = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(login).decode()}"


def _hook_body(url: str, events: list[tuple[str, str]], display_name: str) -> dict[str, Any]:
    return {
        "name": "Web",
        "displayName": display_name[:45],
        "isActive": True,
        "events": [{"entityName": entity, "actionName": action} for entity, action in events],
        "config": {"Payload URL": url, "Content Type": "json"},
    }


def _json_number(amount: Decimal) -> int | float:
    """Exact for every sum of two places that Mifos X can hold."""
    return int(amount) if amount == int(amount) else float(amount)


def _array(text: str) -> Any:
    """Some servers write the date's array as text, with zeros in front."""
    parts = text.strip("[] ").replace("-", ",").split(",")
    try:
        return [int(part) for part in parts]
    except ValueError:
        return None
