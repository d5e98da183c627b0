"""A partner's connection to its Mifos X: its form, and the test of what is typed or saved."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_POST

from mifos.connections import ConnectionTest
from partners import access, changes, work
from partners.changes import Kind
from partners.drafts import ConnectionDraft, about_of
from partners.forms import ConnectionPageForm, MifosConnectionForm
from partners.models import MifosConnection, Partner
from partners.pages import saving, states
from paymentvault.acts import user_of
from paymentvault.addresses import source_address
from paymentvault.models import Job
from paymentvault.rights import needs

RIGHT = "partners.change_mifosconnection"
# What most lenders leave as it is.
INNER = ("oauth_token_url", "oauth_client_id", "oauth_client_secret", "ca_bundle", "hook_host",
         "time_zone")  # fmt: skip


def partner_of(request: HttpRequest, code: str, right: str = RIGHT) -> Partner:
    rows = Partner.objects.select_related("mifos")
    return access.one(rows, request.user, right, code=code)


def locked_partner(request: HttpRequest, code: str, right: str = RIGHT) -> Partner:
    rows = Partner.objects.select_for_update(no_key=True)
    return access.one(rows, request.user, right, code=code)


def connection_of(request: HttpRequest, code: str, right: str = RIGHT) -> MifosConnection:
    """A partner's connection; 404 while there is none."""
    rows = MifosConnection.objects.select_related("partner")
    return access.one(rows, request.user, right, partner__code=code)


def locked(request: HttpRequest, code: str) -> MifosConnection:
    """The connection, for the rest of the transaction ours alone to change."""
    rows = MifosConnection.objects.select_related("partner")
    rows = rows.select_for_update(of=("self",), no_key=True)
    return access.one(rows, request.user, RIGHT, partner__code=code)


def when(moment: datetime | None) -> str:
    return f"{timezone.localtime(moment):%-d %B %Y %H:%M}" if moment else ""


def start(
    request: HttpRequest,
    kind: str,
    partner: Partner,
    *,
    title: str,
    back: str = "partners:detail",
    **given: Any,
) -> tuple[Job, bool]:
    """Start a job about a partner's connection, or find the one that is under way."""
    given["address"] = source_address(request)
    job, is_new = work.start_once(
        kind, partner, title=title, by=user_of(request), given=given,
        came_from=reverse(back, args=[partner.code]),
    )  # fmt: skip
    if not is_new and not request.headers.get("HX-Request"):
        words = "This is under way already, started by {}. It was not started again."
        messages.info(request, format_html(words, job.started_by))
    return job, is_new


@needs(RIGHT)
def edit(request: HttpRequest, code: str) -> HttpResponse:
    partner = partner_of(request, code)
    if request.method != "POST":
        return _page(request, partner, _form(partner, None))
    with transaction.atomic():
        # Of two who save at once, the second waits here and is told of the first.
        partner = locked_partner(request, code)
        form = _form(partner, request.POST)
        if form.is_valid():
            if answer := _saved_if_unique(request, partner, form):
                return answer
            form = _form(partner, request.POST)  # which finds the other one now, and tells
    return _page(request, partner, form)


def _saved_if_unique(
    request: HttpRequest, partner: Partner, form: ConnectionPageForm
) -> HttpResponse | None:
    """None when somebody connected the same tenant for another partner at this moment."""
    try:
        with transaction.atomic():
            return _saved(request, partner, form)
    except IntegrityError:
        return None


def _form(partner: Partner, typed: Any, **more: Any) -> ConnectionPageForm:
    connection = MifosConnection.objects.filter(partner=partner).first()
    if connection:
        connection.partner = partner
    row = connection or MifosConnection(partner=partner)
    saved_at = saving.secrets_saved_at(row, MifosConnectionForm.secrets)
    return ConnectionPageForm(typed, instance=row, saved_at=saved_at, **more)


def _saved(request: HttpRequest, partner: Partner, form: ConnectionPageForm) -> HttpResponse:
    draft = ConnectionDraft(form, partner)
    told = saving.submit(request, draft, form)
    if told is None:
        return _page(request, partner, form)
    is_off_now = draft.was_on and not form.instance.is_on
    messages.add_message(request, messages.WARNING if is_off_now else messages.SUCCESS, told.words)
    return redirect("partners:detail", partner.code)


