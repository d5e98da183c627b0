"""Roles per partner: what each gives where, as one table."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, transaction

from disbursements.models import Callback, Case, Disbursement
from mifos.models import Event
from partners import access
from partners.models import LoanProduct, Membership, MifosConnection, MpesaShortcode, Partner, Role
from paymentvault.models import User

pytestmark = pytest.mark.django_db

SEE, MAKE, CHECK, SETTLE, SET_UP, STOP, AUDIT = (
    "disbursements.view_disbursement", "disbursements.add_disbursement",
    "disbursements.approve_disbursement", "disbursements.settle_disbursement",
    "partners.change_mifosconnection", "paymentvault.add_killswitch",
    "paymentvault.view_auditevent",
)  # fmt: skip
TABLE = {
    Role.VIEWER: {SEE},
    Role.OPERATOR: {SEE, MAKE},
    Role.APPROVER: {SEE, CHECK, SETTLE},
    Role.PARTNER_ADMINISTRATOR: {SEE, SET_UP},
    Role.ADMINISTRATOR: {SEE, SET_UP, STOP, AUDIT},
    Role.AUDITOR: {SEE, AUDIT},
}
PLATFORM = {Role.ADMINISTRATOR, Role.AUDITOR}


@pytest.fixture
def jamii(db):
    return Partner.objects.create(name="Jamii", code="jamii")


@pytest.fixture
def member(lender, amina):
    """Amina with a role, at the lender unless it is the platform's."""

    def make(role):
        partner = None if role in PLATFORM else lender
        Membership.objects.create(user=amina, role=role, partner=partner)
        return User.objects.get(pk=amina.pk)

    return make


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("right", [SEE, MAKE, CHECK, SETTLE, SET_UP, STOP, AUDIT])
def test_a_role_gives_its_rights_at_its_partner(member, lender, jamii, role, right):
    user = member(role)

    has = right in TABLE[role]
    assert user.has_perm(right) is has
    assert user.has_perm(right, lender) is has
    assert user.has_perm(right, jamii) is (has and role in PLATFORM)


@pytest.mark.parametrize("role", Role)
def test_nobody_is_maker_and_checker_by_one_role(role):
    assert not {MAKE, CHECK} <= access.RIGHTS[role]


def test_every_role_is_in_the_table():
    assert set(TABLE) == set(access.RIGHTS) == set(Role)


def test_a_group_counts_for_every_partner(amina, lender, jamii):
    group = Group.objects.create(name="Head office")
    group.permissions.add(Permission.objects.get(codename=SEE.partition(".")[2]))
    amina.groups.add(group)
    user = User.objects.get(pk=amina.pk)

    assert set(access.partners(user, SEE)) == {lender, jamii}


def test_without_a_role_nothing_is_seen(amina, lender):
    assert not access.partners(amina, SEE).exists()


def test_who_left_sees_nothing(member, lender):
    user = member(Role.APPROVER)
    user.is_active = False

    assert not user.has_perm(SEE)
    assert not access.partners(user, SEE).exists()


MODELS = [
    Partner,
    MifosConnection,
    MpesaShortcode,
    LoanProduct,
    Disbursement,
    Callback,
    Case,
    Event,
]


@pytest.fixture
def rows_of_both(connection, shortcode, sent, manual, jamii):
    """One row of every kind at the lender, and one at Jamii; and a callback of nobody's."""
    theirs = MifosConnection.objects.create(partner=jamii, host_url="https://jamii.test")
    MpesaShortcode.objects.create(partner=jamii, shortcode="600998", consumer_key="k",
                                  consumer_secret="s", initiator_name="i")  # fmt: skip
    Callback.objects.create(kind="r", attempt=sent(), body="{}")
    Callback.objects.create(kind="r", body="unmatched")
    manual(partner=jamii)
    for link in (connection, theirs):
        LoanProduct.objects.create(connection=link, product_id=1, name="Business")
        Case.objects.create(kind="x", words="x", connection=link)
        Event.objects.create(connection=link, form="native", body="{}")


@pytest.mark.parametrize("model", MODELS)
def test_only_the_rows_of_ones_own_partner_are_there(member, rows_of_both, lender, model):
    user = member(Role.VIEWER)

    rows = access.only(model.objects.all(), user, SEE)

    assert rows.count() == 1
    assert model.objects.count() == 2
    assert rows.get() == access.only(model.objects.all(), user, SEE).get()


@pytest.mark.parametrize("model", MODELS)
def test_the_platforms_people_see_all(member, rows_of_both, model):
    assert access.only(model.objects.all(), member(Role.AUDITOR), SEE).count() == 2


@pytest.mark.parametrize("role, at_partner", [(Role.VIEWER, False), (Role.AUDITOR, True)])
def test_postgresql_refuses_a_role_in_the_wrong_place(amina, lender, role, at_partner):
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.create(user=amina, role=role, partner=lender if at_partner else None)


def test_the_memberships_are_read_once_for_a_request(member, lender, django_assert_num_queries):
    user = member(Role.APPROVER)

    with django_assert_num_queries(2):  # rights everywhere, and memberships
        for right in (SEE, MAKE, CHECK):
            user.has_perm(right)


def test_who_was_in_a_group_of_earlier_versions_has_the_role_that_took_its_place(
    amina, baraka, lender, jamii
):
    migration = import_module("partners.migrations.0007_groups_become_roles")
    for person, name in ((amina, "Approvers"), (baraka, "Administrators")):
        person.groups.add(Group.objects.create(name=name))
    own = Group.objects.create(name="Head office")

    migration.become_roles(apps, None)

    held = set(Membership.objects.values_list("user__username", "role", "partner__code"))
    assert held == {
        ("amina", "approver", lender.code), ("amina", "approver", jamii.code),
        ("baraka", "administrator", None),
    }  # fmt: skip
    assert list(Group.objects.all()) == [own]
