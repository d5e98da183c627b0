"""Many at once: what was seen is what is approved, once, and never by its maker."""

import re

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from disbursements import approval
from disbursements.models import Disbursement
from disbursements.pages import bulk
from disbursements.states import Status
from partners.models import Membership, Partner
from paymentvault import jobs
from paymentvault.models import AuditEvent, Job
from tests.disbursements.pages.listed import allowed, history_of, many
from tests.disbursements.pages.people import signed_in

BULK = "/disbursements/bulk/"
S = Status


@pytest.fixture
def checker(baraka):
    return allowed(baraka, "view_disbursement", "approve_disbursement")


@pytest.fixture
def browser(checker) -> Client:
    return signed_in(checker)


def tick(browser, rows, **query):
    return browser.get(BULK, {"pick": [row.pk for row in rows], **query})


def press(browser, page, *, count=None, **more):
    seen = re.search(r'name="seen" value="([^"]+)"', page.content.decode())[1]
    count = len(page.context["seen"].rows) if count is None else count
    given = {"once": page.context["once"], "seen": seen, "count": count, **more}
    return browser.post(BULK, given)


@pytest.fixture
def done(browser, django_capture_on_commit_callbacks):
    """Press the button and let the job run; returns it."""

    def do(page, **more):
        with django_capture_on_commit_callbacks(execute=True):
            answer = press(browser, page, **more)
        assert answer.status_code == 302, answer.content.decode()
        return Job.objects.get()

    return do


def statuses():
    return set(Disbursement.objects.values_list("status", flat=True))


def test_only_who_may_approve_can(lender, amina):
    rows = many(lender, 1)
    browser = signed_in(allowed(amina, "view_disbursement", "add_disbursement"))

    assert tick(browser, rows).status_code == 403
    assert browser.post(BULK, {"seen": "x"}).status_code == 403


def test_the_page_names_count_sum_and_partners_and_changes_nothing(browser, lender):
    other = Partner.objects.create(name="Jamii", code="jamii")
    rows = many(lender, 30, amount=10_000, gross_amount=10_000)
    rows += many(other, 8, amount=14_000, gross_amount=14_000, msisdn="254712345678")

    page = tick(browser, rows)

    body = page.content.decode()
    assert "Approve 38 disbursements, KES 412,000?" in body
    assert "Pay KES 412,000 to 31 people</button>" in body
    assert "<dt>Jamii</dt><dd>8 · KES 112,000.00</dd>" in body
    assert "1 number would be paid more than once: 254 712 345 678" in body
    assert "Show the other 18" in body
    assert all(row.reference in body for row in rows)
    assert statuses() == {S.AWAITING_APPROVAL}
    assert Job.objects.count() == 0


def test_each_is_approved_by_itself_and_says_so(done, browser, lender, wire, shortcode):
    rows = many(lender, 3)

    job = done(tick(browser, rows), reason="Checked against the file.")

    assert job.outcome.startswith("3 disbursements approved, KES 3,000;")
    assert [line["result"] for line in job.lines] == ["ok"] * 3
    assert job.lines[0]["link"] == f"/disbursements/{rows[0].pk}/"
    assert history_of(rows[0])[0] == (S.APPROVED, "baraka")
    assert Disbursement.objects.filter(approved_by__username="baraka").count() == 3
    assert rows[0].transitions.first().note == "Checked against the file."
    lines = AuditEvent.objects.filter(act="disbursement approved", source_address="127.0.0.1")
    assert lines.count() == 3
    start = AuditEvent.objects.get(act="bulk approval started")
    assert (start.detail["count"], start.detail["sum_kes"]) == (3, 3_000)
    assert (start.actor, start.source_address) == ("baraka", "127.0.0.1")


@pytest.mark.parametrize("count", ["", "2", "4", "three", "30", "3.0"])
def test_the_wrong_count_approves_nothing(browser, lender, count):
    answer = press(browser, tick(browser, many(lender, 3)), count=count)

    assert answer.status_code == 422
    assert Job.objects.count() == 0
    assert "Pay KES 3,000 to 3 people" in answer.content.decode()


def test_pressed_twice_it_is_approved_once(browser, lender, django_capture_on_commit_callbacks):
    page = tick(browser, many(lender, 3))

    with django_capture_on_commit_callbacks():
        press(browser, page)
        again = press(browser, page)

    assert again.headers["Location"] == "/disbursements/"
    assert Job.objects.count() == 1
    assert AuditEvent.objects.filter(act="bulk approval started").count() == 1


def test_a_job_that_runs_twice_approves_none_twice(done, browser, lender):
    rows = many(lender, 3)
    job = done(tick(browser, rows))
    Job.objects.filter(pk=job.pk).update(state="waiting", given=job_given(rows), lines=[])

    jobs.run(str(job.pk))

    job.refresh_from_db()
    assert [line["result"] for line in job.lines] == ["skipped"] * 3
    assert all(row.transitions.filter(new=S.APPROVED).count() == 1 for row in rows)


