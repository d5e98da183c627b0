"""Whoever made an API key counts as the maker of what is asked for with it, on every way."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from disbursements import approval, by_api, makers
from disbursements.models import Disbursement
from disbursements.pages.filters import awaiting
from disbursements.states import Status
from partners import keys
from partners.models import Membership, Role, Scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(lender, baraka):
    for role in (Role.APPROVER, Role.PARTNER_ADMINISTRATOR):
        Membership.objects.create(user=baraka, partner=lender, role=role)
    return made(lender, baraka)


def made(lender, by):
    return keys.make(lender, name="Loan system", scopes=[Scope.DISBURSEMENTS_CREATE], by=by,
                     allowed_networks=[], expires_at=timezone.now() + timedelta(9))[0]  # fmt: skip


@pytest.fixture
def asked(lender, key):
    asked = by_api.Asked("Amina Otieno", "254712345678", 1500, "School fees")
    by_api.ask(asked, partner=lender, idempotency_key="k", body={}, by=key, answer=lambda one: {})
    return Disbursement.objects.get()


@pytest.fixture
def approver(lender, amina):
    Membership.objects.create(user=amina, partner=lender, role=Role.APPROVER)
    return amina


def at(user):
    client = Client()
    client.force_login(user)
    return client


def test_who_made_the_key_is_refused_and_told_why(asked, baraka):
    with pytest.raises(approval.IsMaker, match="API key you made"):
        approval.approve(asked, by=baraka)


def test_who_made_the_key_is_offered_no_button_and_sent_back(asked, baraka):
    page = at(baraka).get(reverse("disbursements:detail", args=[asked.pk]))
    assert reverse("disbursements:approve", args=[asked.pk]) not in page.text
    assert makers.BY_THEIR_KEY in page.text

    answer = at(baraka).get(reverse("disbursements:approve", args=[asked.pk]), follow=True)
    assert makers.BY_THEIR_KEY in answer.text


def test_somebody_else_is_offered_it_and_sees_which_program_asked(asked, approver):
    page = at(approver).get(reverse("disbursements:detail", args=[asked.pk]))

    assert reverse("disbursements:approve", args=[asked.pk]) in page.text
    assert "Loan system" in page.text


def test_neither_the_list_nor_many_at_once_offer_it_to_who_made_the_key(asked, baraka, approver):
    assert list(awaiting(Disbursement.objects.all(), approver)) == [asked]
    assert not awaiting(Disbursement.objects.all(), baraka).exists()

    listed = at(baraka).get(reverse("disbursements:list")).text
    assert f'value="{asked.pk}"' not in listed
    assert f'value="{asked.pk}"' in at(approver).get(reverse("disbursements:list")).text
    many = at(baraka).get(reverse("disbursements:bulk"), {"pick": asked.pk})
    assert many.status_code == 302


@pytest.mark.parametrize("act", ["release", "retry"])
def test_neither_do_they_release_or_retry_it(asked, baraka, act, monkeypatch):
    asked.status = Status.HELD if act == "release" else Status.FAILED
    monkeypatch.setattr(approval, "_must_be", lambda *_: None)

    with pytest.raises(approval.IsMaker):
        getattr(approval, act)(asked, by=baraka, reason="x")


def test_a_rotated_key_is_of_who_rotated_it(asked, key, lender, baraka, approver):
    new, _ = keys.rotate(key, both_for=timedelta(0), by=approver,
                         expires_at=timezone.now() + timedelta(days=9))  # fmt: skip
    asked = by_api.Asked("Amina Otieno", "254712345678", 1600, "School fees")
    by_api.ask(asked, partner=lender, idempotency_key="n", body={}, by=new, answer=lambda one: {})
    second = Disbursement.objects.latest("pk")

    assert makers.why_not(second, approver) == makers.BY_THEIR_KEY
    assert makers.why_not(second, baraka) == ""
