"""The inbox of Mifos X's deliveries: what each was, what came of it, and processing it again."""

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from mifos import again
from mifos.models import Event
from mifos.pages import event_words
from partners import access
from partners.models import Partner
from paymentvault.acts import Act, NoteForm, Refusal, confirmed, user_of
from paymentvault.addresses import source_address
from paymentvault.forms import OF_THIS_CENTURY
from paymentvault.models import Job, User
from paymentvault.paging import COUNTED_UP_TO, Pager, Sort, with_filters
from paymentvault.rights import needs

State = Event.State
SEE, TEND = "mifos.view_event", "mifos.change_event"
PAGER = Pager({"": Sort(("-received_at", "-pk"))})
RELATED = 20


class Filters(forms.Form):
    """What the list is narrowed down to; a filter that says nothing is left out."""

    state = forms.ChoiceField(choices=[("", "Any"), *State.choices], required=False)
    partner = forms.ModelChoiceField(
        Partner.objects.none(), to_field_name="code", empty_label="All partners", required=False
    )
    action = forms.ChoiceField(
        choices=[("", "Any"), *[(name, told.capitalize()) for name, (_, told)
                                in event_words.ACTIONS.items()]],
        required=False,
    )  # fmt: skip
    loan = forms.IntegerField(
        label="Loan", min_value=1, max_value=2**63 - 1, required=False,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )  # fmt: skip
    since = forms.DateField(
        label="From", required=False, validators=OF_THIS_CENTURY,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )  # fmt: skip
    until = forms.DateField(
        label="To", required=False, validators=OF_THIS_CENTURY,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )  # fmt: skip

    def __init__(self, query: QueryDict, *, user: User, right: str = SEE) -> None:
        super().__init__(query)
        self.user, self.right = user, right
        field: Any = self.fields["partner"]
        field.queryset = access.partners(user, right)

    def narrowed(self, rows: QuerySet[Event]) -> QuerySet[Event]:
        """The deliveries that fit; what was typed wrong fits none, so that nobody is misled."""
        if not self.is_valid():
            return rows.none()
        given = self.cleaned_data
        lookups = {
            "state": given["state"],
            # By the connection itself, which the index begins with.
            "connection__in": given["partner"] and _connections(given["partner"]),
            "action": given["action"],
            "loan_id": given["loan"],
            "received_at__gte": given["since"] and _midnight(given["since"]),
            "received_at__lt": given["until"] and _midnight(given["until"] + timedelta(days=1)),
        }
        rows = access.only(rows, self.user, self.right)
        return rows.filter(**{name: value for name, value in lookups.items() if value})

    def chips(self, query: QueryDict) -> list[dict[str, str]]:
        """The filters in force, each with the query that drops it."""
        return [
            {
                "label": str(self[name].label),
                "words": self._word(name),
                "without": _less(query, name),
            }
            for name in self.fields
            if query.get(name)
        ]

    def _word(self, name: str) -> str:
        field, value = self.fields[name], self[name].value()
        if isinstance(field, forms.ModelChoiceField):
            found = self.cleaned_data.get(name) if self.is_valid() else None
            return str(found or value)
        choices = dict(getattr(field, "choices", ()))
        return str(choices.get(value, value))


def _connections(partner: Partner) -> list[int]:
    connection = getattr(partner, "mifos", None)
    return [connection.pk] if connection else [0]


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _less(query: QueryDict, name: str) -> str:
    rest = query.copy()
    for dropped in (name, "after", "before"):
        rest.pop(dropped, None)
    return rest.urlencode()


