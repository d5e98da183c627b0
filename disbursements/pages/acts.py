"""What a person may do with one disbursement now, and the page of each act."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import localtime

from disbursements import again, approval, cases, doubt, makers, settlement
from disbursements.approval import NotAllowed
from disbursements.holds import NOT_RELEASABLE, PUT_RIGHT_IN_MIFOS
from disbursements.models import Disbursement
from disbursements.pages.fields import SumField
from disbursements.pages.notices import hold_words, moved
from disbursements.pages.whole import Whole, found
from disbursements.states import NEXT, AttemptStatus, Status, TransitionRefused
from paymentvault import recent
from paymentvault.acts import Act, NoteForm, ReasonForm, confirmed, user_of
from paymentvault.addresses import source_address
from paymentvault.models import User
from paymentvault.rights import needs
from paymentvault.templatetags.portal import kes, msisdn

DECIDE, SETTLE = "disbursements.approve_disbursement", "disbursements.settle_disbursement"
# What is safe to do again, and pays nothing.
TEND = "disbursements.change_case"
SHOWN = signing.Signer(salt="the attempt that a page showed")
# From here on a slip of the hand costs too much: the sum must be typed.
LARGE = Decimal(100_000)


@dataclass(frozen=True)
class OneAct:
    """A button: from which states, for whom, and what else may stand in its way."""

    name: str
    label: str
    statuses: frozenset[Status]
    permission: str = DECIDE
    css: str = ""
    is_checked: bool = False
    """It lets money go, so whoever entered the disbursement can't do it."""
    is_stopped_by_question: bool = False
    """Not once M-Pesa has contradicted itself about where the money is."""
    why_not: Callable[[Whole], str] = field(default=lambda whole: "")


@dataclass(frozen=True)
class Offer:
    name: str
    label: str
    url: str
    css: str


def _why_not_release(whole: Whole) -> str:
    stuck = [hold for hold in whole.disbursement.holds if hold in NOT_RELEASABLE]
    return f"It can't be paid as it stands, since {hold_words(stuck)}. Cancel it." if stuck else ""


def _why_not_record(whole: Whole) -> str:
    has_loan = whole.disbursement.connection_id
    return "" if has_loan else "It has no loan in Mifos X to be recorded at."


def _why_not_settle(whole: Whole) -> str:
    return "" if whole.attempt else "It has no request at M-Pesa that could be settled."


S = Status
ACTS = {
    act.name: act
    for act in (
        OneAct("approve", "Approve…", frozenset({S.AWAITING_APPROVAL}), css="primary",
               is_checked=True),
        OneAct("reject", "Reject…", frozenset({S.AWAITING_APPROVAL}), css="danger"),
        OneAct("release", "Release…", frozenset({S.HELD}), css="primary", is_checked=True,
               is_stopped_by_question=True, why_not=_why_not_release),
        OneAct("retry", "Retry…", frozenset({S.FAILED}), css="primary", is_checked=True,
               is_stopped_by_question=True),
        OneAct("cancel", "Cancel…", frozenset(s for s in S if S.CANCELLED in NEXT[s]),
               css="danger"),
        OneAct("ask", "Ask M-Pesa again", frozenset(doubt.ASKABLE), permission=TEND),
        OneAct("record", "Record in Mifos X again", frozenset({S.PAID}), permission=TEND,
               why_not=_why_not_record),
        OneAct("settle", "Settle…", frozenset({S.IN_DOUBT}), permission=SETTLE, css="danger",
               why_not=_why_not_settle),
    )
}  # fmt: skip


def why_not(act: OneAct, whole: Whole, user: User) -> str:
    """Why this person can't do it now, permissions apart; "" if they can."""
    if whole.status not in act.statuses:
        return f"{whole.disbursement.reference} is {whole.status.label.lower()} now."
    if act.is_checked and (words := makers.why_not(whole.disbursement, user)):
        return words
    if act.is_stopped_by_question and whole.is_in_question:
        return cases.NEVER_AGAIN
    return act.why_not(whole)


def offered(whole: Whole, user: User) -> list[Offer]:
    """The buttons of the page: only what this person can do now."""
    pk = whole.disbursement.pk
    return [
        Offer(act.name, act.label, reverse(f"disbursements:{act.name}", args=[pk]), act.css)
        for act in ACTS.values()
        if user.has_perm(act.permission, whole.disbursement.partner)
        and not why_not(act, whole, user)
    ]


def waits_for_another(whole: Whole, user: User) -> bool:
    """Whether it is only for having asked for it that this person sees no button."""
    if not makers.why_not(whole.disbursement, user):
        return False
    return any(act.is_checked and whole.status in act.statuses for act in ACTS.values())


