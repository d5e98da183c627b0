"""A job's page: how far it is, what came of it, and the file it made."""

from collections.abc import Iterator
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render

from paymentvault import jobs
from paymentvault.acts import user_of
from paymentvault.models import Job

TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def show(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page, and the part of it that htmx fetches while the job runs."""
    job = _job(request, pk)
    template = "jobs/_progress.html" if request.headers.get("HX-Request") else "jobs/detail.html"
    shown = {
        "job": job,
        "has_file": jobs.has_file(job),
        "had_file": jobs.had_file(job),
        "may_have_file": jobs.may_have_file(job, user_of(request)),
    }
    return render(request, template, shown)


def file(request: HttpRequest, pk: UUID) -> StreamingHttpResponse:
    job = _job(request, pk)
    if not jobs.may_have_file(job, user_of(request)):
        raise PermissionDenied
    if not jobs.has_file(job):
        raise Http404
    name = job.lines[0]["file"]
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    kind = TYPES.get(name.rpartition(".")[2], "application/octet-stream")
    return StreamingHttpResponse(_pieces(job), content_type=kind, headers=headers)


def _job(request: HttpRequest, pk: UUID) -> Job:
    job = get_object_or_404(Job.objects.select_related("started_by").defer("given"), pk=pk)
    if not jobs.is_seen_by(user_of(request), job):
        raise Http404
    return job


def _pieces(job: Job) -> Iterator[bytes]:
    for piece in job.pieces.order_by("number").iterator(chunk_size=4):
        yield bytes(piece.content)
