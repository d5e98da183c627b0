"""The kill switch: one row, one reason, a line in the audit for each stop and go."""

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from paymentvault import stopping
from paymentvault.models import AuditEvent, KillSwitch

pytestmark = pytest.mark.django_db


def acts():
    return list(
        AuditEvent.objects.exclude(act="refused").order_by("pk").values_list("act", "actor")
    )


def test_there_is_one_switch_at_most():
    KillSwitch.objects.create(stopped_by="amina", reason="First.")

    with pytest.raises(IntegrityError), transaction.atomic():
        KillSwitch.objects.create(stopped_by="baraka", reason="Second.")
    with pytest.raises(IntegrityError, match="one_kill_switch"), transaction.atomic():
        KillSwitch.objects.create(pk=2, stopped_by="baraka", reason="Second.")


def test_a_second_stop_leaves_the_first_reason():
    assert stopping.stop(by="amina", reason="Wrong sums.")
    assert not stopping.stop(by="baraka", reason="Me too.")

    assert str(KillSwitch.objects.get()) == "Payouts stopped by amina: Wrong sums."
    assert acts() == [("payouts stopped", "amina")]


def test_stop_and_go_from_a_terminal(capsys):
    call_command("payouts", "stop", reason="Wrong sums.", by="amina")
    call_command("payouts", "stop", reason="Again.", by="amina")
    assert KillSwitch.objects.get().reason == "Wrong sums."

    call_command("payouts", "go", by="baraka")
    call_command("payouts", "go", by="baraka")

    assert not KillSwitch.objects.exists()
    assert acts() == [("payouts stopped", "amina"), ("payouts go again", "baraka")]
    assert capsys.readouterr().out.splitlines() == [
        "Payouts are stopped.", "They are stopped already.", "Payouts go.",
        "They weren't stopped.",
    ]  # fmt: skip


def test_a_stop_needs_a_reason():
    with pytest.raises(CommandError, match="Say why"):
        call_command("payouts", "stop")

    assert not KillSwitch.objects.exists()


def test_the_account_at_the_terminal_is_named():
    call_command("payouts", "stop", reason="Wrong sums.")

    assert KillSwitch.objects.get().stopped_by.endswith(" at a terminal")


def test_stop_and_go_in_the_admin(admin_client):
    admin_client.post("/admin/paymentvault/killswitch/add/", {"reason": "Wrong sums."})
    assert KillSwitch.objects.get().stopped_by == "admin"
    assert admin_client.get("/admin/paymentvault/killswitch/add/").status_code == 403

    admin_client.post("/admin/paymentvault/killswitch/1/delete/", {"post": "yes"})

    assert not KillSwitch.objects.exists()
    assert acts() == [("payouts stopped", "admin"), ("payouts go again", "admin")]
    assert AuditEvent.objects.first().source_address == "127.0.0.1"


def test_go_by_the_list_of_the_admin(admin_client):
    stopping.stop(by="amina", reason="Wrong sums.")

    admin_client.post(
        "/admin/paymentvault/killswitch/",
        {"action": "delete_selected", "_selected_action": ["1"], "post": "yes"},
    )

    assert acts()[-1] == ("payouts go again", "admin")
