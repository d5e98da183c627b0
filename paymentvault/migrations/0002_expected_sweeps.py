import django.utils.timezone
from django.db import migrations, models

FORGET_WHAT_NEVER_RAN = "DELETE FROM paymentvault_heartbeat WHERE at IS NULL"


class Migration(migrations.Migration):

    dependencies = [
        ('paymentvault', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='heartbeat',
            name='expected_since',
            field=models.DateTimeField(default=django.utils.timezone.now, help_text='When beat first had it to call.'),
        ),
        migrations.AlterField(
            model_name='heartbeat',
            name='at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name='heartbeat',
            name='took_ms',
            field=models.PositiveIntegerField(default=0),
        ),
        # Undone first, before `at` must have a value again.
        migrations.RunSQL(migrations.RunSQL.noop, FORGET_WHAT_NEVER_RAN),
    ]
