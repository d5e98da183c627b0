"""Rows for pages to show: a few of everything that there is, or many."""

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission
from django.utils import timezone

from disbursements.models import (
    Attempt,
    Callback,
    Case,
    Delivery,
    Disbursement,
    FloatReading,
    Inquiry,
    Settlement,
    Transition,
)
from disbursements.states import AttemptStatus, Status
from mifos.models import Event
from partners import webhook_tokens, work
from partners.models import (
    ApiKey,
    LoanProduct,
    Membership,
    MifosConnection,
    MpesaShortcode,
    Partner,
    Role,
    SettingsChange,
    WebhookEndpoint,
)
from partners.roles import RIGHTS
from paymentvault import audit, sweeping
from paymentvault.models import AllowedNetwork, Heartbeat, Job, JobFile, User
from tests.samples import DATA

# Nothing here may be due: where workers run, they would work at it.
LATER = timezone.now() + timedelta(days=365)
A_WHILE_AGO = timezone.now() - timedelta(days=1)
HOOK = (DATA / "mifos/hook_captured_loan_approve_flat_2025-10-22.json").read_text()
RESULT = (DATA / "daraja/callback-b2c-success-production-2024-07.json").read_text()
STEPS = [
    {"name": "Address and TLS", "result": "ok", "words": "It answers.", "took_ms": 12},
    {"name": "Permissions", "result": "warning", "words": "Not listed.", "took_ms": 8},
    {"name": "Payment type", "result": "failed", "words": "None is chosen.", "took_ms": 3},
    {"name": "Hook", "result": "skipped", "words": "Not looked at.", "took_ms": 0},
]
ATTEMPTED = {
    Status.SENDING: AttemptStatus.SENDING, Status.SENT: AttemptStatus.SENT,
    Status.IN_DOUBT: AttemptStatus.UNKNOWN, Status.PAID: AttemptStatus.PAID,
    Status.RECORDED: AttemptStatus.PAID, Status.FAILED: AttemptStatus.FAILED,
}  # fmt: skip
_numbers = itertools.count(1)


