"""Which disbursements a list, an export or a bulk approval is about: what its URL asks for.

Every condition is one that an index serves, so that it stays quick over millions of rows.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import django_filters as filters
from django import forms
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import ValidationError
from django.db.models import BooleanField, F, Func, Q, QuerySet
from django.http import QueryDict
from django.utils import timezone

from disbursements import makers
from disbursements.models import Attempt, Case, Disbursement, Settlement
from disbursements.msisdn import SEPARATORS, normalise
from disbursements.pages.fields import SumField
from disbursements.pages.notices import HOLD_WORDS
from disbursements.pages.waits import BANDS, what_waits
from disbursements.states import Status
from partners import access
from partners.models import LoanProduct
from paymentvault.forms import OF_THIS_CENTURY
from paymentvault.models import User
from paymentvault.paging import Pager, Sort

Rows = QuerySet[Disbursement]

SEE, DECIDE, SETTLE = (
    "disbursements.view_disbursement", "disbursements.approve_disbursement",
    "disbursements.settle_disbursement",
)  # fmt: skip

# More are too many to choose from.
MOST_PRODUCTS = 500

# Recording takes seconds; what isn't recorded by then is worth a look.
RECORDED_WITHIN = timedelta(minutes=5)

REFERENCE = re.compile(r"(?i)dsb[-\s]?([0-9]{1,18})")
# Enough of a number to be looked for: four digits after the 0 or the 254.
BEGINS_LIKE_A_NUMBER = re.compile(r"(?:\+?254|00254|0)([17][0-9]{3,8})", re.ASCII)
AN_ID = re.compile(r"(?=.*[0-9])[A-Za-z0-9_.\-]{4,60}", re.ASCII)
# The index of names knows groups of three letters; fewer would read every row.
THREE_LETTERS = re.compile(r"[^\W_]{3}")


def reading(text: str) -> Q:
    """What a search looks for: a reference, a loan, a number, a receipt, an id, or a name."""
    if reference := REFERENCE.fullmatch(text):
        return Q(pk=int(reference[1]))
    found = _numbers(text) | _ids(text)
    if THREE_LETTERS.search(text) and re.search(r"[^\W\d_]", text):
        found |= Q(*(Q(client_name__icontains=word) for word in text.split()))
    if not found:
        raise ValidationError(
            "Type a whole reference, loan, receipt or conversation ID, at least six digits of a "
            "phone number, or three letters of a name."
        )
    return found


def _numbers(text: str) -> Q:
    found = Q()
    digits = SEPARATORS.sub("", text)
    if number := normalise(text):
        found |= Q(msisdn=number)
    elif begun := BEGINS_LIKE_A_NUMBER.fullmatch(digits):
        first = f"254{begun[1]}"
        found |= Q(msisdn__gte=first, msisdn__lt=str(int(first) + 1))
    if re.fullmatch(r"[0-9]{1,18}", text):
        found |= Q(pk=int(text)) | Q(loan_id=int(text)) | Q(loan_account=text)
    return found


def _ids(text: str) -> Q:
    if not AN_ID.fullmatch(text):
        return Q()
    attempts = Attempt.objects.filter(
        Q(originator_conversation_id=text.lower()) | Q(conversation_id=text)
    )
    return (
        Q(mpesa_receipt=text.upper()) | Q(loan_account=text)
        | _is_one_of(attempts.values("disbursement"))
    )  # fmt: skip


def _is_one_of(keys: QuerySet[Any, Any]) -> Q:
    """Keys that are looked up once, before the rest; IN (SELECT …) in an OR reads every row."""
    return Q(
        Func(
            F("pk"), ArraySubquery(keys), template="%(expressions)s)", arg_joiner=" = ANY(",
            output_field=BooleanField(),
        )
    )  # fmt: skip


def needing_attention(rows: Rows, user: User) -> Rows:
    """Held, in doubt, failed, paid but not recorded, or with a case that nobody has settled."""
    cases = Case.objects.filter(closed_at=None, disbursement__isnull=False)
    return rows.filter(
        Q(status__in=[Status.HELD, Status.IN_DOUBT, Status.FAILED])
        | Q(_unrecorded(), status_at__lt=timezone.now() - RECORDED_WITHIN)
        | _is_one_of(cases.values("disbursement"))
    )


def awaiting(rows: Rows, user: User) -> Rows:
    """What this person may approve: it awaits approval, and somebody else asked for it."""
    waiting = access.only(rows, user, DECIDE).filter(status=Status.AWAITING_APPROVAL)
    return makers.of_others(waiting, user)


def unrecorded(rows: Rows, user: User) -> Rows:
    return rows.filter(_unrecorded())


def to_settle(rows: Rows, user: User) -> Rows:
    """Somebody else says what became of it, and this person may agree."""
    proposed = Settlement.objects.filter(state=Settlement.State.PROPOSED)
    return access.only(rows, user, SETTLE).filter(
        pk__in=proposed.exclude(proposed_by=user).values("disbursement")
    )


def _unrecorded() -> Q:
    """Paid, and the loan's Mifos X doesn't know; one entered by hand has no Mifos X."""
    return Q(status=Status.PAID, connection__isnull=False)


VIEWS = {
    "attention": ("Needs attention", needing_attention),
    "mine": ("Awaiting me", awaiting),
    "unrecorded": ("Paid, not recorded", unrecorded),
    "settlements": ("Settlements to confirm", to_settle),
}
# Bookmarks: the words, and the query that the list is opened with.
SAVED = [
    ("All", ""),
    ("Needs attention", "view=attention"),
    ("In doubt", "status=in_doubt"),
    ("Awaiting me", "view=mine"),
    ("Paid, not recorded", "view=unrecorded"),
]


class FilterForm(forms.Form):
    def clean_q(self) -> str:
        text = " ".join(self.cleaned_data["q"].split())
        if text:
            reading(text)
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for what, words in (
            ("entered", "This day is before the first one."),
            ("paid", "This day is before the first one."),
            ("amount", "This sum is smaller than the other one."),
        ):
            first, last = cleaned.get(f"{what}_from"), cleaned.get(f"{what}_to")
            if first is not None and last is not None and first > last:
                self.add_error(f"{what}_to", words)
        return cleaned


def _choice(what: str) -> dict[str, str]:
    return {"invalid_choice": f"“%(value)s” is no {what} that there is."}


class SumFilter(filters.NumberFilter):
    field_class = SumField


def _day(field: str, method: str, label: str) -> filters.DateFilter:
    return filters.DateFilter(
        field, method=method, label=label,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d", "%d/%m/%Y"],
        error_messages={"invalid": "Enter a day such as 2026-11-23."},
        validators=OF_THIS_CENTURY,
    )  # fmt: skip


class DisbursementFilter(filters.FilterSet):
    """The filters of a URL, for one person: "Awaiting me" differs from one to the other."""

    q = filters.CharFilter(
        method="search", label="Search", max_length=100,
        widget=forms.TextInput(attrs={
            "type": "search", "autocomplete": "off", "aria-describedby": "search-hint",
        }),
    )  # fmt: skip
    status = filters.MultipleChoiceFilter(
        label="Status", choices=Status.choices, distinct=False,
        widget=forms.CheckboxSelectMultiple, error_messages=_choice("status"),
    )  # fmt: skip
    partner = filters.ChoiceFilter(
        method="of_partner", label="Partner", choices=(), empty_label="All partners",
        error_messages=_choice("partner"),
    )  # fmt: skip
    product = filters.ChoiceFilter(
        method="of_product", label="Loan product", choices=(), empty_label="All products",
        error_messages=_choice("loan product"),
    )  # fmt: skip
    origin = filters.ChoiceFilter(
        label="Came by", choices=Disbursement.Origin.choices, empty_label="Any way",
        error_messages=_choice("way to come by"),
    )  # fmt: skip
    entered_from = _day("created_at", "since", "Entered from")
    entered_to = _day("created_at", "until", "Entered to")
    paid_from = _day("paid_at", "since", "Paid from")
    paid_to = _day("paid_at", "until", "Paid to")
    amount_from = SumFilter("amount", "gte", label="Sum from, KES")
    amount_to = SumFilter("amount", "lte", label="Sum to, KES")
    hold = filters.ChoiceFilter(
        method="held_since", label="Held since", empty_label="Any reason",
        choices=[(str(hold), words) for hold, words in HOLD_WORDS.items()],
        error_messages=_choice("reason"),
    )  # fmt: skip
    waited = filters.ChoiceFilter(
        method="has_waited", label="As it is now for", empty_label="Any time",
        choices=[(band.key, band.label) for band in BANDS], error_messages=_choice("time"),
    )  # fmt: skip
    view = filters.ChoiceFilter(
        method="in_view", label="View", choices=[(key, words) for key, (words, _) in VIEWS.items()],
        widget=forms.HiddenInput, error_messages=_choice("view"),
    )  # fmt: skip

    class Meta:
        model = Disbursement
        form = FilterForm
        fields: list[str] = []

    def __init__(self, data: QueryDict, *, user: User, right: str = SEE) -> None:
        self.query = self._what_counts(data)
        super().__init__(self.query, access.only(Disbursement.objects.all(), user, right))
        self.sort = self._sort_of(data)
        self.user, self.right = user, right
        # Read once: the choice, its check and its words need them.
        self.partners = {p.code: p for p in access.partners(user, right).only("code", "name")}
        self.products = self._products()
        self.filters["partner"].extra["choices"] = [
            (p.code, p.name) for p in self.partners.values()
        ]
        self.filters["product"].extra["choices"] = [
            (pk, f"{p.name} ({p.connection.partner})") for pk, p in self.products.items()
        ]

    def _products(self) -> dict[str, LoanProduct]:
        """As many as a person can choose from, and the one that was asked for."""
        all_of_them = access.only(
            LoanProduct.objects.select_related("connection__partner"), self.user, self.right
        )
        found = {str(p.pk): p for p in all_of_them[:MOST_PRODUCTS]}
        asked = self.query.get("product", "")
        if len(found) == MOST_PRODUCTS and re.fullmatch("[0-9]{1,18}", asked):
            found |= {str(p.pk): p for p in all_of_them.filter(pk=asked)}
        return found

    @property
    def rows(self) -> Rows:
        """What was asked for; nothing, if part of it can't be understood."""
        found: Rows = self.qs if self.is_valid() else Disbursement.objects.none()
        return found

    @property
    def pager(self) -> Pager:
        return Pager({"": Sort(self._newest), "amount": Sort(("-amount", "-pk"), "Largest first")})

    @property
    def _newest(self) -> tuple[str, ...]:
        """By the time that is filtered on: then its index bounds what is read."""
        asked = self.form.cleaned_data if self.is_valid() else {}
        for what, column in (("paid", "-paid_at"), ("entered", "-created_at")):
            if asked.get(f"{what}_from") or asked.get(f"{what}_to"):
                return (column, "-pk")
        return ("-pk",)

    def in_order(self) -> Rows:
        """All of it, in the order that the list shows it."""
        return self.rows.order_by(*self.pager.sorts[self.sort].columns)

    @classmethod
    def _what_counts(cls, data: QueryDict) -> QueryDict:
        """The filters of a URL, without what is empty or isn't ours."""
        query = QueryDict(mutable=True)
        for name in cls.base_filters:
            if values := [text for v in data.getlist(name) if (text := v.strip())]:
                query.setlist(name, values)
        return query

    @staticmethod
    def _sort_of(data: QueryDict) -> str:
        return "amount" if data.get("sort") == "amount" else ""

    @classmethod
    def known_query(cls, data: QueryDict) -> str:
        """What of a URL is ours, without reading what there is to choose from."""
        query = cls._what_counts(data)
        if sort := cls._sort_of(data):
            query["sort"] = sort
        return query.urlencode()

    def url_query(self, **changes: str) -> str:
        """What leads here again, sorted alike, with changes; one to "" is left out."""
        query = self.query.copy()
        for name, value in ({"sort": self.sort} | changes).items():
            query.setlist(name, [value] if value else [])
        return query.urlencode()

    @property
    def is_narrowed(self) -> bool:
        return bool(self.query)

    @property
    def is_more_open(self) -> bool:
        """Whether one of the filters that usually stay folded away is in use."""
        return bool(self.query.keys() - {"q", "status", "partner", "view"})

    def more(self) -> Iterator[forms.BoundField]:
        """The fields that usually stay folded away."""
        return (self.form[n] for n in self.filters if n not in ("q", "status", "partner", "view"))

    @property
    def chips(self) -> list["Chip"]:
        if not self.is_valid():
            return []
        chips = []
        for name, values in self.query.lists():
            for value in values if name == "status" else values[-1:]:
                label = str(self.form.fields[name].label).removesuffix(", KES")
                chips.append(Chip(label, self._words(name, value), self._without(name, value)))
        return chips

    def _words(self, name: str, value: str) -> str:
        field, cleaned = self.form.fields[name], self.form.cleaned_data[name]
        if isinstance(field, forms.ChoiceField):
            return str(dict(field.widget.choices).get(value, value))
        if isinstance(cleaned, Decimal):
            return f"KES {cleaned:,.2f}"
        return f"{cleaned:%-d %B %Y}" if isinstance(cleaned, date) else str(cleaned)

    def _without(self, name: str, value: str) -> str:
        query = self.query.copy()
        query.setlist(name, [v for v in query.getlist(name) if name == "status" and v != value])
        if self.sort:
            query["sort"] = self.sort
        return query.urlencode()

    def search(self, rows: Rows, name: str, text: str) -> Rows:
        return rows.filter(reading(text))

    def of_partner(self, rows: Rows, name: str, code: str) -> Rows:
        return rows.filter(partner=self.partners[code])

    def of_product(self, rows: Rows, name: str, key: str) -> Rows:
        product = self.products[key]
        # The partner's index leads to it; a connection has none of its own.
        return rows.filter(
            partner=product.connection.partner_id, connection=product.connection_id,
            product_id=product.product_id,
        )  # fmt: skip

    def since(self, rows: Rows, name: str, day: date) -> Rows:
        return rows.filter(**{f"{name}__gte": _midnight(day)})

    def until(self, rows: Rows, name: str, day: date) -> Rows:
        return rows.filter(**{f"{name}__lt": _midnight(day + timedelta(days=1))})

    def held_since(self, rows: Rows, name: str, hold: str) -> Rows:
        return rows.filter(status=Status.HELD, holds__contains=[hold])

    def has_waited(self, rows: Rows, name: str, key: str) -> Rows:
        band = next(band for band in BANDS if band.key == key)
        return rows.filter(what_waits(), band.condition(timezone.now()))

    def in_view(self, rows: Rows, name: str, key: str) -> Rows:
        return VIEWS[key][1](rows, self.user)


@dataclass(frozen=True)
class Chip:
    """A filter in force, and the query without it."""

    label: str
    words: str
    without: str


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, timezone.get_default_timezone())