def _page(request: HttpRequest, partner: Partner, form: ConnectionPageForm) -> HttpResponse:
    job = work.latest(partner).get(work.TEST)
    # As saved: the form's own row has what was typed.
    connection = MifosConnection.objects.filter(partner=partner).first()
    given = {
        "partner": partner,
        "form": form,
        "connection": connection,
        "job": job if job and not job.is_over else None,
        "rest": ConnectionTest.STEPS[len(job.lines) if job else 0 :],
        "steps": ConnectionTest.STEPS,
        "inner": INNER,
        "waiting": changes.waiting(partner, Kind.CONNECTION, about_of(connection)),
        "opens_inner": any(name in form.errors or form[name].value() for name in INNER[:-1]),
    }
    return render(request, "connection/form.html", given, status=422 if form.is_bound else 200)


@needs(RIGHT)
@require_POST
def test(request: HttpRequest, code: str) -> HttpResponse:
    """Test what is typed, if a form was sent; else what is saved."""
    partner, given = partner_of(request, code), dict[str, Any]()
    if words := work.wait_to_test(user_of(request)):
        return _too_often(request, partner, words)
    if "host_url" in request.POST:
        # A clash with what somebody else saved keeps nobody from testing.
        saved = states.mifos_of(partner) or MifosConnection(partner=partner)
        form = MifosConnectionForm(request.POST, instance=saved)
        if not form.is_valid():
            return _not_tested(request, partner, form)
        if form.instance.pk is None or form.changed_data:
            given = {"typed": _typed(form), "in_place": bool(request.headers.get("HX-Request"))}
    elif states.mifos_of(partner) is None:
        return redirect("connection:edit", code)
    title = f"Test of {partner.name}’s Mifos X connection{', as typed' if given else ''}"
    back = "connection:edit" if given else "partners:detail"
    job, is_new = start(request, work.TEST, partner, title=title, back=back, **given)
    if request.headers.get("HX-Request"):
        return _panel(request, partner, job, is_old=not is_new)
    return redirect("job", job.pk)


def _too_often(request: HttpRequest, partner: Partner, words: str) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return render(request, "connection/_not_tested.html", {"words": words})
    messages.warning(request, words)
    return redirect("partners:detail", partner.code)


def _typed(form: MifosConnectionForm) -> dict[str, Any]:
    """What was typed, as JSON; of the secrets only those that were."""
    typed = {name: form.cleaned_data[name] for name in MifosConnectionForm.Meta.fields}
    return typed | {name: form.data.get(name, "") for name in form.secrets}


def _not_tested(request: HttpRequest, partner: Partner, form: MifosConnectionForm) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return render(request, "connection/_not_tested.html", {"form": form})
    return _page(request, partner, _form(partner, request.POST))


@needs("partners.view_partner")
@require_GET
def test_panel(request: HttpRequest, code: str, pk: UUID) -> HttpResponse:
    """The part beside the form that shows how far a test is."""
    partner = partner_of(request, code, "partners.view_partner")
    tests = Job.objects.filter(kind=work.TEST, about=work.about(partner))
    job = get_object_or_404(tests.select_related("started_by"), pk=pk)
    return _panel(request, partner, job)


def _panel(
    request: HttpRequest, partner: Partner, job: Job, *, is_old: bool = False
) -> HttpResponse:
    given: dict[str, Any] = {
        "partner": partner, "job": job, "rest": ConnectionTest.STEPS[len(job.lines):],
        "is_old": is_old,
    }  # fmt: skip
    types = next((line["types"] for line in job.lines if "types" in line), None)
    if job.is_over and types and request.user.has_perm(RIGHT, partner):
        chosen = {"payment_type_id": request.GET.get("payment_type_id", "")}
        form = ConnectionPageForm(
            instance=MifosConnection(partner=partner), initial=chosen, types=types
        )
        given["field"] = form["payment_type_id"]
    return render(request, "connection/_test.html", given)
