from django.core.management import call_command
from django.db import migrations


def make(apps, schema_editor):
    """The table of the cache that all processes share, as Django's own command makes it."""
    call_command("createcachetable", "cache", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):

    dependencies = [
        ('paymentvault', '0003_audit_chain_and_networks'),
    ]

    operations = [
        migrations.RunPython(make, lambda apps, editor: editor.execute("DROP TABLE IF EXISTS cache")),
    ]
