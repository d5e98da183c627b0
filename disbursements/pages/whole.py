"""A disbursement with everything that belongs to it, each part read once and when it is needed."""

import hashlib
from functools import cached_property
from itertools import groupby
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    BooleanField,
    ExpressionWrapper,
    FilteredRelation,
    OuterRef,
    Q,
    QuerySet,
    Value,
)
from django.db.models.functions import JSONObject
from django.http import Http404
from django.utils import timezone

from disbursements import cases, makers
from disbursements.models import (
    Attempt,
    Callback,
    Case,
    Disbursement,
    Inquiry,
    Settlement,
    Transition,
)
from disbursements.states import FINAL, Status
from partners import access
from paymentvault.models import User

SEE = "disbursements.view_disbursement"

# Of what repeats itself without end, the newest; the inbox of callbacks has the rest.
MOST_SHOWN = 60
MOST_RELATED = 8
# Where M-Pesa gave no code, ours stands; it means nothing to them.
NO_CODES_OF_THEIRS = {"", "unknown", "not-sent", "none"}
_OF_ITS_OWN = (
    "status", "due_at", "waits_for", "recording_error", "recording_tries", "failure_words",
)  # fmt: skip
# Ages in words grow stale, so the page is drawn anew once in so many seconds.
DRAWN_ANEW_S = 30


def theirs(code: str) -> str:
    """A code that M-Pesa gave; "" for one of ours."""
    return "" if code in NO_CODES_OF_THEIRS else code


def found(pk: int, user: User, right: str) -> Disbursement:
    """A disbursement with its people, its partner and the settlement that waits, in one query;
    of a partner at which somebody has the right."""
    return _one(access.only(_rows(), user, right), pk)


def told(pk: int, user: User) -> Disbursement:
    """The same, with what tells whether a page about it would show something new."""
    it, answers = OuterRef("pk"), ("answer_code", "outcome")
    parts = {
        "open": _latest(Case.objects.filter(disbursement=it, closed_at=None), "kind", "words"),
        "lines": _latest(Transition.objects.filter(disbursement=it)),
        "tries": _latest(Attempt.objects.filter(disbursement=it), "status", "answer_code"),
        "asked": _latest(Inquiry.objects.filter(attempt__disbursement=it), *answers),
        "results": _latest(Callback.objects.filter(attempt__disbursement=it), "state"),
        "answers": _latest(Callback.objects.filter(inquiry__attempt__disbursement=it), "state"),
    }
    rows = access.only(_rows(), user, SEE)
    return _one(rows.annotate(**{f"told_{name}": part for name, part in parts.items()}), pk)


def _rows() -> QuerySet[Disbursement]:
    proposed = Q(settlements__state=Settlement.State.PROPOSED)
    rows: QuerySet[Disbursement] = Disbursement.objects.annotate(
        waiting=FilteredRelation("settlements", condition=proposed),
        is_in_question=cases.is_in_question(),
        must_be_looked_up=ExpressionWrapper(cases.must_be_looked_up(), BooleanField()),
    )
    its = ("partner", "connection", "requested_by", "approved_by", "waiting__proposed_by",
           makers.ITS_KEY)  # fmt: skip
    return rows.select_related(*its)


def _one(rows: QuerySet[Disbursement], pk: int) -> Disbursement:
    try:
        return rows.get(pk=pk)
    except Disbursement.DoesNotExist:
        raise Http404(f"There is no DSB-{pk}.") from None


def _latest(rows: QuerySet[Any], *columns: str) -> ArraySubquery:
    """The latest rows' keys, each with what may still change of it."""
    told = JSONObject(pk="pk", **{column: column for column in columns})
    return ArraySubquery(rows.order_by("-pk").values(told=told)[:MOST_SHOWN])


