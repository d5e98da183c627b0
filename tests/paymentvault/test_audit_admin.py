"""The audit in Django's admin: read-only, in sentences, and never counted whole."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from paymentvault import audit, chain, jobs, tasks
from paymentvault.models import AuditEvent, Heartbeat, Job
from tests.forced import by_force, written

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
    with django_assert_max_num_queries(8) as asked:
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


def test_the_button_names_the_first_line_that_does_not_fit(admin_client, admin_user, line):
    by_force("UPDATE paymentvault_auditevent SET actor = 'x' WHERE id = %s", line.pk)
    job = jobs.start("verify_audit", title="Verify", by=admin_user)

    jobs.run(str(job.pk))

    job.refresh_from_db()
    assert (job.state, job.lines[0]["result"]) == ("done", "failed")
    assert "The chain does not fit." in job.outcome and "ouch nothing" in job.outcome
    assert f"Line {line.pk} " in job.lines[0]["words"] and "links before it" in str(job.lines)
    assert job.lines[0]["link"] == f"{LIST}{line.pk}/change/"
    told = AuditEvent.objects.get(act="audit's chain found broken")
    assert (told.actor, told.detail["line"]) == ("admin", line.pk)
    page = admin_client.get(f"{LIST}{told.pk}/change/").content.decode()
    assert f'"{LIST}{line.pk}/change/">The line' in page
    tasks.check_audit()
    assert "chain does not fit</a>" in admin_client.get("/").content.decode()


def test_the_button_takes_a_link_that_was_kept_elsewhere(
    admin_client, line, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        admin_client.post(f"{LIST}verify/", {"known": "1:" + "a" * 64})

    job = Job.objects.get(kind="verify_audit")
    assert "not the one that was kept elsewhere" in job.lines[0]["words"]


def test_the_button_tells_what_is_no_kept_link(admin_client, line):
    answer = admin_client.post(f"{LIST}verify/", {"known": "5"}, follow=True)

    assert "Nothing was checked." in answer.content.decode()
    assert not Job.objects.exists()


def test_the_chain_is_checked_once_a_day_by_itself(line):
    tasks.check_audit()
    tasks.check_audit()

    [told] = AuditEvent.objects.filter(act=chain.WHOLE)
    assert (told.actor, told.detail["newest"]) == ("system", chain.newest())
    assert Heartbeat.objects.filter(name="check_audit").exists()


def test_times_stand_to_the_second_in_nairobi(admin_client, db):
    line = written("x", at="2026-03-01 21:00:07Z")

    for page in (LIST, f"{LIST}{line.pk}/change/"):
        assert "2 Mar 2026 00:00:07" in admin_client.get(page).content.decode()


def test_a_refusal_and_a_sign_in_say_what(admin_client, db):
    line = audit.record("refused", by="amina", what="POST /stop/")

    for page in (LIST, f"{LIST}{line.pk}/change/"):
        assert "refused: POST /stop/" in admin_client.get(page).content.decode()


def test_an_events_page_tells_what_changed_apart_from_the_rest(admin_client, line):
    line = audit.record("x", by="amina", reason="Why.", limit={"from": 1, "to": 2})
    page = admin_client.get(f"{LIST}{line.pk}/change/").content.decode()

    changed, details = page.index("<caption>What changed"), page.index("<caption>Details")
    assert changed < page.index("<td>1</td><td>2</td>") < details < page.index("<td>Why.</td>")
    assert "historylink" not in page


def test_only_who_may_see_the_audit_may_verify_it(client, amina):
    amina.is_staff = True
    amina.save()
    client.force_login(amina)

    assert client.post(f"{LIST}verify/").status_code == 403
    assert not Job.objects.exists()


def test_the_export_has_what_the_filter_has_and_nothing_that_runs(admin_client, line):
    audit.record("=cmd()", by="@amina", partner_code="pamoja")

    answer = admin_client.post(f"{LIST}export/?partner_code=pamoja")
    text = b"".join(answer.streaming_content).decode()

    rows = text.splitlines()
    assert len(rows) == 3
    assert "'=cmd()" in rows[1] and "'@amina" in rows[1]
    assert "max_amount: 100 → 200" in rows[2]
    [told] = AuditEvent.objects.filter(act="audit exported")
    assert (told.actor, told.detail) == ("admin", {"filter": "partner_code=pamoja"})


def test_the_export_needs_a_press_and_the_right(admin_client, client, amina, line):
    amina.is_staff = True
    amina.save()
    client.force_login(amina)

    assert client.post(f"{LIST}export/").status_code == 403
    assert admin_client.get(f"{LIST}export/").status_code == 403
    assert not AuditEvent.objects.filter(act="audit exported").exists()


@pytest.mark.parametrize(
    "query, shown",
    [("from=2026-03-02&until=2026-03-02", ["noon", "first"]), ("until=2026-03-01", ["before"]),
     ("from=2026-03-03", ["after"]), ("from=2026-03-02&until=2026-03-02&actor=baraka", ["noon"]),
     ("from=2026-03-02&q=amina", ["after", "first"])],
)  # fmt: skip
def test_a_day_is_a_day_in_nairobi(admin_client, query, shown):
    for at, act, by in (("2026-03-01 20:59:59Z", "before", "amina"),
                        ("2026-03-01 21:00Z", "first", "amina"),
                        ("2026-03-02 09:00Z", "noon", "baraka"),
                        ("2026-03-02 21:00Z", "after", "amina")):  # fmt: skip
        written(act, at=at, by=by)

    lines = admin_client.get(f"{LIST}?{query}").context["cl"].queryset
    assert [line.act for line in lines if line.act != "signed in"] == shown


@pytest.mark.parametrize(
    "query", ["from=yesterday", "from=2026-02-30", "from=0001-01-01", "until=9999-12-31", "o=1.-2",
              "p=x", "about_type=x", "_facets=1", "subject=%00", "q=%00", "actor__regex=(a%2B)%2B"]
)  # fmt: skip
def test_a_filter_that_makes_no_sense_breaks_nothing(admin_client, line, query):
    answer = admin_client.get(f"{LIST}?{query}", follow=True)

    assert answer.status_code in (200, 400)
    assert "cl" in (answer.context or {}) or "Database error" not in answer.content.decode()


@pytest.mark.parametrize("term", ["amina", "pamoja", "192.0.2.7", "partner changed", "Pesa Pamoja"])
def test_a_search_finds_whole_words_in_every_column_by_its_index(
    admin_client, line, lender, term, django_assert_max_num_queries
):
    with django_assert_max_num_queries(10) as asked:
        found = admin_client.get(LIST, {"q": term}).context["cl"].queryset

    assert [one.pk for one in found] == [line.pk]
    assert not any("UPPER(" in q["sql"] or "LIKE" in q["sql"].upper() for q in asked)


def test_a_search_for_an_id_finds_the_events_of_the_object(admin_client, line, lender):
    found = admin_client.get(LIST, {"q": str(lender.pk)}).context["cl"].queryset

    assert [one.pk for one in found] == [line.pk]


def test_the_page_of_an_event_leads_to_the_other_events_of_its_object(admin_client, line, lender):
    page = admin_client.get(f"{LIST}{line.pk}/change/").content.decode()

    assert f"?about_type=partners.partner&amp;about_id={lender.pk}" in page
    found = admin_client.get(f"{LIST}?about_type=partners.partner&about_id={lender.pk}")
    assert [one.pk for one in found.context["cl"].queryset] == [line.pk]


def test_an_object_leads_to_its_audit_and_to_the_history_of_its_row(admin_client, lender):
    page = admin_client.get(f"/admin/partners/partner/{lender.pk}/change/").content.decode()

    query = f"?about_type=partners.partner&amp;about_id={lender.pk}"
    for kind in ("auditevent", "rowchange"):
        address = f"/admin/paymentvault/{kind}/{query}"
        assert address in page
        assert admin_client.get(address.replace("&amp;", "&")).status_code == 200


@pytest.mark.parametrize(
    "page", ["disbursements/disbursement", "disbursements/attempt", "disbursements/transition",
             "disbursements/callback", "mifos/event", "paymentvault/rowchange"]
)  # fmt: skip
def test_what_happened_stands_there_read_only_and_is_never_counted_whole(admin_client, sent, page):
    sent()
    with CaptureQueriesContext(connection) as asked:
        assert admin_client.get(f"/admin/{page}/").status_code == 200

    counted = [q["sql"] for q in asked if "COUNT(" in q["sql"]]
    assert counted and all("LIMIT" in sql for sql in counted)
    assert admin_client.get(f"/admin/{page}/add/").status_code == 403


def test_an_attempt_is_shown_without_its_secret(admin_client, sent):
    attempt = sent()

    page = admin_client.get(f"/admin/disbursements/attempt/{attempt.pk}/change/").content.decode()

    assert attempt.originator_conversation_id in page
    assert attempt.callback_token not in page and attempt.callback_token_hash not in page


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