def job_given(rows):
    amounts = ", ".join(f'"{row.pk}": "1000.00"' for row in rows)
    return f'{{"amounts": {{{amounts}}}, "note": "", "from": null}}'


def test_ones_own_are_left_out_and_said_so(done, browser, checker, lender, manual):
    theirs = many(lender, 2)
    own = manual(S.AWAITING_APPROVAL, requested_by=checker)
    sent = manual(S.SENT)

    page = tick(browser, [*theirs, own, sent])
    done(page)

    assert "2 of those you ticked are left out" in page.content.decode()
    own.refresh_from_db()
    assert own.status == S.AWAITING_APPROVAL


def test_with_nothing_but_ones_own_there_is_no_page(browser, checker, manual):
    own = manual(S.AWAITING_APPROVAL, requested_by=checker)

    answer = tick(browser, [own], status="awaiting_approval")

    assert answer.headers["Location"] == "/disbursements/?status=awaiting_approval"


def test_the_job_refuses_ones_own_even_if_the_page_were_fooled(checker, manual):
    own = manual(S.AWAITING_APPROVAL, requested_by=checker, amount=1_000, gross_amount=1_000)
    job = Job.objects.create(kind="bulk_approval", started_by=checker, given=job_given([own]))

    jobs.run(str(job.pk))

    own.refresh_from_db()
    job.refresh_from_db()
    assert own.status == S.AWAITING_APPROVAL
    assert "Someone else must approve" in job.lines[0]["words"]


def test_the_job_refuses_another_partners_even_if_the_page_were_fooled(lender, amina):
    """Who may approve somewhere, but not there."""
    jamii = Partner.objects.create(name="Jamii", code="jamii")
    Membership.objects.create(user=amina, partner=jamii, role="approver")
    [row] = many(lender, 1)
    job = Job.objects.create(kind="bulk_approval", started_by=amina, given=job_given([row]))

    jobs.run(str(job.pk))

    row.refresh_from_db()
    job.refresh_from_db()
    assert row.status == S.AWAITING_APPROVAL
    assert "You may not approve payouts of Pesa Pamoja any more." in job.lines[0]["words"]


def test_if_one_left_the_set_nothing_is_approved(browser, lender, amina):
    rows = many(lender, 3)
    page = tick(browser, rows)
    approval.reject(rows[0], by=amina, reason="No.")

    answer = press(browser, page)

    assert answer.status_code == 409
    words = answer.content.decode()
    assert "it was KES 3,000 in 3 disbursements, now KES 2,000 in 2" in words
    assert statuses() == {S.REJECTED, S.AWAITING_APPROVAL}
    assert Job.objects.count() == 0


def test_what_came_later_is_not_approved_with_what_was_seen(done, browser, lender):
    many(lender, 2)
    page = browser.get(BULK, {"all": "1", "status": "awaiting_approval"})
    later = many(lender, 1)[0]

    done(page)

    later.refresh_from_db()
    assert later.status == S.AWAITING_APPROVAL


def test_one_that_is_decided_meanwhile_keeps_none_of_the_others_waiting(
    browser, lender, amina, django_capture_on_commit_callbacks
):
    rows = many(lender, 3)
    with django_capture_on_commit_callbacks() as bells:
        press(browser, tick(browser, rows))
    approval.reject(rows[1], by=amina, reason="No.")
    for bell in bells:
        bell()

    job = Job.objects.get()
    assert [line["result"] for line in job.lines] == ["ok", "skipped", "ok"]
    assert "Rejected" in job.lines[1]["words"]
    assert job.outcome.endswith("1 not: each says why.")


def test_one_that_breaks_keeps_none_of_the_others_waiting(done, browser, lender, monkeypatch):
    rows = many(lender, 3)
    approve = approval.approve

    def breaks(row, **given):
        if row.pk == rows[0].pk:
            raise ZeroDivisionError
        approve(row, **given)

    monkeypatch.setattr(approval, "approve", breaks)
    job = done(tick(browser, rows))

    assert [line["result"] for line in job.lines] == ["failed", "ok", "ok"]
    rows[0].refresh_from_db()
    assert rows[0].status == S.AWAITING_APPROVAL


