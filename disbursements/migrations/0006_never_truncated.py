import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('disbursements', '0005_api_requests_and_deliveries'),
    ]

    operations = [
        pgtrigger.migrations.AddTrigger(
            model_name='apirequest',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='8a462a64f6a68b5f2bdf3c49cf0e41b1ffd84b38', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_f92a1', table='disbursements_apirequest', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='attempt',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='0f26b2b84fa6e529332444a9ce4f4d94f3239de1', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_f5186', table='disbursements_attempt', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='callback',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='4f593265114a8d554f199e4a6fb11d3a80e20098', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_c6999', table='disbursements_callback', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='case',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='3850abefd4426bcaf38b3d7cfef303b31854adad', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_8a337', table='disbursements_case', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='delivery',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='5a09388c75ce4e16635078c3630d7e27b3ef8760', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_4604f', table='disbursements_delivery', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='disbursement',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='bbdc3b70bb448b0798036b0c874ba860672196e9', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_4cbff', table='disbursements_disbursement', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='floatreading',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='da7137198af7f466520063a396ad828986d78d5e', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_a9629', table='disbursements_floatreading', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='inquiry',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='ebb141fcacca553e5d01373589238951ac882707', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_cebd3', table='disbursements_inquiry', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='settlement',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='bc569b3ed3db58371873a0f3dc279492c6318f86', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_f84b7', table='disbursements_settlement', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='transition',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='50b7a5dcdd0951053e9815811e0ea89ac850fbce', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_8deeb', table='disbursements_transition', when='BEFORE')),
        ),
    ]
