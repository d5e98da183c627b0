import paymentvault.models
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('paymentvault', '0004_cache'),
    ]

    operations = [
        migrations.CreateModel(
            name='RowChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('act', models.CharField(max_length=10)),
                ('about_type', models.CharField(max_length=60, verbose_name='kind of row')),
                ('about_id', models.CharField(max_length=40, verbose_name='number of the row')),
                ('partner_code', models.CharField(max_length=20, verbose_name='partner')),
                ('changes', models.JSONField(decoder=paymentvault.models.ExactNumbers)),
                ('actor', models.CharField(max_length=150, verbose_name='person')),
                ('request_id', models.CharField(max_length=40)),
                ('database_role', models.CharField(max_length=63)),
            ],
            options={
                'ordering': ['-at', '-pk'],
            },
        ),
        migrations.RemoveIndex(
            model_name='auditevent',
            name='audit_by_time',
        ),
        migrations.RemoveIndex(
            model_name='auditevent',
            name='audit_by_actor',
        ),
        migrations.RemoveIndex(
            model_name='auditevent',
            name='audit_by_partner',
        ),
        migrations.RemoveIndex(
            model_name='auditevent',
            name='audit_by_act',
        ),
        migrations.RemoveIndex(
            model_name='auditevent',
            name='audit_by_subject',
        ),
        migrations.RemoveIndex(
            model_name='auditevent',
            name='audit_by_object',
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['at', 'id'], name='audit_by_time'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['actor', 'at', 'id'], name='audit_by_actor'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['actor', 'act', 'at', 'id'], name='audit_by_actor_act'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['partner_code', 'at', 'id'], name='audit_by_partner'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['act', 'at', 'id'], name='audit_by_act'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['partner_code', 'act', 'at', 'id'], name='audit_by_partner_act'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['subject', 'at', 'id'], name='audit_by_subject'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['about_id', 'about_type', 'at', 'id'], name='audit_by_object'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(condition=models.Q(('request_id', ''), _negated=True), fields=['request_id'], name='audit_by_request'),
        ),
        migrations.AddIndex(
            model_name='auditevent',
            index=models.Index(fields=['source_address', 'at', 'id'], name='audit_by_address'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='allowednetwork',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='a2c369bf263ed94d2df26548197f1d8d45987f99', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_a3ad3', table='paymentvault_allowednetwork', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='auditevent',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='b60da291822c97e61faba0ed8377f119cc927ef4', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_9b454', table='paymentvault_auditevent', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='auditlink',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='0fdb1e233feeb20d51b0c1d8e052c6b178a7af3c', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_2d8bc', table='paymentvault_auditlink', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='auditwaiting',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='9536541c7326bafac804cb4ad21259cbf25594f9', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_f9208', table='paymentvault_auditwaiting', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='user',
            trigger=pgtrigger.compiler.Trigger(name='history_of_rows', sql=pgtrigger.compiler.UpsertTriggerSql(declare='DECLARE was JSONB; becomes JSONB; it JSONB; changes JSONB;', func='was := CASE WHEN TG_OP = \'INSERT\' THEN \'{}\' ELSE to_jsonb(OLD) END; becomes := CASE WHEN TG_OP = \'DELETE\' THEN \'{}\' ELSE to_jsonb(NEW) END; it := CASE WHEN TG_OP = \'DELETE\' THEN was ELSE becomes END; SELECT jsonb_object_agg(name, CASE WHEN name IN (\'password\', \'first_name\', \'last_name\', \'email\') THEN \'"changed"\' ELSE jsonb_build_object(\'from\', was -> name, \'to\', becomes -> name) END) INTO changes FROM unnest(ARRAY[\'id\', \'password\', \'is_superuser\', \'username\', \'first_name\', \'last_name\', \'email\', \'is_staff\', \'is_active\', \'date_joined\']) AS name WHERE was ->> name IS DISTINCT FROM becomes ->> name; INSERT INTO paymentvault_rowchange ( at, act, about_type, about_id, partner_code, changes, actor, request_id, database_role ) VALUES ( clock_timestamp(), CASE TG_OP WHEN \'INSERT\' THEN \'added\' WHEN \'DELETE\' THEN \'deleted\' ELSE \'changed\' END, \'paymentvault.user\', it ->> \'id\', coalesce(it ->> \'code\', \'\'), coalesce(changes, \'{}\'), coalesce(current_setting(\'paymentvault.actor\', true), \'\'), coalesce(current_setting(\'paymentvault.request_id\', true), \'\'), session_user ); RETURN NULL;', hash='270a4e516fc784a73a7d5d112f84c7dd472a596d', operation='INSERT OR DELETE', pgid='pgtrigger_history_of_rows_9fef0', table='paymentvault_user', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='user',
            trigger=pgtrigger.compiler.Trigger(name='history_of_changes', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN ((OLD."id" IS DISTINCT FROM NEW."id") OR (OLD."password" IS DISTINCT FROM NEW."password") OR (OLD."is_superuser" IS DISTINCT FROM NEW."is_superuser") OR (OLD."username" IS DISTINCT FROM NEW."username") OR (OLD."first_name" IS DISTINCT FROM NEW."first_name") OR (OLD."last_name" IS DISTINCT FROM NEW."last_name") OR (OLD."email" IS DISTINCT FROM NEW."email") OR (OLD."is_staff" IS DISTINCT FROM NEW."is_staff") OR (OLD."is_active" IS DISTINCT FROM NEW."is_active") OR (OLD."date_joined" IS DISTINCT FROM NEW."date_joined"))', declare='DECLARE was JSONB; becomes JSONB; it JSONB; changes JSONB;', func='was := CASE WHEN TG_OP = \'INSERT\' THEN \'{}\' ELSE to_jsonb(OLD) END; becomes := CASE WHEN TG_OP = \'DELETE\' THEN \'{}\' ELSE to_jsonb(NEW) END; it := CASE WHEN TG_OP = \'DELETE\' THEN was ELSE becomes END; SELECT jsonb_object_agg(name, CASE WHEN name IN (\'password\', \'first_name\', \'last_name\', \'email\') THEN \'"changed"\' ELSE jsonb_build_object(\'from\', was -> name, \'to\', becomes -> name) END) INTO changes FROM unnest(ARRAY[\'id\', \'password\', \'is_superuser\', \'username\', \'first_name\', \'last_name\', \'email\', \'is_staff\', \'is_active\', \'date_joined\']) AS name WHERE was ->> name IS DISTINCT FROM becomes ->> name; INSERT INTO paymentvault_rowchange ( at, act, about_type, about_id, partner_code, changes, actor, request_id, database_role ) VALUES ( clock_timestamp(), CASE TG_OP WHEN \'INSERT\' THEN \'added\' WHEN \'DELETE\' THEN \'deleted\' ELSE \'changed\' END, \'paymentvault.user\', it ->> \'id\', coalesce(it ->> \'code\', \'\'), coalesce(changes, \'{}\'), coalesce(current_setting(\'paymentvault.actor\', true), \'\'), coalesce(current_setting(\'paymentvault.request_id\', true), \'\'), session_user ); RETURN NULL;', hash='13a73e8256dda48668451597a8aa86b6cc046c1a', operation='UPDATE', pgid='pgtrigger_history_of_changes_09406', table='paymentvault_user', when='AFTER')),
        ),
        migrations.AddIndex(
            model_name='rowchange',
            index=models.Index(fields=['at', 'id'], name='rows_by_time'),
        ),
        migrations.AddIndex(
            model_name='rowchange',
            index=models.Index(fields=['partner_code', 'at', 'id'], name='rows_by_partner'),
        ),
        migrations.AddIndex(
            model_name='rowchange',
            index=models.Index(fields=['about_id', 'about_type', 'at', 'id'], name='rows_by_object'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='rowchange',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='5e9806e478c2ca849cf6d5daa3dba1680c1e5ade', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_d6022', table='paymentvault_rowchange', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='rowchange',
            trigger=pgtrigger.compiler.Trigger(name='never_truncated', sql=pgtrigger.compiler.UpsertTriggerSql(condition="WHEN (current_setting('paymentvault.may_truncate', true) IS DISTINCT FROM 'on')", func="RAISE EXCEPTION 'Cannot truncate %, which is never emptied', TG_TABLE_NAME;", hash='e13f9f2936befcb4a692d97b5d7fb147d070fe2c', level='STATEMENT', operation='TRUNCATE', pgid='pgtrigger_never_truncated_e3585', table='paymentvault_rowchange', when='BEFORE')),
        ),
    ]