class PayingForm(forms.Form):
    """For what lets money go: whoever confirms a large sum types it."""

    def __init__(self, *args: Any, one: Disbursement, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.one = one
        if one.amount >= LARGE:
            self.fields["amount"] = SumField(
                label="Type the sum to confirm it", help_text=in_kes(one)
            )
            self.order_fields(["amount", "reason"])

    def clean_amount(self) -> Decimal:
        typed: Decimal = self.cleaned_data["amount"]
        if typed != self.one.amount:
            raise forms.ValidationError(f"You typed KES {typed:,.2f}; it is {in_kes(self.one)}.")
        return typed


class ApproveForm(PayingForm, NoteForm):
    pass


class OfAttempt(forms.Form):
    """Is about the attempt that its page showed; what it is about can't be made up."""

    attempt = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, shown: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["attempt"] = SHOWN.sign(str(shown))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        try:
            cleaned["attempt"] = int(SHOWN.unsign(cleaned.get("attempt", "")))
        except signing.BadSignature as error:
            raise forms.ValidationError(
                "The page came back incomplete. Nothing was changed. Go back and open it anew."
            ) from error
        return cleaned


class RetryForm(OfAttempt, PayingForm, ReasonForm):
    pass


class ReleaseForm(PayingForm, ReasonForm):
    """Overrides the holds that were read on the page, and none that came since."""

    held_for = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, one: Disbursement, **kwargs: Any) -> None:
        super().__init__(*args, one=one, **kwargs)
        self.initial["held_for"] = self._now = ",".join(one.holds)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("held_for") != self._now:
            raise forms.ValidationError(
                "What it is held for has changed since you opened this page. Nothing was changed. "
                "Go back and look at it anew."
            )
        return cleaned


def whom(disbursement: Disbursement) -> str:
    return disbursement.client_name or msisdn(disbursement.msisdn)


def in_kes(disbursement: Disbursement) -> str:
    return f"KES {kes(disbursement.amount)}"


def facts(disbursement: Disbursement) -> list[tuple[str, Any]]:
    """What every confirming page names."""
    pays = disbursement.amount_kes
    whole_shillings = [("M-Pesa pays", f"KES {pays:,}, whole shillings")]
    return [
        ("Disbursement", disbursement.reference),
        ("To", disbursement.client_name),
        ("Number", msisdn(disbursement.msisdn)),
        ("Sum", in_kes(disbursement)),
        *(whole_shillings if pays != disbursement.amount else []),
        ("Partner", disbursement.partner),
        ("Loan", disbursement.loan_account or disbursement.loan_id),
        ("Asked for by", makers.who(disbursement) or "Mifos X"),
    ]


NO_WAY_BACK = "This can't be undone: money that has moved comes back only if the borrower sends it."


@needs(DECIDE)
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    one = found(pk, user_of(request), DECIDE)
    return _asked(request, "approve", one, approval.approve, says="note", done="Approved", act={
        "title": f"Pay {in_kes(one)} to {whom(one)}?",
        "verb": f"Approve and pay {in_kes(one)}",
        "consequence": f"M-Pesa will be asked to pay now. {NO_WAY_BACK}",
        "form": ApproveForm,
        "is_dangerous": True,
    }, following="Sending now.")  # fmt: skip


@needs(DECIDE)
def reject(request: HttpRequest, pk: int) -> HttpResponse:
    one = found(pk, user_of(request), DECIDE)
    return _asked(request, "reject", one, approval.reject, done="Rejected", act={
        "title": f"Reject {in_kes(one)} to {whom(one)}?",
        "verb": f"Reject {one.reference}",
        "consequence": f"{moved(one)} It is final: this approval of the loan is never paid. The "
        "loan in Mifos X stays as it is.",
        "is_dangerous": True,
    }, following="It won't be paid.")  # fmt: skip


@needs(DECIDE)
def release(request: HttpRequest, pk: int) -> HttpResponse:
    one = found(pk, user_of(request), DECIDE)
    return _asked(request, "release", one, approval.release, done="Released", act={
        "title": f"Pay {in_kes(one)} to {whom(one)} in spite of its hold?",
        "verb": f"Release and pay {in_kes(one)}",
        "consequence": f"You override: {hold_words(one.holds)}. M-Pesa will be asked to pay now. "
        f"{NO_WAY_BACK}",
        "facts": [*facts(one), ("Held, since", one.hold_words)],
        "form": ReleaseForm,
        "is_dangerous": True,
    }, following="Sending now.")  # fmt: skip


