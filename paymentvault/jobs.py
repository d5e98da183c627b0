"""Long work: started in the browser, done by a worker, watched, left and come back to.

A kind of job is a function that is registered under a name. What it found goes into the row as
it becomes known, so the page shows it at once and a lost worker loses nothing that was told.
"""

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from importlib import import_module
from typing import Any

import structlog
from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.module_loading import autodiscover_modules

from paymentvault import doorbell, sweeping
from paymentvault.models import DoneOnce, Job, JobFile, User

log = structlog.get_logger(__name__)

State = Job.State
Work = Callable[["Running"], str]
About = Callable[[Job], Model | None]
Gives = Callable[[Job, User], bool]
IsShown = Callable[[Job, User], bool]

# A worker that is silent for so long has died; its job is said to be broken off, never begun anew:
# it may have done half of its work, and a person must look.
SILENT_TOO_LONG = timedelta(minutes=5)
PIECE = 256 * 1024
# A file holds names and numbers of people; who wants it later makes it anew.
FILES_KEPT = timedelta(days=1)
KEPT = timedelta(days=90)
DELETED_AT_ONCE = 200

_kinds: dict[str, Work] = {}
_shown_to: dict[str, tuple[str, "About"]] = {}
_gives_file_to: dict[str, Gives] = {}
_shown_while: dict[str, IsShown] = {}


def kind(
    name: str,
    *,
    shown_to: str = "",
    about: About | None = None,
    gives_file_to: Gives | None = None,
    shown_while: IsShown | None = None,
) -> Callable[[Work], Work]:
    """Register what does the work of a kind; it returns the outcome in words.

    Whoever has the right `shown_to` to what the job is about may watch it too, besides the person
    who started it. A kind that doesn't tell what it is about is shown to who has it everywhere.
    `gives_file_to` is asked at each download whether somebody may have its file, and `shown_while`
    whenever it is looked at whether what it tells may still be seen by who started it.
    """

    def registered(work: Work) -> Work:
        _kinds[name] = work
        if shown_to:
            _shown_to[name] = shown_to, about or _itself
        if gives_file_to:
            _gives_file_to[name] = gives_file_to
        if shown_while:
            _shown_while[name] = shown_while
        return work

    return registered


def _work_of(name: str) -> Work:
    """Raises LookupError for a kind that nobody registered."""
    if name not in _kinds:
        # They stand beside the pages that start them, which a worker has no reason to import.
        import_module(settings.ROOT_URLCONF)
        autodiscover_modules("tasks")
    return _kinds[name]


def _itself(job: Job) -> Model:
    return job


class Broken(Exception):
    """Why a job can't go on, in words for whoever started it."""


class GivenUp(Exception):
    """The job was called broken off while its worker was slow; nothing more may be done for it."""