@needs(SEE)
def index(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    filters = Filters(request.GET, user=user)
    found = filters.narrowed(Event.objects.all())
    rows = found.select_related("connection__partner", "disbursement").defer("body")
    page = PAGER.page(rows, request.GET)
    shown = {
        "filters": filters,
        "chips": filters.chips(request.GET),
        "page": page,
        "events": [_row(event) for event in page],
        "count": _counted(found),
        "counted_up_to": COUNTED_UP_TO,
        "has_unreadable": user.has_perm(TEND) and _unreadable(request.GET, user).exists(),
        "query": request.GET.urlencode(),
        "here": request.path,
    }
    return render(request, "events/list.html", shown)


def _counted(rows: QuerySet[Event]) -> int:
    """How many there are, in the order of the index, and at most one more than are counted."""
    return rows.order_by("-received_at", "-pk").values("pk")[: COUNTED_UP_TO + 1].count()


def _unreadable(query: QueryDict, user: User) -> QuerySet[Event]:
    """What this person may have processed again."""
    return Filters(query, user=user, right=TEND).narrowed(
        Event.objects.filter(state=State.UNREADABLE)
    )


def _row(event: Event) -> dict[str, Any]:
    return {
        "event": event,
        "what": event_words.what_it_was(event),
        "tone": event_words.TONE[State(event.state)],
    }


@needs(SEE)
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    event = _event(request, pk, SEE)
    shown = _row(event) | {
        "body": event_words.readable_body(event),
        "next_try": event_words.next_try(event),
        "related": [_row(other) for other in _related(event)],
    }
    template = "events/_state.html" if request.headers.get("HX-Request") else "events/detail.html"
    return render(request, template, shown)


def _event(request: HttpRequest, pk: UUID, right: str) -> Event:
    rows = Event.objects.select_related("connection__partner", "disbursement")
    return access.one(rows, request.user, right, pk=pk)


def _related(event: Event) -> QuerySet[Event]:
    """The latest others about the same loan."""
    if not event.loan_id:
        return Event.objects.none()
    same = Event.objects.filter(connection=event.connection, loan_id=event.loan_id)
    rows = same.exclude(pk=event.pk).select_related("disbursement").defer("body")
    return rows.order_by("-received_at", "-pk")[:RELATED]


@needs(TEND)
def process_again(request: HttpRequest, pk: UUID) -> HttpResponse:
    event = _event(request, pk, TEND)
    page = reverse("events:detail", args=[pk])
    received = timezone.localtime(event.received_at)
    act = Act(
        title=f"Process this event again? {event_words.what_it_was(event)}",
        verb="Process it again",
        back=page,
        consequence="The loan is read in Mifos X anew, and what it says now decides. If it is "
        "approved and has no disbursement yet, one is made and goes the usual way; with automatic "
        "disbursement on it may be paid. What has a disbursement already isn't paid again.",
        facts=[
            ("Received", f"{received:%-d %B %Y %H:%M:%S}"),
            ("Partner", event.connection.partner),
            ("State", event.get_state_display()),
            ("What came of it", event.outcome),
            ("Disbursement", event.disbursement),
        ],
        form=NoteForm,
    )

    def do(form: Any) -> str:
        again.process_again(
            event, by=user_of(request), reason=form.cleaned_data["reason"],
            source_address=source_address(request),
        )  # fmt: skip
        return "It is being processed again. What comes of it shows here in a moment."

    return confirmed(request, act, do=do)


@needs(TEND)
def unreadable_again(request: HttpRequest) -> HttpResponse:
    """All unreadable ones of a filter, as a job."""
    found = _unreadable(request.GET, user_of(request))
    number = found.values("pk")[: again.AT_ONCE + 1].count()
    back = with_filters(reverse("events:list"), request.GET.urlencode())
    if not number and request.method != "POST":
        return redirect(back)
    these = f"the newest {again.AT_ONCE}" if number > again.AT_ONCE else f"{number}"
    started: list[Job] = []

    def do(form: Any) -> str:
        if not number:
            raise Refusal("None of them is unreadable any more.")
        reason = form.cleaned_data["reason"]
        started.append(again.start(found, by=user_of(request), reason=reason, came_from=back[:200]))
        return "They are being processed again."

    act = Act(
        title=f"Process {these} unreadable event{'' if number == 1 else 's'} again?",
        verb=f"Process {these} again",
        back=back,
        consequence="Each loan that one of them names is read in Mifos X anew. What is approved "
        "and has no disbursement gets one and goes the usual way; nothing is paid twice.",
        form=NoteForm,
    )
    return confirmed(request, act, do=do, then=lambda: reverse("job", args=[started[0].pk]))
