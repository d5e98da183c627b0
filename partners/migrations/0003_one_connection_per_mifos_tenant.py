from django.db import migrations, models
from django.db.models.functions import Concat, Lower

from partners import addresses


def write_addresses_one_way(apps, schema_editor):
    connections = apps.get_model("partners", "MifosConnection").objects
    for pk, host_url, api_path, tenant_id in connections.values_list(
        "pk", "host_url", "api_path", "tenant_id"
    ):
        connections.filter(pk=pk).update(
            host_url=addresses.server(host_url),
            api_path=addresses.path(api_path),
            tenant_id=tenant_id.strip(),
        )


class Migration(migrations.Migration):
    dependencies = [("partners", "0002_password_age")]

    operations = [
        migrations.RunPython(write_addresses_one_way, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="mifosconnection",
            constraint=models.UniqueConstraint(
                Lower(Concat("host_url", "api_path")),
                Lower("tenant_id"),
                name="one_connection_per_mifos_tenant",
                violation_error_message="This tenant of this Mifos X is already connected.",
            ),
        ),
    ]