class Whole:
    def __init__(self, disbursement: Disbursement) -> None:
        self.disbursement = disbursement
        self.status = Status(disbursement.status)
        self.proposal: Settlement | None = getattr(disbursement, "waiting", None)

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will happen by itself or by a person; then nobody looks again."""
        is_unrecordable = self.status == Status.PAID and not self.disbursement.connection_id
        return self.status in FINAL or is_unrecordable

    @property
    def stamp(self) -> str:
        """What changes whenever a page about it would show something else."""
        own = vars(self.disbursement)
        names = [*_OF_ITS_OWN, *sorted(name for name in own if name.startswith("told_"))]
        shown = [own[name] for name in names] + [self.proposal and self.proposal.pk]
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]

    @cached_property
    def transitions(self) -> list[Transition]:
        """Newest first."""
        return list(self.disbursement.transitions.order_by("-pk"))

    @property
    def last_move(self) -> Transition | None:
        """What led to where it is; other lines tell what people did meanwhile."""
        return next((line for line in self.transitions if line.old != line.new), None)

    @cached_property
    def attempts(self) -> list[Attempt]:
        return list(self.disbursement.attempts.select_related("shortcode"))

    @property
    def attempt(self) -> Attempt | None:
        """The one that counts: the live or paid one, else the last that failed."""
        return max(self.attempts, key=lambda a: (a.status != "failed", a.pk), default=None)

    @property
    def approval(self) -> Transition | None:
        """The last line that let it be paid."""
        approved = (t for t in self.transitions if t.new == Status.APPROVED != t.old)
        return next((t for t in approved if t.old != Status.SENDING), None)

    @cached_property
    def inquiries(self) -> list[Inquiry]:
        if not self.attempts:
            return []
        asked = Inquiry.objects.filter(attempt__in=self.attempts).order_by("-pk")
        return list(asked[:MOST_SHOWN])[::-1]

    @cached_property
    def callbacks(self) -> list[Callback]:
        if not self.attempts:
            return []
        ours = Q(attempt__in=self.attempts) | Q(inquiry__in=self.inquiries)
        return list(Callback.objects.filter(ours).order_by("-pk")[:MOST_SHOWN])[::-1]

    @cached_property
    def events(self) -> list[Any]:
        """Mifos X's deliveries about it; this side doesn't know their model."""
        if not self.disbursement.connection_id:
            return []
        return list(self.disbursement.events.order_by("-received_at")[:MOST_SHOWN])[::-1]

    @property
    def is_in_question(self) -> bool:
        """Whether M-Pesa contradicted itself on it, so that it is never paid again from here."""
        return bool(vars(self.disbursement)["is_in_question"])

    @cached_property
    def open_cases(self) -> list[Case]:
        known = getattr(self.disbursement, "told_open", None)
        if known is None:
            return list(self.disbursement.cases.filter(closed_at=None))
        return [Case(disbursement=self.disbursement, **case) for case in known]

    @cached_property
    def related(self) -> list[Disbursement]:
        """Others of the same loan, and the same number's latest; in one query."""
        one = self.disbursement
        others = Disbursement.objects.exclude(pk=one.pk).filter(partner=one.partner_id)
        columns = ("pk", "status", "amount", "loan_account", "loan_id", "created_at")
        parts = []
        if one.loan_id:
            of_loan = others.filter(connection=one.connection_id, loan_id=one.loan_id)
            parts.append(of_loan.annotate(why=Value("Same loan")))
        if one.msisdn:
            of_number = others.filter(msisdn=one.msisdn)
            parts.append(of_number.annotate(why=Value("Same number")))
        bounded = [rows.only(*columns).order_by("-pk")[:MOST_RELATED] for rows in parts]
        if not bounded:
            return []
        rows = bounded[0] if len(bounded) == 1 else bounded[0].union(bounded[1], all=True)
        in_order = sorted(rows, key=lambda d: (-d.pk, d.why != "Same loan"))
        return [next(same) for _, same in groupby(in_order, key=lambda d: d.pk)]


def half_minute() -> int:
    return int(timezone.now().timestamp()) // DRAWN_ANEW_S
