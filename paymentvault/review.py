"""What the lists for audit review are filtered by: one form, of which each filter is a field."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date

from paymentvault import auditing

Rows = QuerySet[Any]


class Field(admin.SimpleListFilter):
    """A filter by the whole content of one column, typed into a field."""

    template = "admin/filter_field.html"
    kind = "text"

    def __init__(self, request: HttpRequest, params: Any, model: type[Model], owner: Any) -> None:
        super().__init__(request, params, model, owner)
        self.typed = str(self.value() or "").strip().replace("\x00", "")
        self.model = model

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return []

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Given to the field's template."""
        return iter(())

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        return queryset.filter(**{str(self.parameter_name): self.typed}) if self.typed else queryset


class Choice(Field):
    """As above, with what there is to choose from."""

    kind = "choice"

    def choices(self, changelist: Any) -> Iterator[Any]:
        known = auditing.known(self.model, str(self.parameter_name))
        return iter(known if self.typed in known or not self.typed else [self.typed, *known])


class Kept(Field):
    """What a link filtered by, which nobody types."""

    kind = "hidden"


class _Day(Field):
    kind = "date"

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        if not self.typed:
            return queryset
        try:
            day = parse_date(self.typed)
            begins = timezone.make_aware(datetime.combine(day, time.min)) if day else None
        except (ValueError, OverflowError):
            begins = None
        if begins is None or begins.year < 1970 or begins.year > 9000:
            raise IncorrectLookupParameters(f"{self.typed} is no day.")
        return self.bounded(queryset, begins)

    def bounded(self, queryset: Rows, begins: datetime) -> Rows:
        raise NotImplementedError


class From(_Day):
    title, parameter_name = "From day", "from"

    def bounded(self, queryset: Rows, begins: datetime) -> Rows:
        return queryset.filter(at__gte=begins)


class Until(_Day):
    title, parameter_name = "Until day", "until"

    def bounded(self, queryset: Rows, begins: datetime) -> Rows:
        return queryset.filter(at__lt=begins + timedelta(days=1))


class Person(Field):
    title, parameter_name = "Person, key or part of the system", "actor"


class PartnerCode(Choice):
    title, parameter_name = "Partner", "partner_code"


class Act(Choice):
    title, parameter_name = "Act", "act"


class Subject(Field):
    title, parameter_name = "Object, such as DSB-12", "subject"


class AboutType(Kept):
    title, parameter_name = "Kind of object", "about_type"


class KindOfRow(Choice):
    title, parameter_name = "Kind of row", "about_type"


class AboutId(Kept):
    title, parameter_name = "Number of the object", "about_id"


class Request(Kept):
    title, parameter_name = "Request", "request_id"