@pytest.mark.parametrize("loss", ["right", "account"])
def test_who_may_no_longer_approve_approves_nothing(
    browser, checker, lender, loss, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as bells:
        press(browser, tick(browser, many(lender, 2)))
    if loss == "right":
        checker.user_permissions.clear()
    else:
        type(checker).objects.filter(pk=checker.pk).update(is_active=False)
    for bell in bells:
        bell()

    assert Job.objects.get().state == "failed"
    assert statuses() == {S.AWAITING_APPROVAL}


def test_another_persons_page_approves_nothing(browser, lender, amina):
    page = tick(browser, many(lender, 2))

    other = signed_in(allowed(amina, "view_disbursement", "approve_disbursement"))
    press(other, page)

    assert Job.objects.count() == 0


@pytest.mark.parametrize("seen", ["", "forged", "a:b:c"])
def test_a_forged_page_approves_nothing(browser, lender, seen):
    page = tick(browser, many(lender, 2))

    answer = browser.post(BULK, {"once": page.context["once"], "seen": seen, "count": 2})

    assert answer.status_code == 302
    assert Job.objects.count() == 0


def test_a_page_from_long_ago_approves_nothing(browser, lender):
    page = tick(browser, many(lender, 2))

    with time_machine.travel(timezone.now() + timezone.timedelta(hours=2)):
        answer = press(browser, page)

    assert answer.status_code == 302
    assert Job.objects.count() == 0


def test_a_request_from_another_site_approves_nothing(checker, lender):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(checker)

    answer = press(browser, tick(browser, many(lender, 2)))

    assert answer.status_code == 403
    assert Job.objects.count() == 0


def test_all_of_a_filter_are_at_most_so_many_the_oldest_first(browser, lender, monkeypatch):
    monkeypatch.setattr(bulk, "MOST_AT_ONCE", 4)
    rows = many(lender, 6)
    many(lender, 1, client_name="Peter")

    page = browser.get(BULK, {"all": "1", "q": "Grace"})

    assert [row.pk for row in page.context["seen"].rows] == [row.pk for row in rows[:4]]
    assert "the oldest 4" in page.content.decode()


def test_all_of_a_broken_filter_is_nothing(browser, lender):
    many(lender, 2)

    assert browser.get(BULK, {"all": "1", "status": "happy"}).status_code == 302


@pytest.mark.parametrize("picks", [[], ["x"], ["-1"], ["9" * 30], ["1 OR 1"]])
def test_ticks_that_are_none_approve_nothing(browser, lender, picks):
    many(lender, 1)

    assert browser.get(BULK, {"pick": picks}).status_code == 302


def test_the_page_takes_no_more_queries_for_more_rows(
    browser, lender, django_assert_max_num_queries
):
    taken = []
    for rows in (many(lender, 5), many(lender, 200)):
        with django_assert_max_num_queries(12) as queries:
            tick(browser, rows)
        taken.append(len(queries))

    assert taken[0] == taken[1]


@pytest.mark.parametrize("query", [{"canary": "é" * 3_000}, {"q": "é" * 3_000}], ids=["x", "q"])
def test_the_way_back_has_the_known_filters_alone(browser, query):
    answer = browser.get(BULK, {"all": "1", "status": "held", "sort": "amount", **query})

    wanted = "/disbursements/" if "q" in query else "/disbursements/?status=held&sort=amount"
    assert answer.headers["Location"] == wanted


def test_a_job_that_is_given_up_approves_no_more(done, browser, lender, monkeypatch):
    rows = many(lender, 3)
    approve = approval.approve

    def slow(*args, **kwargs):
        approve(*args, **kwargs)
        Job.objects.update(state="failed", outcome="Its worker died.")

    monkeypatch.setattr(approval, "approve", slow)

    job = done(tick(browser, rows))

    assert (job.state, job.outcome) == ("failed", "Its worker died.")
    assert Disbursement.objects.filter(status=S.AWAITING_APPROVAL).count() == 2


class TestWhoSeesTheJob:
    """It names borrowers: who lost the role where one of them is doesn't read on."""

    @pytest.fixture
    def jamii(self, db):
        return Partner.objects.create(name="Jamii", code="jamii")

    @pytest.fixture
    def roles(self, lender, jamii, amina):
        return [
            Membership.objects.create(user=amina, partner=partner, role="approver")
            for partner in (lender, jamii)
        ]

    @pytest.fixture
    def page(self, roles, amina, lender, jamii):
        rows = [*many(lender, 1), *many(jamii, 1, msisdn="254712345678", client_name="Zawadi")]
        job = Job.objects.create(kind="bulk_approval", started_by=amina, given=job_given(rows))
        jobs.run(str(job.pk))
        return f"/jobs/{job.pk}/"

    def test_who_started_it_does(self, amina, page):
        answer = signed_in(amina).get(page)

        assert answer.status_code == 200 and "Zawadi" in answer.content.decode()

    @pytest.mark.parametrize("partial", [{}, {"HX-Request": "true"}])
    @pytest.mark.parametrize("lost", [[1], [0], [0, 1]])
    def test_who_lost_a_role_at_one_of_its_partners_does_not(
        self, amina, roles, page, lost, partial
    ):
        for number in lost:
            roles[number].delete()

        answer = signed_in(amina).get(page, headers=partial)

        assert answer.status_code == 404 and "Zawadi" not in answer.content.decode()

    def test_who_may_only_look_there_now_does(self, amina, roles, page):
        for role in roles:
            role.role = "viewer"
            role.save()

        assert signed_in(amina).get(page).status_code == 200
