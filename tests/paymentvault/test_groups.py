"""Four groups to begin with."""

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from paymentvault import groups
from paymentvault.models import User

APPROVE, SETTLE = "disbursements.approve_disbursement", "disbursements.settle_disbursement"
ADD, VIEW = "disbursements.add_disbursement", "disbursements.view_disbursement"
EXPORT, SET_UP = "disbursements.export_disbursement", "partners.change_mpesashortcode"
MAY = {
    "Viewers": {VIEW},
    "Operators": {VIEW, ADD, EXPORT},
    "Approvers": {VIEW, APPROVE, SETTLE, EXPORT},
    "Administrators": {VIEW, SET_UP, EXPORT},
}


@pytest.mark.parametrize("name", MAY)
def test_a_migrated_database_has_the_group_with_its_rights(db, name):
    chege = User.objects.create_user("chege")
    chege.groups.add(Group.objects.get(name=name))

    may = {right for right in (VIEW, ADD, APPROVE, SETTLE, EXPORT, SET_UP) if chege.has_perm(right)}

    assert may == MAY[name]


@pytest.mark.parametrize("name", MAY)
def test_each_right_that_a_group_names_exists(db, name):
    given = Group.objects.get(name=name).permissions

    assert given.count() == len(groups.GROUPS[name])


def test_no_group_may_change_people_or_delete_what_counts(db):
    given = Permission.objects.filter(group__name__in=MAY).exclude(codename="delete_killswitch")

    assert not given.filter(codename__startswith="delete_").exists()
    assert not given.filter(codename__endswith="_user").exists()


def test_migrating_again_changes_nothing(db):
    before = list(Group.objects.values_list("name", "permissions").order_by("name", "permissions"))

    call_command("migrate", verbosity=0)

    after = list(Group.objects.values_list("name", "permissions").order_by("name", "permissions"))
    assert after == before


def test_what_an_administrator_took_away_stays_away(db):
    Group.objects.get(name="Operators").permissions.clear()

    call_command("migrate", verbosity=0)

    assert not Group.objects.get(name="Operators").permissions.exists()


def test_they_are_made_with_the_app_whose_permissions_come_last(db):
    named = {right.partition(".")[0] for rights in groups.GROUPS.values() for right in rights}
    ours = [app.label for app in apps.get_app_configs() if app.label in named]
    Group.objects.all().delete()

    for label in ours[:-1]:
        groups.make(sender=apps.get_app_config(label))
    assert not Group.objects.exists()

    groups.make(sender=apps.get_app_config(ours[-1]))
    assert set(Group.objects.values_list("name", flat=True)) == set(MAY)


def test_each_group_is_explained():
    assert set(groups.ABOUT) == set(groups.GROUPS)
