"""Keyset pages: fifty rows from millions cost as much as from a hundred.

A page begins after the last row of the one before, found by an index; nothing is counted or
skipped. The totals of a filter are told up to a bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.core import signing
from django.db.models import Count, Model, Q, QuerySet, Sum
from django.http import QueryDict

PER_PAGE = 50
# Beyond this many rows a filter's total says "more than".
COUNTED_UP_TO = 10_000
# A redirect takes about 2,000 characters.
LONGEST_QUERY = 1_500


@dataclass(frozen=True)
class Page:
    """Rows newest first (or as sorted), with the query strings that lead on and back."""

    rows: Sequence[Any]
    following: str = ""
    previous: str = ""
    sort: str = ""

    def __iter__(self) -> Any:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Sort:
    """An order that an index serves: its last column must be unique."""

    columns: tuple[str, ...] = ("-pk",)
    label: str = "Newest first"


@dataclass(frozen=True)
class Pager:
    """Cuts pages out of a queryset, in one of the orders that the list offers; the first is
    the usual one."""

    sorts: dict[str, Sort] = field(default_factory=lambda: {"": Sort()})
    per_page: int = PER_PAGE

    def page(self, rows: QuerySet[Any], query: QueryDict) -> Page:
        """The page that `?after=…` or `?before=…` names; the first for a broken one."""
        sort = query.get("sort", "")
        sort = sort if sort in self.sorts else next(iter(self.sorts))
        columns = self.sorts[sort].columns
        if edge := _edge(query.get("before"), columns):
            found = list(_beyond(rows, _reversed(columns), edge)[: self.per_page + 1])
            # Fewer mean the beginning, which newer rows may have moved: it is shown whole.
            if len(found) >= self.per_page:
                has_more = len(found) > self.per_page
                shown = found[: self.per_page][::-1]
                return self._made(shown, query, sort, follows=True, precedes=has_more)
            return self._from(None, rows, query, sort)
        edge = _edge(query.get("after"), columns)
        page = self._from(edge, rows, query, sort)
        # Where nothing follows any more, rather the beginning than an empty page.
        return page if page.rows or not edge else self._from(None, rows, query, sort)

    def _from(
        self, edge: list[Any] | None, rows: QuerySet[Any], query: QueryDict, sort: str
    ) -> Page:
        found = list(_beyond(rows, self.sorts[sort].columns, edge)[: self.per_page + 1])
        has_more = len(found) > self.per_page
        shown = found[: self.per_page]
        return self._made(shown, query, sort, follows=has_more, precedes=bool(edge))

    def knows_its_place(self, query: QueryDict) -> bool:
        """Whether what `after` or `before` names, if anything, is a place in this order."""
        sort = str(query.get("sort", ""))
        columns = self.sorts.get(sort, next(iter(self.sorts.values()))).columns
        given = [str(query[way]) for way in ("after", "before") if way in query]
        return all(_edge(text, columns) is not None for text in given)

    def _made(
        self, shown: list[Any], query: QueryDict, sort: str, *, follows: bool, precedes: bool
    ) -> Page:
        columns = self.sorts[sort].columns
        return Page(
            rows=shown,
            sort=sort,
            following=_link(query, "after", shown[-1], columns) if follows and shown else "",
            previous=_link(query, "before", shown[0], columns) if precedes and shown else "",
        )


@dataclass(frozen=True)
class Totals:
    count: int
    sum: Decimal | None
    is_more: bool

    @property
    def words(self) -> str:
        return f"More than {COUNTED_UP_TO:,}" if self.is_more else f"{self.count:,}"


def totals(rows: QuerySet[Any], *, of: str = "") -> Totals:
    """How many rows a filter has, and the sum of a column, up to a bound; in one query."""
    columns = ["pk", of] if of else ["pk"]
    # In no order: the index of the filter is enough.
    bounded = rows.order_by().values(*columns)[: COUNTED_UP_TO + 1]
    asked: dict[str, Any] = {"count": Count("pk")} | ({"sum": Sum(of)} if of else {})
    found = bounded.aggregate(**asked)
    is_more = found["count"] > COUNTED_UP_TO
    total = None if is_more or not of else found["sum"] or Decimal(0)
    return Totals(found["count"], total, is_more)


def with_filters(path: str, query: str) -> str:
    """The address of a filtered list; without the filters, where browsers wouldn't take it."""
    return f"{path}?{query}" if query and len(query) <= LONGEST_QUERY else path


def _beyond(rows: QuerySet[Any], columns: tuple[str, ...], edge: list[Any] | None) -> QuerySet[Any]:
    rows = rows.order_by(*columns)
    if edge is None:
        return rows
    beyond, same = Q(), Q()
    for column, value in zip(columns, edge, strict=True):
        name = column.lstrip("-")
        op = "lt" if column.startswith("-") else "gt"
        beyond |= same & Q(**{f"{name}__{op}": value})
        same &= Q(**{name: value})
    # The first column alone bounds the index scan; PostgreSQL can't see that in an OR.
    first = columns[0].lstrip("-")
    bound = "lte" if columns[0].startswith("-") else "gte"
    return rows.filter(Q(**{f"{first}__{bound}": edge[0]}) & beyond)


def _reversed(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(c[1:] if c.startswith("-") else f"-{c}" for c in columns)


def _link(query: QueryDict, way: str, row: Model, columns: tuple[str, ...]) -> str:
    query = query.copy()
    for name in ("after", "before"):
        query.pop(name, None)
    values = [_plain(getattr(row, column.lstrip("-"))) for column in columns]
    query[way] = signing.dumps(values, salt=_salt(columns), compress=True)
    return f"?{query.urlencode()}"


def _plain(value: Any) -> Any:
    return value if isinstance(value, int) else str(value)


def _edge(text: str | None, columns: tuple[str, ...]) -> list[Any] | None:
    if not text:
        return None
    try:
        values: list[Any] = signing.loads(text, salt=_salt(columns))
    except signing.BadSignature:
        return None
    return values


def _salt(columns: tuple[str, ...]) -> str:
    """An edge of one order is none of another: its values would be compared with other columns."""
    return f"page {' '.join(columns)}"
