from django.conf import settings
from django.db import migrations

# The groups that earlier versions made, each for all partners.
OF_EACH_PARTNER = {"Viewers": "viewer", "Operators": "operator", "Approvers": "approver"}
ADMINISTRATORS = "Administrators"


def become_roles(apps, schema_editor):
    """Give whoever was in one of the groups the role that took its place; then drop the groups."""
    Group, Partner = apps.get_model("auth", "Group"), apps.get_model("partners", "Partner")
    Membership = apps.get_model("partners", "Membership")
    given = []
    for name, role in OF_EACH_PARTNER.items():
        for group in Group.objects.filter(name=name):
            given += [
                Membership(user=user, partner=partner, role=role)
                for user in group.user_set.all()
                for partner in Partner.objects.all()
            ]
    for group in Group.objects.filter(name=ADMINISTRATORS):
        given += [Membership(user=user, role="administrator") for user in group.user_set.all()]
    Membership.objects.bulk_create(given, ignore_conflicts=True)
    Group.objects.filter(name__in=[*OF_EACH_PARTNER, ADMINISTRATORS]).delete()


class Migration(migrations.Migration):

    dependencies = [
        ('partners', '0006_row_history'),
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # Back again, the earlier version makes its groups anew; who was in them is read in the roles.
        migrations.RunPython(become_roles, migrations.RunPython.noop),
    ]
