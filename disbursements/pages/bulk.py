"""Many approvals at once: seen on one page, named by sum and count, each carried out by itself."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import structlog
from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from disbursements import approval
from disbursements.approval import NotAllowed
from disbursements.models import Disbursement
from disbursements.pages.filters import DisbursementFilter, awaiting
from disbursements.states import TransitionRefused
from partners import access
from paymentvault import acts, audit, jobs, recent
from paymentvault.acts import Act, Refusal, user_of
from paymentvault.addresses import source_address
from paymentvault.models import Job, User
from paymentvault.paging import with_filters
from paymentvault.rights import needs

log = structlog.get_logger(__name__)

MAY_APPROVE = "disbursements.approve_disbursement"
MAY_SEE = "disbursements.view_disbursement"
MOST_AT_ONCE = 500
SHOWN_FIRST = 20
# What was seen so long ago is to be looked at again.
SEEN_FOR_S = 3600
SALT = "bulk approval"


@dataclass(frozen=True)
class Seen:
    """The disbursements that a page showed, with the sums that it showed."""

    rows: Sequence[Disbursement]
    asked_for: int

    @property
    def sum(self) -> int:
        """What M-Pesa will be asked to pay: whole shillings."""
        return sum(row.amount_kes for row in self.rows)

    @property
    def people(self) -> int:
        return len({row.msisdn for row in self.rows})

    @property
    def amounts(self) -> dict[int, str]:
        return {row.pk: str(row.amount) for row in self.rows}

    @property
    def repeated(self) -> list[str]:
        """Numbers that get more than one of them."""
        counted = Counter(row.msisdn for row in self.rows)
        return [msisdn for msisdn, times in counted.items() if times > 1]

    def by_partner(self) -> list[tuple[str, int, int]]:
        """Each partner with its count and sum, the largest sum first."""
        counts: Counter[str] = Counter()
        sums: Counter[str] = Counter()
        for row in self.rows:
            counts[row.partner.name] += 1
            sums[row.partner.name] += row.amount_kes
        return [(name, counts[name], total) for name, total in sums.most_common()]


class CountForm(forms.Form):
    """Asks for the count that stands on the page, which nobody types without looking."""

    count = forms.CharField(
        label="How many disbursements do you approve?",
        help_text="Type the number that stands above.",
        max_length=10,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    reason = forms.CharField(
        label="Note (optional)", help_text="Kept in the history of each, and in the audit.",
        max_length=300, required=False, widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip

    # What the page showed, signed: what is approved is that and nothing else.
    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, expected: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected

    def clean_count(self) -> int:
        typed = re.sub(r"[\s,]", "", self.cleaned_data["count"])
        if typed != str(self.expected):
            raise ValidationError(
                f"You typed {self.cleaned_data['count']}, but there are {self.expected}. Look at "
                "the list again. Nothing was approved."
            )
        return self.expected


@needs(MAY_APPROVE)
@require_http_methods(["GET", "POST"])
def approve(request: HttpRequest) -> HttpResponse:
    """Show what would be approved; on POST approve what was shown, and nothing else."""
    user, back = user_of(request), _back(request)
    try:
        seen = _shown_before(request, user) if request.method == "POST" else _asked(request, user)
    except signing.BadSignature:
        messages.error(request, "That page was too old. Nothing was approved. Choose them anew.")
        return redirect(back)
    if not seen.rows:
        messages.warning(
            request, "None of them awaits your approval: what you entered, somebody else approves. "
            "Nothing was changed.",
        )  # fmt: skip
        return redirect(back)
    recent.demand_above(request, seen.sum)
    started: list[Job] = []

    def start(form: CountForm) -> str:
        _is_as_seen(seen, user)
        started.append(_start(request, seen, form.cleaned_data["reason"], back))
        return f"{_count(len(seen.rows))} are being approved, one by one."

    told = {"by": user.pk, "amounts": seen.amounts, "asked_for": seen.asked_for}
    signed = signing.dumps(told, salt=SALT, compress=True)
    return acts.confirmed(
        request, _act(seen, back), do=start,
        form_kwargs={"expected": len(seen.rows), "initial": {"seen": signed}},
        then=lambda: reverse("job", args=[started[0].pk]),
    )  # fmt: skip


def _asked(request: HttpRequest, user: User) -> Seen:
    """The ticked ones, or all of a filter: the oldest first, up to a bound."""
    if "all" in request.GET:
        asked = DisbursementFilter(request.GET, user=user, right=MAY_APPROVE).rows
        ticked = 0
    else:
        keys = [int(key) for key in request.GET.getlist("pick") if re.fullmatch("[0-9]{1,18}", key)]
        asked, ticked = Disbursement.objects.filter(pk__in=keys), len(keys)
    rows = awaiting(asked, user).select_related("partner").order_by("pk")[:MOST_AT_ONCE]
    return Seen(list(rows), ticked)


def _shown_before(request: HttpRequest, user: User) -> Seen:
    told = signing.loads(request.POST.get("seen", ""), salt=SALT, max_age=SEEN_FOR_S)
    if told["by"] != user.pk:
        raise signing.BadSignature("It was shown to somebody else.")
    amounts = {int(pk): Decimal(amount) for pk, amount in told["amounts"].items()}
    rows = access.only(Disbursement.objects.filter(pk__in=amounts), user, MAY_APPROVE)
    shown = list(rows.select_related("partner").order_by("pk"))
    for row in shown:
        row.amount = amounts[row.pk]
    return Seen(shown, told["asked_for"])


def _is_as_seen(seen: Seen, user: User) -> None:
    """Raise Refusal unless exactly what was shown still awaits this person's approval."""
    there = awaiting(Disbursement.objects.filter(pk__in=seen.amounts), user)
    amounts = dict(there.values_list("pk", "amount"))
    if {pk: str(amount) for pk, amount in amounts.items()} == seen.amounts:
        return
    now = sum(int(amount) for amount in amounts.values())
    raise Refusal(
        f"What you saw has changed: it was KES {seen.sum:,} in {_count(len(seen.rows))}, now "
        f"KES {now:,} in {len(amounts):,} await your approval. Nothing was approved. Go back and "
        "choose them anew."
    )


