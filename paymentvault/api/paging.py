"""Pages of a list by cursor: an answer names the address of the next one."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from paymentvault.api.errors import Problem
from paymentvault.paging import Pager, Sort

MOST = 100
NEWEST_FIRST = Sort()


class PageOf(serializers.Serializer[Any]):
    """What every list asks for besides its filters."""

    limit = serializers.IntegerField(
        min_value=1, max_value=MOST, default=50, help_text="How many rows a page has."
    )
    after = serializers.CharField(
        required=False, max_length=2000,
        help_text="A cursor, as in the `next` of the page before. It can't be made up.",
    )  # fmt: skip
    before = serializers.CharField(
        required=False, max_length=2000, help_text="A cursor, as in `previous`."
    )

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields))
        if unknown:
            # A filter that was misspelt must not show more than was asked for.
            told = {name: ["There is no such filter."] for name in unknown}
            raise serializers.ValidationError(told)
        return super().to_internal_value(data)


def pages_of(shown: type[serializers.BaseSerializer[Any]]) -> serializers.Serializer[Any]:
    """How a page of these is described."""
    name = f"PageOf{shown.__name__}"
    fields = {
        "results": shown(many=True),
        "next": serializers.URLField(allow_null=True, help_text="Null on the last page."),
        "previous": serializers.URLField(allow_null=True),
    }
    made: type[serializers.Serializer[Any]] = type(name, (serializers.Serializer,), fields)
    return made()


def page(
    request: Request,
    rows: QuerySet[Any],
    shown: type[serializers.BaseSerializer[Any]],
    *,
    limit: int,
    sort: Sort = NEWEST_FIRST,
) -> Response:
    """The page that `?after=…` or `?before=…` names, with the addresses that lead on and back."""
    query, pager = request.query_params, Pager({"": sort}, per_page=limit)
    if not pager.knows_its_place(query):
        raise Problem("invalid_cursor")
    try:
        found = pager.page(rows, query)
    except (ValueError, ValidationError) as error:
        # A cursor of ours, but of another list.
        raise Problem("invalid_cursor") from error
    here = request.build_absolute_uri(request.path)
    return Response({
        "results": shown(found.rows, many=True).data,
        "next": here + found.following if found.following else None,
        "previous": here + found.previous if found.previous else None,
    })  # fmt: skip