@needs(DECIDE)
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    one = found(pk, user_of(request), DECIDE)
    return _asked(request, "cancel", one, approval.cancel, done="Cancelled", act={
        "title": f"Cancel {in_kes(one)} to {whom(one)}?",
        "verb": f"Cancel {one.reference}",
        "consequence": f"{moved(one)} No more will move by this disbursement. {_comes_back(one)}",
        "is_dangerous": True,
    }, following="It won't be paid.")  # fmt: skip


def _comes_back(one: Disbursement) -> str:
    if not one.connection_id:
        return "It is final; to pay it after all, enter it anew."
    if set(one.holds) & PUT_RIGHT_IN_MIFOS:
        return (
            "If the loan is still approved in Mifos X, the next look there takes it in anew, with "
            "what has been put right, for a person to release."
        )
    return (
        "It is final: this approval of the loan won't be paid. To pay it after all, undo the "
        "approval in Mifos X and approve the loan again."
    )


@needs(DECIDE)
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    one = found(pk, user_of(request), DECIDE)
    by_two = one.failure_code == settlement.CODE
    proof = settlement.TWO_SAY.rstrip(".") if by_two else "Proof that no money moved"
    return _asked(request, "retry", one, approval.retry, done="Retried", act={
        "title": f"Try again to pay {in_kes(one)} to {whom(one)}?",
        "verb": f"Retry and pay {in_kes(one)}",
        "consequence": f"M-Pesa will be asked anew, under a new ID. {NO_WAY_BACK}",
        "facts": [*facts(one), (proof, _proof(one))],
        "form": RetryForm,
        "is_dangerous": True,
    }, following="Sending now.", shown=approval.last_attempt(one))  # fmt: skip


def _proof(one: Disbursement) -> str:
    """What the last attempt ended with, and when M-Pesa said so."""
    last = one.attempts.filter(status=AttemptStatus.FAILED).last()
    ended = one.transitions.filter(new=Status.FAILED).exclude(old=Status.FAILED).last()
    words = (last.result_words if last else "") or one.failure_words
    code = f" (code {last.result_code})" if last and last.result_code else ""
    by = f" Said by {ended.by} on {localtime(ended.at):%-d %B %Y at %H:%M:%S}." if ended else ""
    return f"{words}{code}{by}"


@needs(TEND)
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    one = found(pk, user_of(request), TEND)
    return _asked(request, "ask", one, again.ask_mpesa, says="note", act={
        "title": f"Ask M-Pesa what became of {in_kes(one)} to {whom(one)}?",
        "verb": "Ask M-Pesa now",
        "consequence": "No money moves by this. M-Pesa's answer comes within a minute or so and "
        "shows on the disbursement. M-Pesa goes on being asked by itself as well.",
        "form": NoteForm,
    }, message=f"M-Pesa is being asked about {one.reference}. Its answer will show here.",
    )  # fmt: skip


@needs(TEND)
def record(request: HttpRequest, pk: int) -> HttpResponse:
    one = found(pk, user_of(request), TEND)
    return _asked(request, "record", one, again.record, says="note", act={
        "title": f"Record {in_kes(one)} to {whom(one)} in Mifos X again?",
        "verb": "Record it now",
        "consequence": "The borrower has the money; nothing is paid by this. Mifos X is read "
        "first, and told only if it doesn't show the payment yet.",
        "facts": [*facts(one), ("M-Pesa receipt", one.mpesa_receipt),
                  ("Last error", one.recording_error)],
        "form": NoteForm,
    }, message=f"{one.reference} is being recorded in Mifos X. What comes of it will show here.",
    )  # fmt: skip


def _asked(
    request: HttpRequest,
    name: str,
    one: Disbursement,
    do: Callable[..., None],
    *,
    act: dict[str, Any],
    says: str = "reason",
    done: str = "",
    following: str = "",
    message: str = "",
    shown: int | None = None,
) -> HttpResponse:
    """The page of an act, or the disbursement's with why it can't be done now."""
    user, back = user_of(request), reverse("disbursements:detail", args=[one.pk])
    if request.method != "POST" and (words := why_not(ACTS[name], Whole(one), user)):
        messages.warning(request, f"{words} Nothing was changed.")
        return redirect(back)

    def carry_out(form: Any) -> str:
        said = {says: form.cleaned_data["reason"]}
        if shown is not None:
            said["seen_attempt"] = form.cleaned_data["attempt"]
        do(one, by=user, source_address=source_address(request), **said)
        return message or f"{done} {one.reference}. {following}"

    page = Act(**{"facts": facts(one), "back": back} | act)
    about: dict[str, Any] = {"one": one} if issubclass(page.form, PayingForm) else {}
    if about:
        recent.demand_above(request, one.amount)
    return confirmed(
        request, page, do=carry_out, refusals=(NotAllowed, TransitionRefused),
        form_kwargs=about | ({} if shown is None else {"shown": shown}),
    )  # fmt: skip