@dataclass
class Rows:
    """People, one lender, and rows of every kind; `more()` makes as many again as asked."""

    amina: User
    baraka: User
    partner: Partner
    connection: MifosConnection
    shortcode: MpesaShortcode
    ready: Partner
    """One that has all it needs for automatic disbursement, which is off."""
    by_status: dict[Status, Disbursement] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)

    def more(self, n: int) -> None:
        for _ in range(n):
            self._one_of_each(next(_numbers))

    def _one_of_each(self, number: int) -> None:
        for status in Status:
            self.by_status[status] = self._disbursement(status, number)
        # In doubt, in question, and waiting for a second person; that of each status is not.
        doubtful = self._disbursement(Status.IN_DOUBT, number, place=len(Status))
        self._lender(number)
        LoanProduct.objects.create(
            connection=self.connection, product_id=number, name=f"Business loan {number}",
            is_automatic=number % 2 == 0, min_amount=1_000, max_amount=50_000,
        )  # fmt: skip
        for row in (doubtful, self.by_status[Status.PAID], self.by_status[Status.RECORDED]):
            self._event(row, Event.State.DONE, "A disbursement was made.")
        self._event(None, Event.State.UNREADABLE, "It is not JSON.")
        # Also many of one thing: a page of one row mustn't ask once for each of its lines.
        one = self.last.setdefault("busy", doubtful)
        self._messages(one.attempts.get())
        Transition.objects.create(disbursement=one, old="in_doubt", new="in_doubt", by="test",
                                  note="Asked M-Pesa: nothing new.")  # fmt: skip
        for kind, about in (
            ("contradiction", {"disbursement": doubtful}),
            ("paused", {"shortcode": self.last["shortcode"]}),
            ("unreachable", {"connection": self.last["connection"]}),
        ):
            self.last["case"] = Case.objects.create(
                kind=kind, words="Something happened. No money moved. Look at it.", **about
            )
        for row, state in ((one, "refused"), (doubtful, "proposed")):
            self.last["settlement"] = Settlement.objects.create(
                disbursement=row, attempt=row.attempts.get(), outcome="failed", state=state,
                evidence="The statement of 12 March doesn't have it.", proposed_by=self.amina,
                decided_by=self.baraka if state == "refused" else None,
            )  # fmt: skip
        FloatReading.objects.create(shortcode=self.shortcode, amount=800_000 + number)
        self._jobs(number)
        self._programs(number)
        self._changes(number)
        member = User.objects.create_user(f"member-{number}")
        self.last["membership"] = Membership.objects.create(
            user=member, partner=self.partner, role=Role.VIEWER
        )
        audit.record("disbursement approved", by="baraka", subject=doubtful.reference)
        Heartbeat.objects.update_or_create(
            name=f"sweep_{number}", defaults={"at": timezone.now(), "took_ms": 4}
        )

    def _changes(self, number: int) -> None:
        """A change of settings that was refused, and one that waits."""
        for place in range(2):
            self.last["change"] = SettingsChange.objects.create(
                partner=self.partner, kind="shortcode", reason="A new operator.", proposal="{}",
                about=f"partners.mpesashortcode:{10 * number + place}", proposed_by=self.amina,
                difference=[{"label": "Initiator", "from": "testapi", "to": "payouts"}],
                facts=[["Tenant", "default"]],
            )  # fmt: skip
            if place == 0:
                SettingsChange.objects.filter(pk=self.last["change"].pk).update(
                    state="refused", decided_by=self.baraka, decided_at=timezone.now(),
                    decision_note="Not agreed.", proposal=None,
                )  # fmt: skip

    def _programs(self, number: int) -> None:
        """Keys, endpoints and networks; the latest network waits for a second person."""
        self.last["keys"] = ApiKey.objects.create(
            partner=self.partner, name=f"Program {number}", prefix=f"pv_{number:07}",
            sha256=f"{number:064}", scopes=["disbursements:read"], created_by=self.amina,
            expires_at=LATER,
        )  # fmt: skip
        self.last["endpoint"] = WebhookEndpoint.objects.create(
            partner=self.partner, url=f"https://lender.example/{number}", made_by=self.amina
        )
        self.last["deliveries"] = Delivery.objects.create(
            partner=self.partner, endpoint=self.last["endpoint"], type="disbursement.paid",
            disbursement=self.by_status[Status.PAID], payload="{}", state="given_up",
            last_words="It refused the connection.", due_at=LATER,
        )  # fmt: skip
        self.last["networks"] = AllowedNetwork.objects.create(
            network=f"10.20.{number % 256}.0/24", ports=[443], reason="Their data centre.",
            proposed_by=self.baraka,
        )  # fmt: skip

    def _lender(self, number: int) -> None:
        partner = Partner.objects.create(name=f"Lender {number}", code=f"lender-{number}")
        self.last["connection"] = MifosConnection.objects.create(
            partner=partner, host_url=f"https://mifos-{number}.example", username="vault",
            password="secret",
            last_error="Connection refused.", failing_since=timezone.now(),
            configured_at=timezone.now(),
        )  # fmt: skip
        self.last["shortcode"] = MpesaShortcode.objects.create(
            partner=partner, shortcode=str(700_000 + number), consumer_key="k", is_default=True,
            consumer_secret="s", initiator_name="api", initiator_password="p", certificate="c",
            pause="configuration", paused_at=timezone.now(), pause_reason="Wrong credential.",
            utility_balance=5_000, balance_at=timezone.now(),
        )  # fmt: skip
        # And more of the one lender's own.
        MpesaShortcode.objects.create(
            partner=self.partner, shortcode=str(800_000 + number), consumer_key="k",
            consumer_secret="s", initiator_name="api", initiator_password="p", certificate="c",
        )  # fmt: skip

    def _disbursement(
        self, status: Status, number: int, *, place: int | None = None
    ) -> Disbursement:
        place = list(Status).index(status) if place is None else place
        moved = status in (Status.PAID, Status.RECORDED)
        row = Disbursement.objects.create(
            partner=self.partner, connection=self.connection, status=status,
            origin=Disbursement.Origin.MIFOS_WEBHOOK, loan_id=10_000 * number + place,
            loan_account=f"0000{number:05}", client_id=number, client_name="Amina Otieno",
            product_id=1, product_name="Business loan", approved_on=timezone.localdate(),
            msisdn=f"2547{number:04}{place:04}", gross_amount=10_500, fees=500,
            amount=10_000, facts_read_at=timezone.now(), due_at=LATER,
            requested_by=self.amina,
            holds=["top_up"] if status == Status.HELD else [],
            hold_words="It is a top-up." if status == Status.HELD else "",
            failure_words="M-Pesa refuses the number." if status == Status.FAILED else "",
            failure_code="2040" if status == Status.FAILED else "",
            recording_error="Mifos X is away." if status == Status.PAID else "",
            mpesa_receipt=f"TJM7{number:04}{place:02}" if moved else "",
            approved_at=timezone.now(), paid_at=timezone.now() if moved else None,
            recorded_at=timezone.now() if status == Status.RECORDED else None,
        )  # fmt: skip
        for old, new in (("received", "approved"), ("approved", status)):
            Transition.objects.create(disbursement=row, old=old, new=new, by="test", note="So.")
        if status in ATTEMPTED:
            self._messages(self._attempt(row, ATTEMPTED[status]))
        return row

    def _attempt(self, row: Disbursement, status: AttemptStatus) -> Attempt:
        return Attempt.objects.create(
            disbursement=row, shortcode=self.shortcode, msisdn=row.msisdn, sent_at=A_WHILE_AGO,
            amount_kes=row.amount_kes, status=status, conversation_id=f"AG_2026_{row.pk}",
            answered_at=timezone.now(), answer_words="Accept the service request successfully.",
        )  # fmt: skip

    def _messages(self, attempt: Attempt) -> None:
        inquiry = Inquiry.objects.create(
            kind="status", shortcode=self.shortcode, attempt=attempt, sent_at=timezone.now(),
            outcome="M-Pesa's status of it is pending.",
        )  # fmt: skip
        for state, about in (
            ("done", {"inquiry": inquiry, "kind": "s"}),
            ("unmatched", {"attempt": attempt, "kind": "r"}),
            ("unreadable", {"attempt": attempt, "kind": "r"}),
        ):
            self.last["callback"] = Callback.objects.create(
                **about,
                body=RESULT,
                state=state,
                outcome="It says nothing new.",
                due_at=LATER,
                source_address="196.201.214.200",
                processed_at=timezone.now(),
            )

    def _event(self, row: Disbursement | None, state: str, outcome: str) -> None:
        self.last["event"] = Event.objects.create(
            connection=self.connection, form="native", body=HOOK, state=state, outcome=outcome,
            entity="LOAN", action="APPROVE", loan_id=row.loan_id if row else None,
            disbursement=row, due_at=LATER, source_address="10.1.2.3",
            headers={"X-Fineract-Entity": "LOAN"}, processed_at=timezone.now(),
        )  # fmt: skip

    def _jobs(self, number: int) -> None:
        def job(state: str, kind: str = "test", **more: Any) -> Job:
            return Job.objects.create(
                kind=kind, title=f"Test {number}", started_by=self.baraka, state=state,
                lines=STEPS, due_at=LATER, started_at=timezone.now(), leased_until=LATER, **more,
            )  # fmt: skip

        job("waiting")
        self.last["running job"] = job("running", done=3, total=8)
        self.last["failed job"] = job("failed", outcome="Its worker died.")
        self.last["job"] = job("done", outcome="8 were approved.")
        job("done", work.OUTLOOK, about=work.about(self.ready), ended_at=timezone.now())
        about = work.about(self.partner)
        for kind in (work.TEST, work.REGISTER, work.TRIAL, work.PRODUCTS, work.POLL, work.OUTLOOK):
            self.last[kind] = job("done", kind, about=about, outcome="It works.")
        self.last["job with a file"] = with_file = job("done", outcome="1 row.")
        with_file.lines = [{"file": "disbursements.csv"}]
        with_file.save()
        JobFile.objects.create(job=with_file, number=0, content=b"reference\r\nDSB-1\r\n")


