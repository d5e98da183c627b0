import django.db.models.deletion
import django.utils.timezone
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

# As Disbursement.move() sets it: what never reached M-Pesa goes back by the approval that it has,
# and a line that moves nothing is a note.
FILL_APPROVED_AT = """
    UPDATE disbursements_disbursement d SET approved_at = line.at
    FROM (
        SELECT disbursement_id, max(at) AS at FROM disbursements_transition
        WHERE new = 'approved' AND old NOT IN ('approved', 'sending')
        GROUP BY disbursement_id
    ) line
    WHERE line.disbursement_id = d.id
"""


class Migration(migrations.Migration):

    dependencies = [
        ('disbursements', '0003_purpose_and_lookups'),
        ('partners', '0002_password_age'),
    ]

    operations = [
        migrations.CreateModel(
            name='FloatReading',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('amount', models.DecimalField(decimal_places=2, max_digits=14)),
                ('shortcode', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='float_readings', to='partners.mpesashortcode')),
            ],
            options={
                'ordering': ['pk'],
                'indexes': [models.Index(fields=['shortcode', '-at'], name='latest_of_a_shortcode')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='floatreading',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='47d717cb87a37947152544cc39c4c87d8ce47916', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_ee1a2', table='disbursements_floatreading', when='BEFORE')),
        ),
        migrations.AddField(
            model_name='disbursement',
            name='approved_at',
            field=models.DateTimeField(help_text='When it was let go last: approved, released or retried.', null=True),
        ),
        migrations.RunSQL(FILL_APPROVED_AT, migrations.RunSQL.noop),
        migrations.AddIndex(
            model_name='disbursement',
            index=models.Index(condition=models.Q(('connection__isnull', False), ('status', 'paid')), fields=['status_at'], name='paid_not_recorded'),
        ),
    ]
