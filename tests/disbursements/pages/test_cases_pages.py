"""The list of cases, and closing one."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from disbursements import approval, cases
from disbursements.models import Case
from disbursements.states import Status
from partners.models import Partner
from paymentvault.models import AuditEvent
from tests.disbursements.pages.people import may, signed_in
from tests.disbursements.pages.pressing import SETTLE, once, press, text

LIST, VIEW, CHANGE = "/cases/", "disbursements.view_case", "disbursements.change_case"


@pytest.fixture
def browser(baraka) -> Client:
    return signed_in(may(baraka, VIEW, CHANGE, "disbursements.view_disbursement",
                         "partners.view_partner", SETTLE))  # fmt: skip


@pytest.fixture
def failed(manual):
    return manual(Status.FAILED, failure_words="No.")


def close_url(case):
    return f"/cases/{case.pk}/close/"


def test_each_says_what_happened_of_what_and_for_how_long(browser, failed, shortcode, connection):
    one = cases.open_case("contradiction", "Money may have moved. Look it up.", disbursement=failed)
    cases.open_case("shortcode_paused", "Nothing more is sent.", shortcode=shortcode)
    cases.open_case("poll_late", "No loans are found.", connection=connection)
    Case.objects.filter(pk=one.pk).update(opened_at=timezone.now() - timedelta(hours=3))

    answer = browser.get(LIST)

    said = text(answer)
    assert f"{failed.reference} : M-Pesa contradicts itself" in said
    assert "opened 3 h ago · Pesa Pamoja" in said
    assert "Money may have moved. Look it up." in said
    assert "Shortcode paused" in said
    assert "Mifos X can't be polled" in said
    page = answer.content.decode()
    assert f'href="/disbursements/{failed.pk}/"' in page
    assert page.count('href="/partners/pamoja/"') == 2


def test_none_open_says_so(browser):
    assert "No open cases. Nothing needs a person" in text(browser.get(LIST))


FILTERS = [
    ("", {"contradiction", "overdue"}),
    ("?state=closed", {"not_recorded"}),
    ("?state=all", {"contradiction", "overdue", "not_recorded"}),
    ("?kind=overdue", {"overdue"}),
    ("?partner=other", {"overdue"}),
    ("?q=Second+words", {"overdue"}),
    ("?q=nothing+like+it", set()),
    ("?state=closed&kind=overdue", set()),
]


@pytest.mark.parametrize("query, kinds", FILTERS)
def test_what_a_filter_shows(browser, manual, failed, query, kinds):
    other = Partner.objects.create(name="Other", code="other")
    cases.open_case("contradiction", "First words.", disbursement=failed)
    cases.open_case("overdue", "Second words.", disbursement=manual(partner=other))
    cases.open_case("not_recorded", "Third words.", disbursement=failed)
    cases.close_cases("not_recorded", by="system", note="Recorded.", disbursement=failed)

    rows = browser.get(LIST + query).context["rows"]

    assert {row["case"].kind for row in rows} == kinds


def test_a_reference_finds_its_cases(browser, failed, manual):
    cases.open_case("contradiction", "First.", disbursement=failed)
    cases.open_case("overdue", "Second.", disbursement=manual())

    rows = browser.get(f"{LIST}?q={failed.reference}").context["rows"]

    assert [row["case"].disbursement_id for row in rows] == [failed.pk]


def test_what_is_no_filter_is_told_and_filters_nothing(browser, failed):
    cases.open_case("contradiction", "First.", disbursement=failed)

    answer = browser.get(f"{LIST}?partner=nobody&kind=odd")

    assert "There is no such partner." in text(answer)
    assert len(answer.context["rows"]) == 1


def test_a_closed_one_says_by_whom_and_why(browser, failed, amina):
    case = cases.open_case("overdue", "First.", disbursement=failed)
    cases.close(case, by=amina, note="It was decided.")

    said = text(browser.get(f"{LIST}?state=closed"))

    assert "by amina" in said
    assert "It was decided." in said
    assert "Close…" not in said


def test_closing_says_what_it_allows_and_is_on_record(browser, failed):
    case = cases.open_case("contradiction", "First failed, then paid.", disbursement=failed)

    opened = text(browser.get(close_url(case)))
    said = press(browser, close_url(case), reason="The statement shows nothing.")

    case.refresh_from_db()
    assert "It doesn't let the disbursement be paid again" in opened
    assert "A closed case isn't opened again by hand." in opened
    assert f"Closed the case “M-Pesa contradicts itself” of {failed.reference}." in text(said)
    assert (case.closed_by, case.closing_note) == ("baraka", "The statement shows nothing.")
    line = AuditEvent.objects.get()
    assert (line.act, line.actor, line.subject, line.partner_code, line.source_address) == (
        "case closed: contradiction", "baraka", failed.reference, "pamoja", "127.0.0.1",
    )  # fmt: skip
    assert "Case closed: M-Pesa contradicts itself." in failed.transitions.get().note


def test_closing_the_question_does_not_let_it_be_retried(browser, failed, baraka, shortcode):
    case = cases.open_case("contradiction", "Where is it?", disbursement=failed)
    with pytest.raises(approval.NotAllowed):
        approval.retry(failed, by=baraka, reason="Go.")

    press(browser, close_url(case), reason="Not paid, says the statement.")

    case.refresh_from_db()
    assert case.closed_by == "baraka"
    with pytest.raises(approval.NotAllowed, match="never paid again from here"):
        approval.retry(failed, by=baraka, reason="Go.")


@pytest.mark.parametrize("kind", cases.MONEY_IN_QUESTION)
@pytest.mark.parametrize(
    "who, rights, words",
    [("baraka", [], "Only who may settle disbursements"),
     ("amina", [SETTLE], "Someone else must close it: you entered")],
)  # fmt: skip
def test_where_money_is_in_question_neither_its_maker_nor_just_anybody_closes(
    request, failed, kind, who, rights, words
):
    case = cases.open_case(kind, "Where is it?", disbursement=failed)
    client = signed_in(may(request.getfixturevalue(who), VIEW, CHANGE, *rights,
                           "disbursements.view_disbursement"))  # fmt: skip

    looked = client.get(close_url(case), follow=True)
    pressed = press(client, close_url(case), reason="Mine.")

    case.refresh_from_db()
    assert words in text(looked)
    assert words in text(pressed)
    assert "Close…" not in text(client.get(LIST))
    assert case.closed_at is None


def test_an_approver_of_another_partner_closes_none_about_money_where_they_only_operate(
    client, failed, baraka
):
    jamii = Partner.objects.create(name="Jamii", code="jamii")
    for partner, role in ((failed.partner, "operator"), (jamii, "approver")):
        baraka.memberships.create(partner=partner, role=role)
    case = cases.open_case("contradiction", "Where is it?", disbursement=failed)
    client.force_login(baraka)

    pressed = press(client, close_url(case), reason="Mine.")

    case.refresh_from_db()
    assert "Only who may settle disbursements" in text(pressed)
    assert case.closed_at is None


def test_closing_asks_a_reason(browser, failed):
    case = cases.open_case("contradiction", "First.", disbursement=failed)

    assert press(browser, close_url(case), reason=" ").status_code == 422
    case.refresh_from_db()
    assert case.closed_at is None


def test_what_somebody_else_closed_is_told(browser, failed, amina):
    case = cases.open_case("overdue", "First.", disbursement=failed)
    opened = {**once(browser, close_url(case)), "reason": "Mine."}
    cases.close(case, by=amina, note="Hers.")

    pressed = browser.post(close_url(case), opened)
    looked = browser.get(close_url(case), follow=True)

    case.refresh_from_db()
    assert "It was closed already. Nothing was changed." in text(pressed)
    assert "closed already by amina" in text(looked)
    assert case.closing_note == "Hers."


def test_who_may_only_look_closes_nothing(amina, failed):
    case = cases.open_case("overdue", "First.", disbursement=failed)
    client = signed_in(may(amina, VIEW))

    assert "Close…" not in text(client.get(LIST))
    assert client.get(close_url(case)).status_code == 403
    assert client.post(close_url(case), {"reason": "x"}).status_code == 403
    case.refresh_from_db()
    assert case.closed_at is None


def test_who_may_not_see_cases_sees_none(amina, client):
    assert signed_in(amina).get(LIST).status_code == 403
    assert client.get(LIST).headers["Location"].startswith("/login/")


@pytest.mark.parametrize("kind", [*cases.KINDS, "a_new_kind"])
def test_every_kind_has_words_for_closing(browser, failed, kind):
    case = cases.open_case(kind, "Look.", disbursement=failed)

    said = text(browser.get(close_url(case)))

    assert cases.kind_of(case).label in said
    assert cases.kind_of(case).closing in said


def test_more_cases_ask_no_more_queries(browser, manual, django_assert_max_num_queries):
    for number in range(30):
        cases.open_case("overdue", "Look.", disbursement=manual(msisdn=f"2547000000{number:02}"))

    with django_assert_max_num_queries(9):
        answer = browser.get(LIST)

    assert len(answer.context["rows"]) == 25
    assert "Next →" in text(answer)
