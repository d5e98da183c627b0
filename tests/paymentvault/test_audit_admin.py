"""The audit in Django's admin: read-only, in sentences, and never counted whole."""

import pytest
from django.urls import reverse

from paymentvault import audit, chain, jobs
from paymentvault.models import AuditEvent, Job

pytestmark = pytest.mark.django_db
LIST = "/admin/paymentvault/auditevent/"


@pytest.fixture
def line(lender):
    line = audit.record("partner changed", by="amina", subject=lender, partner_code="pamoja",
                        source_address="192.0.2.7",
                        max_amount={"from": "100", "to": "200"}, password="changed")  # fmt: skip
    audit.record("approved", by="baraka", subject="DSB-1", partner_code="jamii")
    chain.link_what_waits()
    return line


def test_an_event_reads_as_a_sentence_with_its_difference(admin_client, line, lender):
    page = admin_client.get(f"{LIST}{line.pk}/change/").content.decode()

    assert "amina — partner changed — Pesa Pamoja (pamoja) on " in page
    assert "from 192.0.2.7." in page
    assert "<td>100</td><td>200</td>" in page
    assert reverse("admin:partners_partner_change", args=[lender.pk]) in page
    assert f"in the chain, <code>{line.link.hash}" in page


@pytest.mark.parametrize(
    "query, shown",
    [
        ("?actor=amina", ["partner changed"]), ("?partner_code=jamii", ["approved"]),
        ("?subject=DSB-1", ["approved"]), ("?act=approved", ["approved"]),
        ("?q=baraka", ["approved"]), ("?q=nobody", []), ("", ["approved", "partner changed"]),
    ],
)  # fmt: skip
def test_it_is_filtered_by_person_partner_object_and_act(admin_client, line, query, shown):
    found = admin_client.get(LIST + query).context["cl"].queryset

    assert [event.act for event in found.exclude(act="signed in")] == shown


def test_nothing_is_added_changed_or_deleted(admin_client, line):
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{line.pk}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(f"{LIST}{line.pk}/change/", {"actor": "nobody"})

    assert AuditEvent.objects.get(pk=line.pk).actor == "amina"


def test_the_list_counts_no_further_than_its_bound(
    admin_client, line, django_assert_max_num_queries
):
    with django_assert_max_num_queries(6) as asked:
        admin_client.get(LIST)

    counted = [q["sql"] for q in asked if "COUNT" in q["sql"] and "auditevent" in q["sql"]]
    assert counted and all("LIMIT" in sql for sql in counted)


def test_the_button_verifies_the_chain_and_tells_what_it_found(
    admin_client, line, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        answer = admin_client.post(f"{LIST}verify/")

    job = Job.objects.get(kind="verify_audit")
    assert answer["Location"] == reverse("job", args=[job.pk])
    assert (job.state, job.outcome.partition(".")[0].split()[-1]) == ("done", "whole")


def test_the_button_names_the_first_line_that_does_not_fit(admin_user, line, monkeypatch):
    monkeypatch.setattr(chain, "digest_of", lambda *_: "0" * 64)
    job = jobs.start("verify_audit", title="Verify", by=admin_user)

    jobs.run(str(job.pk))

    job.refresh_from_db()
    assert job.state == "failed"
    assert f"Line {line.pk} " in job.outcome


def test_only_who_may_see_the_audit_may_verify_it(client, amina):
    amina.is_staff = True
    amina.save()
    client.force_login(amina)

    assert client.post(f"{LIST}verify/").status_code == 403
    assert not Job.objects.exists()


def test_the_export_has_what_is_ticked_and_nothing_that_runs(admin_client, line):
    evil = audit.record("=cmd()", by="@amina")
    chosen = {"action": "export", "_selected_action": [line.pk, evil.pk]}

    text = b"".join(admin_client.post(LIST, chosen).streaming_content).decode()

    rows = text.splitlines()
    assert len(rows) == 3
    assert "'=cmd()" in rows[1] and "'@amina" in rows[1]
    assert "max_amount: 100 → 200" in rows[2]
    assert AuditEvent.objects.filter(act="audit exported").exists()


def test_the_admin_has_the_portals_log_in(client, db):
    answer = client.get("/admin/login/?next=/admin/paymentvault/auditevent/")

    assert answer["Location"] == "/login/?next=/admin/paymentvault/auditevent/"


def test_who_is_refused_a_page_is_recorded_once_a_minute(client, amina):
    client.force_login(amina)
    AuditEvent.objects.all()
    for _ in range(3):
        assert client.get("/disbursements/").status_code == 403

    [line] = AuditEvent.objects.filter(act="refused")
    assert (line.actor, line.user, line.detail) == ("amina", amina, {"what": "GET /disbursements/"})


def test_a_line_names_the_request_that_it_was_written_in(client, amina):
    client.post("/login/", {"username": "amina", "password": "amina"})

    line = AuditEvent.objects.get(act="signed in")
    assert len(line.request_id) == 36
