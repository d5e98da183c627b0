import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('mifos', '0002_event_lookups'),
    ]

    operations = [
        pgtrigger.migrations.AddTrigger(
            model_name='event',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='8cee26bebf7438fb2d45b313a91fa28832e89954', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_4680e', table='mifos_event', when='BEFORE')),
        ),
    ]
