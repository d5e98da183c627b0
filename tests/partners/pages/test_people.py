"""The people of a partner: who gives roles to whom, and what is told of it."""

import pytest
from django.test import Client

from partners.models import Membership, Partner, Role
from paymentvault.models import AuditEvent, User
from tests.partners.pages.people import said, words

PEOPLE = "/partners/pamoja/people/"
GIVE = f"{PEOPLE}give/"


@pytest.fixture
def manager(lender, amina):
    """Amina, who administers the lender."""
    Membership.objects.create(user=amina, partner=lender, role=Role.PARTNER_ADMINISTRATOR)
    client = Client()
    client.force_login(amina)
    return client


@pytest.fixture
def given(lender, baraka):
    return Membership.objects.create(user=baraka, partner=lender, role=Role.OPERATOR)


def last():
    return AuditEvent.objects.latest("pk")


@pytest.mark.parametrize("typed", ["baraka", "  baraka "])
def test_a_role_is_given_by_user_name(manager, press, lender, baraka, typed):
    press(manager, GIVE, person=typed, role="operator")

    assert baraka.memberships.get().role == Role.OPERATOR
    assert baraka.memberships.get().partner == lender
    line = last()
    assert (line.act, line.actor, line.subject, line.partner_code) == (
        "role given", "amina", "baraka", "pamoja",
    )  # fmt: skip
    assert (line.detail["role"], line.detail["reason"]) == ("operator", "For a test.")


@pytest.mark.parametrize("typed", ["nobody", "jane@example.com", "closed", ""])
def test_only_somebody_who_is_there_gets_it_and_nobody_by_e_mail(manager, press, typed):
    # Everybody writes their own address, or another's.
    User.objects.create_user("viewer", email="jane@example.com")
    User.objects.create_user("closed", is_active=False)

    answer = press(manager, GIVE, person=typed, role="operator")

    assert answer.status_code == 422
    assert Membership.objects.count() == 1


@pytest.mark.parametrize("role", ["administrator", "auditor", "", "superuser"])
def test_a_role_of_the_platform_is_not_given_here(manager, press, baraka, role):
    assert press(manager, GIVE, person="baraka", role=role).status_code == 422
    assert not baraka.memberships.exists()


def test_nobody_gives_themselves_a_role(manager, press, amina):
    answer = press(manager, GIVE, person="amina", role="approver")

    assert "Somebody else must give you a role." in words(answer)
    assert amina.memberships.count() == 1


def test_a_role_that_somebody_has_is_not_given_again(manager, press, given):
    answer = press(manager, GIVE, person="baraka", role="operator")

    assert answer.status_code == 409
    assert Membership.objects.filter(user=given.user).count() == 1
    assert not AuditEvent.objects.filter(act="role given").exists()


def test_a_role_is_taken_away_once(manager, press, given):
    page = f"{PEOPLE}{given.pk}/take/"

    press(manager, page)

    assert not Membership.objects.filter(pk=given.pk).exists()
    assert (last().act, last().subject, last().detail["role"]) == (
        "role taken away", "baraka", "operator",
    )  # fmt: skip
    again = press(manager, page, opens=False)
    assert said(again)[-1] == "They don't have this role any more. Nothing was changed."


def test_another_partners_role_is_not_taken_away_from_here(manager, press, baraka):
    umoja = Partner.objects.create(name="Umoja", code="umoja")
    theirs = Membership.objects.create(user=baraka, partner=umoja, role=Role.VIEWER)

    press(manager, f"{PEOPLE}{theirs.pk}/take/", opens=False)

    assert Membership.objects.filter(pk=theirs.pk).exists()
    assert manager.get("/partners/umoja/people/").status_code == 404


def test_the_page_lists_who_has_what(manager, given, baraka):
    Membership.objects.create(user=User.objects.create_user("far"), role=Role.AUDITOR)

    page = words(manager.get(PEOPLE))

    assert "baraka" in page and "Operator (maker)" in page and f"{given.pk}/take/" in page
    assert "far" not in page.split("What the roles may do")[0].split("<h1>")[1].replace("far-", "")


def test_an_auditor_reads_it_and_has_no_button(lender, given, client):
    user = User.objects.create_user("reader")
    Membership.objects.create(user=user, role=Role.AUDITOR)
    client.force_login(user)

    page = words(client.get(PEOPLE))

    assert "baraka" in page
    assert "give/" not in page and "take/" not in page