def _act(seen: Seen, back: str) -> Act:
    count, people = len(seen.rows), seen.people
    to_whom = f"{people:,} {'person' if people == 1 else 'people'}"
    return Act(
        title=f"Approve {_count(count)}, KES {seen.sum:,}?",
        verb=f"Pay KES {seen.sum:,} to {to_whom}",
        back=back,
        consequence="Each is approved by itself and sent to M-Pesa at once. Money that was paid "
        "can't be called back from here.",
        facts=[
            ("Disbursements", f"{count:,}"),
            ("Sum", f"KES {seen.sum:,}"),
            ("Recipients", to_whom),
        ],
        is_dangerous=True,
        form=CountForm,
        template="disbursements/bulk.html",
        more={
            "seen": seen,
            "first": seen.rows[:SHOWN_FIRST],
            "rest": seen.rows[SHOWN_FIRST:],
            "left_out": max(seen.asked_for - count, 0),
            "is_full": count == MOST_AT_ONCE,
        },
    )


def _start(request: HttpRequest, seen: Seen, note: str, back: str) -> Job:
    user = user_of(request)
    audit.record(
        "bulk approval started", by=user.get_username(), source_address=source_address(request),
        count=len(seen.rows), sum_kes=seen.sum, note=note,
    )  # fmt: skip
    return jobs.start(
        "bulk_approval", title=f"Approval of {_count(len(seen.rows))}, KES {seen.sum:,}", by=user,
        given={"amounts": seen.amounts, "note": note, "from": source_address(request)},
        came_from=back, total=len(seen.rows),
    )  # fmt: skip


def is_shown(job: Job, user: User) -> bool:
    """Whether somebody may see, at this moment, all the disbursements that its lines name."""
    rows = Disbursement.objects.filter(pk__in=[_pk_of(line) for line in job.lines])
    codes = set(rows.values_list("partner__code", flat=True))
    may = access.partners(user, MAY_SEE).filter(code__in=codes)
    return user.has_perm(MAY_SEE) and may.count() == len(codes)


def _pk_of(line: dict[str, str]) -> int:
    # By its name, which lines from before this was asked have too.
    return int(line["name"].removeprefix("DSB-"))


@jobs.kind("bulk_approval", shown_while=is_shown)
def carry_out(running: jobs.Running) -> str:
    """Approve one after the other; what can't be approved keeps none of the others waiting."""
    if not running.by.is_active or not running.by.has_perm(MAY_APPROVE):
        raise jobs.Broken("You may not approve disbursements any more. Nothing was approved.")
    approved = total = 0
    for number, (pk, amount) in enumerate(running.given["amounts"].items()):
        # Stops here if the job was given up meanwhile, before anything more is approved.
        running.progress(number)
        line, paid = _approve_one(int(pk), Decimal(amount), running)
        approved, total = approved + (line["result"] == "ok"), total + paid
        running.tell(line)
    running.progress(len(running.given["amounts"]))
    others = len(running.given["amounts"]) - approved
    words = f"{_count(approved)} approved, KES {total:,}; they are being sent to M-Pesa."
    return words + (f" {others:,} not: each says why." if others else "")


def _approve_one(pk: int, amount: Decimal, running: jobs.Running) -> tuple[dict[str, str], int]:
    """The line that says what came of it, and what will be paid."""
    line = {"name": f"DSB-{pk}", "link": reverse("disbursements:detail", args=[pk])}
    try:
        with transaction.atomic():
            rows = Disbursement.objects.select_for_update(no_key=True, of=("self",))
            found = rows.select_related("partner").get(pk=pk)
            if not running.by.has_perm(MAY_APPROVE, found.partner):
                raise NotAllowed(f"You may not approve payouts of {found.partner} any more.")
            if found.amount != amount:
                raise NotAllowed("Its sum is not the one that you saw.")
            approval.approve(
                found, by=running.by, note=running.given["note"],
                source_address=running.given["from"],
            )  # fmt: skip
    except (NotAllowed, TransitionRefused) as refusal:
        return line | {"result": "skipped", "words": f"Not approved: {refusal}"}, 0
    except Exception as fault:
        # One that breaks must not keep the others waiting.
        log.exception("bulk_approval_broke", disbursement_id=pk)
        words = f"Not approved: a fault of ours ({type(fault).__name__})."
        return line | {"result": "failed", "words": words}, 0
    words = f"Approved: KES {found.amount_kes:,} to {found.client_name or found.msisdn}."
    return line | {"result": "ok", "words": words}, found.amount_kes


def _back(request: HttpRequest) -> str:
    """The list as it was filtered."""
    return with_filters(reverse("disbursements:list"), DisbursementFilter.known_query(request.GET))


def _count(number: int) -> str:
    return f"{number:,} disbursement{'' if number == 1 else 's'}"
