"""A job's page: what is known is shown at once, refreshed until it is over."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from partners.models import Membership, Partner
from paymentvault.models import Job, JobFile

LINES = [
    {"name": "DSB-1", "result": "ok", "words": "Approved.", "link": "/disbursements/1/"},
    {"name": "<DSB-2>", "result": "failed", "words": "You <made> it.", "took_ms": 12},
    {"name": "DSB-3", "result": "warning", "words": "Odd."},
    {"name": "DSB-4", "result": "skipped", "words": "Not looked at."},
]


@pytest.fixture
def job(amina):
    def make(state, **more):
        return Job.objects.create(
            **({"kind": "x", "title": "Approve <4>", "started_by": amina, "state": state} | more)
        )

    return make


@pytest.fixture
def signed_in(client, amina):
    client.force_login(amina)
    return client


def page(client, job, **headers):
    return client.get(f"/jobs/{job.pk}/", headers=headers)


def test_one_that_waits_says_that_no_worker_took_it_and_looks_again(signed_in, job):
    text = page(signed_in, job("waiting")).text

    assert "No worker has taken it yet" in text
    assert 'hx-trigger="every 1s"' in text
    assert '<noscript><meta http-equiv="refresh"' in text


def test_one_that_runs_shows_how_far_it_is(signed_in, job):
    text = page(signed_in, job("running", done=3, total=8)).text

    assert "3 of 8" in text and 'max="8" value="3"' in text


@pytest.mark.parametrize("state", ["done", "failed"])
def test_one_that_is_over_tells_its_outcome_and_looks_no_more(signed_in, job, state):
    text = page(signed_in, job(state, outcome="Three of <four>.")).text

    assert "Three of &lt;four&gt;." in text
    assert "hx-trigger" not in text and "http-equiv" not in text


def test_each_result_is_told_with_its_word_and_escaped(signed_in, job):
    text = page(signed_in, job("done", lines=LINES)).text

    for word in (">Done<", ">Failed<", ">Look<", ">Skipped<"):
        assert word in text
    assert '<a href="/disbursements/1/">DSB-1</a>' in text
    assert "&lt;DSB-2&gt;" in text and "You &lt;made&gt; it." in text and "12 ms" in text


def test_htmx_gets_the_part_alone(signed_in, job):
    text = page(signed_in, job("running"), hx_request="true").text

    assert "<html" not in text and text.lstrip().startswith("<section")


def test_the_way_back_is_there(signed_in, job):
    text = page(signed_in, job("done", came_from="/disbursements/?status=held")).text

    assert 'href="/disbursements/?status=held"' in text


@pytest.mark.parametrize("part", ["", "file/"])
def test_another_s_job_is_not_known(client, baraka, job, part):
    client.force_login(baraka)

    assert client.get(f"/jobs/{job('done').pk}/{part}").status_code == 404


def with_file(job, name, content=(b"a,b\r\n", b"1,2\r\n"), state="done"):
    made = job(state, lines=[{"file": name}])
    # Not in order: the number says it.
    for number in reversed(range(len(content))):
        JobFile.objects.create(job=made, number=number, content=content[number])
    return made


@pytest.mark.parametrize(
    "name, kind",
    [
        ("disbursements.csv", "text/csv; charset=utf-8"),
        ("disbursements.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("disbursements.odd", "application/octet-stream"),
    ],
)
def test_its_file_is_downloaded_whole_under_its_name(signed_in, job, name, kind):
    answer = signed_in.get(f"/jobs/{with_file(job, name).pk}/file/")

    assert answer.streaming and answer["Content-Type"] == kind
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert b"".join(answer.streaming_content) == b"a,b\r\n1,2\r\n"


def test_the_page_offers_its_file(signed_in, job):
    made = with_file(job, "disbursements.csv")

    text = page(signed_in, made).text

    assert f'href="/jobs/{made.pk}/file/"' in text and "Download disbursements.csv" in text


@pytest.mark.parametrize("state", ["running", "failed"])
def test_half_a_file_is_none(signed_in, job, state):
    made = with_file(job, "disbursements.csv", state=state)

    assert signed_in.get(f"/jobs/{made.pk}/file/").status_code == 404
    assert "Download" not in page(signed_in, made).text


def test_a_job_without_a_file_has_none_to_download(signed_in, job):
    assert signed_in.get(f"/jobs/{job('done', lines=LINES).pk}/file/").status_code == 404


def test_a_file_that_was_deleted_says_so_and_what_to_do(signed_in, job):
    ended = timezone.now() - timedelta(days=2)
    made = job("done", lines=[{"file": "disbursements.csv"}], ended_at=ended)

    text = page(signed_in, made).text

    assert "The file was deleted after a day; export again." in text
    assert "Download" not in text and 'class="steps"' not in text
    assert signed_in.get(f"/jobs/{made.pk}/file/").status_code == 404


def test_a_file_needs_the_right_when_it_is_fetched_too(signed_in, job, amina):
    made = with_file(job, "disbursements.csv")
    Job.objects.update(kind="export")

    assert signed_in.get(f"/jobs/{made.pk}/file/").status_code == 403
    assert "Download" not in page(signed_in, made).text

    amina.user_permissions.add(Permission.objects.get(codename="export_disbursement"))

    assert signed_in.get(f"/jobs/{made.pk}/file/").status_code == 200
    assert "Download" in page(signed_in, made).text


def test_a_file_about_a_partner_is_for_who_may_export_of_it_now(signed_in, job, amina, lender):
    made = with_file(job, "disbursements.csv")
    lines = [{"file": "disbursements.csv", "partners": [lender.code]}]
    Job.objects.update(kind="export", lines=lines)
    elsewhere = Partner.objects.create(name="Jamii", code="jamii")
    role = Membership.objects.create(user=amina, partner=lender, role="operator")
    assert signed_in.get(f"/jobs/{made.pk}/file/").status_code == 200

    role.delete()
    Membership.objects.create(user=amina, partner=elsewhere, role="operator")

    assert signed_in.get(f"/jobs/{made.pk}/file/").status_code == 403
    assert "Download" not in page(signed_in, made).text