class Running:
    """A job in the hands of its worker."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.given: dict[str, Any] = json.loads(job.given or "{}")
        self.by: User = job.started_by

    def tell(self, line: dict[str, Any]) -> None:
        """One more result, shown at once."""
        self.job.lines.append(line)
        self._save(lines=self.job.lines)

    def progress(self, done: int, total: int | None = None) -> None:
        self.job.total = total if total is not None else self.job.total
        self._save(done=done, total=self.job.total)

    def write_file(self, content: Iterable[bytes]) -> None:
        """Keep a file, piece by piece, for whoever comes back for it."""
        held, number = bytearray(), 0
        for part in content:
            held += part
            while len(held) >= PIECE:
                self._keep_piece(number, bytes(held[:PIECE]))
                del held[:PIECE]
                number += 1
        self._keep_piece(number, bytes(held))

    def _keep_piece(self, number: int, content: bytes) -> None:
        self._save()
        JobFile.objects.create(job=self.job, number=number, content=content)

    def _save(self, **changes: Any) -> None:
        """Raises GivenUp if a sweeper called it broken off, and somebody may have begun it anew."""
        # Also the sign of life, which keeps a sweeper from doing so.
        is_running = Job.objects.filter(pk=self.job.pk, state=State.RUNNING).update(
            leased_until=timezone.now() + SILENT_TOO_LONG, **changes
        )
        if not is_running:
            raise GivenUp


def start(
    name: str,
    *,
    title: str,
    by: User,
    given: dict[str, Any] | None = None,
    about: str = "",
    came_from: str = "",
    total: int | None = None,
) -> Job:
    """Queue a job; a worker takes it after commit. `given` must be JSON; it is kept encrypted."""
    _work_of(name)
    job = Job.objects.create(
        kind=name, title=title[:200], started_by=by, given=json.dumps(given or {}),
        about=about[:100], came_from=_way_back(came_from), total=total,
    )  # fmt: skip
    doorbell.ring(run_job, str(job.pk))
    return job


@shared_task(name="paymentvault.tasks.run_job")
def run_job(pk: str) -> str:
    return run(pk)


def run(pk: str) -> str:
    """Do a job, once: of two workers that take it, one finds it taken."""
    now = timezone.now()
    taken = Job.objects.filter(pk=pk, state=State.WAITING).update(
        state=State.RUNNING, started_at=now, leased_until=now + SILENT_TOO_LONG
    )
    if not taken:
        return "It was taken already."
    running = Running(Job.objects.select_related("started_by").get(pk=pk))
    try:
        state, words = State.DONE, _work_of(running.job.kind)(running)
    except Broken as broken:
        state, words = State.FAILED, str(broken)
    except GivenUp:
        log.warning("job_given_up", job_id=pk, kind=running.job.kind)
        return "It was given up meanwhile."
    except Exception as error:
        log.exception("job_broke", job_id=pk, kind=running.job.kind)
        state, words = State.FAILED, f"A fault of ours ({type(error).__name__}) broke it off."
    _end(Job.objects.filter(pk=pk, state=State.RUNNING), state, words)
    return words


@shared_task(name="paymentvault.tasks.sweep_jobs")
@sweeping.sweeper
def sweep_jobs() -> int:
    """Ring for jobs that nobody took, say so of those whose worker died, and clear up."""
    now = timezone.now()
    silent = Job.objects.filter(state=State.RUNNING, leased_until__lt=now)
    _end(silent, State.FAILED, "Its worker died. Look at what it had done, then start it anew.")
    _delete(JobFile.objects.filter(job__ended_at__lt=now - FILES_KEPT))
    _delete(Job.objects.filter(ended_at__lt=now - KEPT))
    _delete(DoneOnce.objects.filter(at__lt=now - KEPT))
    waiting = Job.objects.filter(state=State.WAITING, due_at__lte=now)
    return sweeping.ring_for_due(run_job, waiting, again_after=timedelta(seconds=30))


def _delete(old: QuerySet[Any]) -> None:
    """Some of them; the next sweep goes on."""
    keys = list(old.order_by().values_list("pk", flat=True)[:DELETED_AT_ONCE])
    if keys:
        old.model._default_manager.filter(pk__in=keys).delete()


def _way_back(url: str) -> str:
    """A page of ours; without its filters, where they are too long to keep."""
    if not url_has_allowed_host_and_scheme(url, allowed_hosts=None):
        return ""
    return url if len(url) <= 200 else url.partition("?")[0][:200]


def _end(jobs: Any, state: Job.State, words: str) -> None:
    # What it was given may hold secrets, and nobody needs it any more.
    with transaction.atomic():
        jobs.update(state=state, outcome=words, ended_at=timezone.now(), given="",
                    leased_until=None)  # fmt: skip


def is_seen_by(user: User, job: Job) -> bool:
    """A person's own job, or one of a kind that is shown to others too.

    What is about a thing isn't shown any more to who lost the right to it.
    """
    if user.is_superuser:
        return True
    right, about = _shown_to.get(job.kind, ("", _itself))
    thing = about(job) if right else job
    if thing is None or thing is job and job.started_by_id == user.pk:
        is_shown = _shown_while.get(job.kind)
        return job.started_by_id == user.pk and (is_shown is None or is_shown(job, user))
    return bool(right) and user.has_perm(right, thing)


def latest(name: str, *, about: str) -> Job | None:
    return Job.objects.filter(kind=name, about=about).order_by("-created_at").first()


def has_file(job: Job) -> bool:
    return job.state == State.DONE and not _is_too_old(job) and job.pieces.exists()


def had_file(job: Job) -> bool:
    """Whether it made one that is deleted, or is being deleted piece by piece."""
    made_one = bool(job.lines) and "file" in job.lines[0]
    return job.state == State.DONE and made_one and _is_too_old(job)


def may_have_file(job: Job, user: User) -> bool:
    """Asked at each download: rights end, and files stay."""
    gives = _gives_file_to.get(job.kind)
    return gives is None or gives(job, user)


def _is_too_old(job: Job) -> bool:
    return job.ended_at is not None and job.ended_at < timezone.now() - FILES_KEPT
