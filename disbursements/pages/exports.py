"""Exactly what is filtered, as CSV or Excel: at once if it is little, as a job if it is much."""

from collections.abc import Iterable, Iterator

from django import forms
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from disbursements.models import Attempt, Disbursement
from disbursements.pages import sheets
from disbursements.pages.filters import DisbursementFilter, Rows
from partners import access
from paymentvault import acts, audit, jobs
from paymentvault.acts import Act, user_of
from paymentvault.addresses import source_address
from paymentvault.models import Job, User
from paymentvault.paging import with_filters
from paymentvault.rights import needs

MAY_EXPORT = "disbursements.export_disbursement"
AT_ONCE = 2_000
CHUNK = 500
TOLD_EVERY = 1_000
# The rest of an attempt holds what would have to be decrypted.
IDS = ("disbursement_id", "originator_conversation_id", "conversation_id")

MADE_BY = {"csv": sheets.csv_of, "xlsx": sheets.xlsx_of}
NAMES = {"csv": "CSV", "xlsx": "Excel"}
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@needs(MAY_EXPORT)
@require_http_methods(["GET", "POST"])
def export(request: HttpRequest, form: str) -> HttpResponseBase:
    """Stream it; a page asks first where that would take long."""
    chosen = DisbursementFilter(request.GET, user=user_of(request), right=MAY_EXPORT)
    if not chosen.is_valid():
        # The list says what is wrong.
        return redirect(with_filters(reverse("disbursements:list"), chosen.url_query()))
    keys = list(chosen.in_order().values_list("pk", flat=True)[: AT_ONCE + 1])
    if len(keys) > AT_ONCE:
        return _prepared(request, chosen, form)
    # The very rows that are counted in the audit, whatever changes meanwhile.
    rows = chosen.in_order().filter(pk__in=keys)
    _record(request, chosen, form, len(keys))
    headers = {"Content-Disposition": f'attachment; filename="{_file_name(form)}"'}
    return StreamingHttpResponse(
        MADE_BY[form](_read(rows)), content_type=TYPES[form], headers=headers
    )


def _prepared(request: HttpRequest, chosen: DisbursementFilter, form: str) -> HttpResponse:
    back = with_filters(reverse("disbursements:list"), chosen.url_query())
    act = Act(
        title=f"Prepare a large {NAMES[form]} file?",
        verb="Prepare the file",
        back=back,
        consequence=f"More than {AT_ONCE:,} disbursements match. The file is prepared in the "
        "background; you may leave its page and come back for it. Nothing is changed.",
        facts=[(chip.label, chip.words) for chip in chosen.chips],
        form=forms.Form,
    )
    started: list[str] = []

    def start(_: forms.Form) -> str:
        job = jobs.start(
            "export", title=f"Export of disbursements, {NAMES[form]}", by=user_of(request),
            given={"query": chosen.url_query(), "form": form, "from": source_address(request)},
            came_from=back,
        )  # fmt: skip
        started.append(reverse("job", args=[job.pk]))
        return "The file is being prepared."

    return acts.confirmed(request, act, do=start, then=lambda: started[0])


def gives_file_to(job: Job, user: User) -> bool:
    """Whether somebody may export, at this moment, of every partner that the file is about."""
    codes = job.lines[0].get("partners", [])
    may = access.partners(user, MAY_EXPORT).filter(code__in=codes)
    return user.has_perm(MAY_EXPORT) and may.count() == len(codes)


@jobs.kind("export", gives_file_to=gives_file_to)
def write(running: jobs.Running) -> str:
    """The same in the background."""
    if not running.by.is_active or not running.by.has_perm(MAY_EXPORT):
        raise jobs.Broken("You may not export disbursements any more. No file was made.")
    query = QueryDict(running.given["query"])
    chosen = DisbursementFilter(query, user=running.by, right=MAY_EXPORT)
    if not chosen.is_valid():
        raise jobs.Broken("What you filtered by has changed meanwhile. No file was made.")
    form, counted = running.given["form"], _Counted(running)
    running.progress(0, chosen.rows.order_by().count())
    running.write_file(MADE_BY[form](counted.through(_read(chosen.in_order()))))
    audit.record(
        "disbursements exported", by=running.by.get_username(), form=form, rows=counted.rows,
        source_address=running.given["from"], filter=running.given["query"],
    )  # fmt: skip
    running.tell({"file": _file_name(form), "partners": sorted(counted.partners)})
    return f"{counted.rows:,} disbursements are in the file."


class _Counted:
    """Counts rows on their way into a file, and tells how far it is."""

    def __init__(self, running: jobs.Running) -> None:
        self.running, self.rows = running, 0
        self.partners: set[str] = set()

    def through(self, rows: Iterable[Disbursement]) -> Iterator[Disbursement]:
        for row in rows:
            self.rows += 1
            self.partners.add(row.partner.code)
            if self.rows % TOLD_EVERY == 0:
                self.running.progress(self.rows)
            yield row


def _read(rows: Rows) -> Iterator[Disbursement]:
    """By a cursor in the database, some hundred rows in memory at a time."""
    return (
        rows.select_related("partner", "requested_by", "approved_by")
        .prefetch_related(Prefetch("attempts", Attempt.objects.only(*IDS)))
        .iterator(chunk_size=CHUNK)
    )


def _record(request: HttpRequest, chosen: DisbursementFilter, form: str, rows: int) -> None:
    audit.record(
        "disbursements exported", by=user_of(request).get_username(), form=form, rows=rows,
        source_address=source_address(request), filter=chosen.url_query(),
    )  # fmt: skip


def _file_name(form: str) -> str:
    return f"disbursements-{timezone.localdate():%Y-%m-%d}.{form}"