def make(n: int) -> Rows:
    """Amina asks for payouts; Baraka, administrator and all else, looks at the pages."""
    amina, baraka = (User.objects.create_user(name, password=name) for name in ("amina", "baraka"))
    Membership.objects.create(user=baraka, role=Role.ADMINISTRATOR)
    named = {right.partition(".")[2] for rights in RIGHTS.values() for right in rights}
    baraka.user_permissions.set(Permission.objects.filter(codename__in=named))
    partner, connection, shortcode = _set_up("pamoja", "Pesa Pamoja", "600997", is_automatic=True)
    ready, its_connection, _ = _set_up("ready", "Ready SACCO", "600998", is_automatic=False)
    LoanProduct.objects.create(connection=its_connection, product_id=1, name="Business loan",
                               is_automatic=True)  # fmt: skip
    sweeping.expect_sweeps()
    rows = Rows(amina, baraka, partner, connection, shortcode, ready)
    rows.more(n)
    return rows


def _set_up(
    code: str, name: str, number: str, *, is_automatic: bool
) -> tuple[Partner, MifosConnection, MpesaShortcode]:
    now = timezone.now()
    tested = {"last_test": STEPS, "last_tested_at": now, "last_tested_by": "amina"}
    partner = Partner.objects.create(name=name, code=code, is_automatic=is_automatic)
    connection = MifosConnection.objects.create(
        partner=partner, host_url=f"https://mifos.{code}.example", username="vault",
        password="secret", payment_type_id=26, configured_at=now, is_on=True, switched_on_at=now,
        backlog_listed_at=now, polled_at=now, products_listed_at=now, **tested,
        payment_types=[{"id": 26, "name": "M-Pesa", "is_cash": False}],
    )  # fmt: skip
    webhook_tokens.generate(connection)
    shortcode = MpesaShortcode.objects.create(
        partner=partner, shortcode=number, consumer_key="key", consumer_secret="secret",
        initiator_name="testapi", initiator_password="secret", is_default=True, certificate="c",
        credential_proved_at=now, utility_balance=812_000, balance_at=now, **tested,
    )  # fmt: skip
    return partner, connection, shortcode
