"""Settling what M-Pesa doesn't tell: one person proposes with evidence, another one decides."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from disbursements import cases, settlement
from disbursements.approval import NotAllowed
from disbursements.models import Disbursement, Settlement
from disbursements.pages.acts import ACTS, SETTLE, OfAttempt, facts, in_kes, whom, why_not
from disbursements.pages.whole import Whole, found
from paymentvault.acts import Act, ReasonForm, confirmed, user_of
from paymentvault.addresses import source_address
from paymentvault.rights import needs
from paymentvault.templatetags.portal import exactly

Outcome = Settlement.Outcome


class ProposeForm(OfAttempt):
    outcome = forms.ChoiceField(
        label="What became of it",
        choices=Outcome.choices,
        widget=forms.RadioSelect,
        help_text="As the M-Pesa statement of the shortcode shows it, or Safaricom has confirmed.",
    )
    receipt = forms.CharField(
        label="M-Pesa receipt (if it was paid)",
        help_text="As in the statement, such as TJM7ABCDEF.",
        required=False,
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters"}),
    )
    paid_at = forms.DateTimeField(
        label="When it was paid (if it was paid)",
        help_text="Nairobi time, as in the statement.",
        required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%d.%m.%Y %H:%M"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        error_messages={"invalid": "Enter day and time, such as 2026-11-23 14:05."},
    )
    evidence = forms.CharField(
        label="Evidence",
        help_text="Where you looked and what you saw, so that the second person can check it: the "
        "statement's period, Safaricom's ticket, who confirmed it.",
        min_length=10,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def clean_receipt(self) -> str:
        typed: str = self.cleaned_data["receipt"]
        return typed.strip().upper()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        is_paid = cleaned.get("outcome") == Outcome.PAID
        if is_paid and "receipt" in cleaned and not cleaned["receipt"]:
            self.add_error("receipt", "Enter the receipt: without one nothing shows it was paid.")
        if is_paid and "paid_at" in cleaned and not cleaned["paid_at"]:
            self.add_error("paid_at", "Enter when it was paid, as the statement has it.")
        if cleaned.get("outcome") == Outcome.FAILED and cleaned.get("receipt"):
            self.add_error("receipt", "What has a receipt was paid. Empty it, or choose paid.")
        return cleaned

    def paid_time(self) -> datetime | None:
        """A time that was typed before the choice went to "not paid" counts for nothing."""
        is_paid = self.cleaned_data["outcome"] == Outcome.PAID
        at: datetime | None = self.cleaned_data["paid_at"] if is_paid else None
        return at


class CheckedForm(ReasonForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].label = "What you checked yourself"
        self.fields["reason"].help_text = "Look at the M-Pesa statement with your own eyes."


@needs(SETTLE)
def propose(request: HttpRequest, pk: int) -> HttpResponse:
    user = user_of(request)
    one = found(pk, user, SETTLE)
    whole, back = Whole(one), reverse("disbursements:detail", args=[pk])
    if request.method != "POST":
        if whole.proposal and whole.proposal.proposed_by != user:
            return redirect("disbursements:settle-confirm", pk, whole.proposal.pk)
        if words := _why_not_propose(whole, user_words=why_not(ACTS["settle"], whole, user)):
            messages.warning(request, f"{words} Nothing was changed.")
            return redirect(back)

    def carry_out(form: ProposeForm) -> str:
        given = form.cleaned_data
        settlement.propose(
            one, outcome=given["outcome"], receipt=given["receipt"], paid_at=form.paid_time(),
            evidence_words=given["evidence"], by=user, seen_attempt=given["attempt"],
            source_address=source_address(request),
        )  # fmt: skip
        return f"Proposed. Nothing follows until a second person confirms it for {one.reference}."

    page = Act(
        title=f"Settle {in_kes(one)} to {whom(one)}",
        verb="Propose this to a second person",
        back=back,
        consequence="No money moves by this. What you say counts only once a second person has "
        "checked and confirmed it. Should M-Pesa's own answer come first, that one counts.",
        facts=[*facts(one), *_request_facts(whole)],
        form=ProposeForm,
    )
    return confirmed(
        request, page, do=carry_out, refusals=(NotAllowed,),
        form_kwargs={"shown": whole.attempt.pk if whole.attempt else 0},
    )  # fmt: skip


def _why_not_propose(whole: Whole, *, user_words: str) -> str:
    if user_words:
        return user_words
    if whole.proposal:
        return "Your proposal waits for a second person."
    assert whole.attempt is not None  # noqa: S101 -- else it can't be settled
    # Whoever may say "not paid" may say "paid"; the other way round it takes longer.
    return settlement.why_not_yet(whole.attempt, Outcome.PAID)


def _request_facts(whole: Whole) -> list[tuple[str, Any]]:
    """What to look for in the statement, or to name to Safaricom."""
    attempt = whole.attempt
    if attempt is None:
        return []
    not_yet = settlement.why_not_yet(attempt, Outcome.FAILED)
    return [
        ("Shortcode", attempt.shortcode.shortcode),
        ("Sent", exactly(attempt.sent_at)),
        ("Originator conversation ID", attempt.originator_conversation_id),
        ("Conversation ID", attempt.conversation_id),
        *([("As not paid", not_yet)] if not_yet else []),
    ]


@needs(SETTLE)
def confirm(request: HttpRequest, pk: int, settlement_pk: int) -> HttpResponse:
    user = user_of(request)
    one, proposal = found(pk, user, SETTLE), _of(pk, settlement_pk)
    back = reverse("disbursements:detail", args=[pk])
    if request.method != "POST" and (words := settlement.why_not_decide(proposal)):
        messages.warning(request, f"{words} Nothing was changed.")
        return redirect(back)
    if request.method != "POST" and proposal.proposed_by == user:
        messages.warning(request, "Someone else must confirm what you proposed.")
        return redirect(back)
    page = Act(
        title=f"Settle {in_kes(one)} to {whom(one)} as {_as(proposal)}?",
        verb=f"Settle it as {_as(proposal)}",
        back=back,
        consequence=_consequence(one, proposal),
        facts=_proposal_facts(one, proposal),
        is_dangerous=True,
        form=CheckedForm,
        template="disbursements/settle_confirm.html",
        more={"refuse": reverse("disbursements:settle-refuse", args=[pk, proposal.pk])},
    )

    def carry_out(form: forms.Form) -> str:
        words = settlement.confirm(
            proposal, by=user, note=form.cleaned_data["reason"],
            source_address=source_address(request),
        )  # fmt: skip
        return f"Settled {one.reference}. {words}"

    return confirmed(request, page, do=carry_out, refusals=(NotAllowed,))


@needs(SETTLE)
def refuse(request: HttpRequest, pk: int, settlement_pk: int) -> HttpResponse:
    user = user_of(request)
    one, proposal = found(pk, user, SETTLE), _of(pk, settlement_pk)
    back = reverse("disbursements:detail", args=[pk])
    if request.method != "POST" and (words := settlement.why_not_decide(proposal)):
        messages.warning(request, f"{words} Nothing was changed.")
        return redirect(back)
    is_own = proposal.proposed_by == user
    page = Act(
        title=f"{'Withdraw' if is_own else 'Refuse'} the proposal for {one.reference}?",
        verb="Withdraw it" if is_own else "Refuse it",
        back=back,
        consequence="No money moves by this. The disbursement stays in doubt, M-Pesa is asked on, "
        "and somebody can propose anew.",
        facts=_proposal_facts(one, proposal),
    )

    def carry_out(form: forms.Form) -> str:
        settlement.refuse(
            proposal, by=user, note=form.cleaned_data["reason"],
            source_address=source_address(request),
        )  # fmt: skip
        return f"{'Withdrawn' if is_own else 'Refused'}. {one.reference} stays in doubt."

    return confirmed(request, page, do=carry_out, refusals=(NotAllowed,))


def _of(pk: int, settlement_pk: int) -> Settlement:
    rows = Settlement.objects.select_related("proposed_by", "decided_by", "attempt__shortcode")
    return get_object_or_404(rows, pk=settlement_pk, disbursement=pk)


def _as(proposal: Settlement) -> str:
    return "paid" if proposal.outcome == Outcome.PAID else "not paid"


def _consequence(one: Disbursement, proposal: Settlement) -> str:
    about = one.cases.filter(closed_at=None, kind__in=settlement.ANSWERED_BY_IT)
    closed = [f"“{cases.kind_of(case).label}”" for case in about]
    also = f" It closes the case {' and '.join(closed)}." if closed else ""
    if proposal.outcome == Outcome.FAILED:
        return (
            "It counts as failed. Unless a case about contradicting answers forbids it, it can "
            "then be retried, which asks M-Pesa to pay it anew: if the money did move after all, "
            "the borrower is paid twice, and M-Pesa won't give it back."
            f"{also} This can't be undone."
        )
    told = " Mifos X is told that the loan is disbursed." if one.connection_id else ""
    return (
        "It counts as paid. No money moves by this, and it can never be paid again: if M-Pesa "
        f"didn't pay it, the borrower gets nothing.{told}{also} This can't be undone."
    )


def _proposal_facts(one: Disbursement, proposal: Settlement) -> list[tuple[str, Any]]:
    attempt = proposal.attempt
    found_paid = [
        ("M-Pesa receipt", proposal.mpesa_receipt),
        ("Paid", exactly(proposal.paid_at)),
    ]
    return [
        *facts(one),
        ("Shortcode", attempt.shortcode.shortcode),
        ("Sent", exactly(attempt.sent_at)),
        ("Originator conversation ID", attempt.originator_conversation_id),
        ("Proposed by", proposal.proposed_by),
        ("Proposed", exactly(proposal.proposed_at)),
        ("What became of it", proposal.get_outcome_display()),
        *(found_paid if proposal.outcome == Outcome.PAID else []),
        ("Evidence", proposal.evidence),
    ]
