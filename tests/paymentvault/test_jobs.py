"""Long work: taken once, told as it goes, and never begun anew by itself."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.utils import timezone

from paymentvault import jobs
from paymentvault.jobs import Broken, State
from paymentvault.models import DoneOnce, Heartbeat, Job, JobFile, User

KIND = "a test's"
SHOWN = "a test's that others see"
did: list[str] = []


@jobs.kind(KIND)
@jobs.kind(SHOWN, shown_to="partners.view_partner")
def work(running):
    did.append(running.job.pk)
    running.tell({"name": "First", "result": "ok", "words": "Done."})
    running.progress(1, 2)
    match running.given.get("how"):
        case "broken":
            raise Broken("The partner is gone.")
        case "fault":
            raise ZeroDivisionError("canary")
        case "file":
            running.write_file(running.given["pieces"].encode() for _ in range(3))
        case "swept":
            Job.objects.update(state=State.FAILED, outcome="Its worker died.")
            running.progress(2)
            did.append("more")
        case "swept while it writes":
            Job.objects.update(state=State.FAILED, outcome="Its worker died.")
            running.write_file([b"a"])
            did.append("more")
        case "swept before it tells":
            Job.objects.update(state=State.FAILED, outcome="Its worker died.")
            running.tell({"name": "Second"})
            did.append("more")
    running.progress(2)
    return "All done."


@pytest.fixture(autouse=True)
def nothing_done_yet():
    did.clear()


@pytest.fixture
def start(amina):
    def started(how="", kind=KIND, **more):
        more = {"title": "A test", "by": amina, "given": {"how": how}} | more
        return jobs.start(kind, **more)

    return started


def run(job):
    words = jobs.run(str(job.pk))
    job.refresh_from_db()
    return words


def test_it_is_done_by_a_worker_after_commit(start, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        job = start()
        assert job.state == State.WAITING and not did

    job.refresh_from_db()
    assert (job.state, job.outcome, job.done, job.total) == (State.DONE, "All done.", 2, 2)
    assert job.lines == [{"name": "First", "result": "ok", "words": "Done."}]
    assert job.is_over and job.started_at <= job.ended_at


def test_of_two_workers_that_take_it_one_does_it(start):
    job = start()

    run(job)
    again = run(job)

    assert again == "It was taken already."
    assert len(did) == 1


@pytest.mark.parametrize(
    "how, words",
    [
        ("broken", "The partner is gone."),
        ("fault", "A fault of ours (ZeroDivisionError) broke it off."),
    ],
)
def test_what_breaks_it_off_is_told_and_what_was_done_stays(start, how, words):
    job = start(how)

    run(job)

    assert (job.state, job.outcome) == (State.FAILED, words)
    assert len(job.lines) == 1


@pytest.mark.parametrize("how", ["", "broken", "fault"])
def test_what_it_was_given_is_forgotten_at_its_end(start, how):
    job = start(how)
    assert how in job.given

    run(job)

    assert job.given == ""


def test_what_it_was_given_is_encrypted_in_the_database(start):
    start("a secret")

    with connection.cursor() as cursor:
        cursor.execute("SELECT given FROM paymentvault_job")
        assert "a secret" not in str(cursor.fetchone()[0])


def test_an_unknown_kind_is_refused_at_once(start):
    with pytest.raises(LookupError):
        start(kind="nobody's")

    assert not Job.objects.exists()


def test_a_file_is_kept_in_pieces_in_order(start, monkeypatch):
    monkeypatch.setattr(jobs, "PIECE", 4)
    job = start(given={"how": "file", "pieces": "abc"})

    run(job)

    pieces = [bytes(piece.content) for piece in job.pieces.order_by("number")]
    assert pieces == [b"abca", b"bcab", b"c"]
    assert jobs.has_file(job)


def test_an_empty_file_is_a_file(start):
    job = start(given={"how": "file", "pieces": ""})

    run(job)

    assert jobs.has_file(job)


def test_a_worker_that_is_silent_for_too_long_is_given_up(start):
    job = start()
    Job.objects.update(state=State.RUNNING, leased_until=timezone.now() - timedelta(seconds=1))

    jobs.sweep_jobs()

    job.refresh_from_db()
    assert job.state == State.FAILED and job.given == ""
    assert "Its worker died" in job.outcome
    assert run(job) == "It was taken already." and not did


def test_a_worker_that_tells_something_lives(start):
    job = start()
    Job.objects.update(state=State.RUNNING, leased_until=timezone.now() - timedelta(seconds=1))

    jobs.Running(job).tell({"name": "Alive"})
    jobs.sweep_jobs()

    job.refresh_from_db()
    assert job.state == State.RUNNING


@pytest.mark.parametrize("how", ["swept", "swept while it writes", "swept before it tells"])
def test_a_worker_whose_job_was_given_up_stops(start, how):
    job = start(how)

    run(job)

    assert did == [job.pk] and len(job.lines) == 1 and not job.pieces.exists()
    assert (job.state, job.outcome) == (State.FAILED, "Its worker died.")
    assert job.done == 1


def test_a_job_that_no_worker_heard_of_is_rung_for_again(start, django_capture_on_commit_callbacks):
    job = start()

    with django_capture_on_commit_callbacks(execute=True):
        jobs.sweep_jobs()

    job.refresh_from_db()
    assert job.state == State.DONE
    assert Heartbeat.objects.get(name="sweep_jobs").found == 1


def test_a_job_is_seen_by_who_started_it_and_by_superusers(start, baraka):
    job, boss = start(), User.objects.create_superuser("boss")

    assert jobs.is_seen_by(job.started_by, job) and jobs.is_seen_by(boss, job)
    assert not jobs.is_seen_by(baraka, job)


def test_a_kind_may_be_shown_to_whoever_has_a_right(start, baraka):
    shown, hidden = start(kind=SHOWN), start()
    assert not jobs.is_seen_by(baraka, shown)

    baraka.user_permissions.add(Permission.objects.get(codename="view_partner"))
    baraka = User.objects.get(pk=baraka.pk)

    assert jobs.is_seen_by(baraka, shown) and not jobs.is_seen_by(baraka, hidden)


def test_the_latest_of_a_thing(start):
    start(about="connection:1")
    second = start(about="connection:1")
    start(about="connection:2")

    assert jobs.latest(KIND, about="connection:1") == second
    assert jobs.latest(KIND, about="connection:9") is None


@pytest.mark.parametrize(
    "url, kept",
    [
        ("/disbursements/?status=held", "/disbursements/?status=held"),
        ("/disbursements/?" + "x" * 300, "/disbursements/"),
        ("https://evil.example/", ""),
        ("//evil.example/", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_the_way_back_is_a_page_of_ours(start, url, kept):
    assert start(came_from=url).came_from == kept


def ended(start, **ago):
    job = start(given={"how": "file", "pieces": "abc"})
    run(job)
    Job.objects.filter(pk=job.pk).update(ended_at=timezone.now() - timedelta(**ago))
    job.refresh_from_db()
    return job


def test_a_file_is_deleted_after_a_day(start):
    new, old = ended(start, hours=23), ended(start, hours=25)
    assert jobs.has_file(new) and not jobs.has_file(old)

    jobs.sweep_jobs()

    assert set(JobFile.objects.values_list("job", flat=True)) == {new.pk}
    assert Job.objects.filter(pk=old.pk).exists()


def test_jobs_and_presses_are_deleted_after_ninety_days(start, amina):
    new, old = ended(start, days=89), ended(start, days=91)
    for days in (89, 91):
        press = DoneOnce.objects.create(token=uuid.uuid4(), user=amina)
        at = timezone.now() - timedelta(days=days)
        DoneOnce.objects.filter(pk=press.pk).update(at=at)

    jobs.sweep_jobs()

    assert new in Job.objects.all() and old not in Job.objects.all()
    assert DoneOnce.objects.count() == 1


def test_a_job_that_is_not_over_is_never_deleted(start):
    job = start()
    Job.objects.update(created_at=timezone.now() - timedelta(days=200))

    jobs.sweep_jobs()

    assert Job.objects.filter(pk=job.pk).exists()


def test_a_sweep_deletes_some_and_the_next_the_rest(start, monkeypatch):
    monkeypatch.setattr(jobs, "DELETED_AT_ONCE", 2)
    for _ in range(3):
        ended(start, days=91)

    jobs.sweep_jobs()
    assert Job.objects.count() == 1
    jobs.sweep_jobs()
    assert not Job.objects.exists()
