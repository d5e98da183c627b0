"""What the audit says of a change that two people make."""

import pytest
from django.forms.models import model_to_dict

from partners import changes
from partners.forms import MifosConnectionForm
from partners.models import SettingsChange
from paymentvault.models import AuditEvent

pytestmark = pytest.mark.django_db


def test_a_connection_that_goes_off_by_a_change_is_told(connection):
    typed = {key: value for key, value in model_to_dict(connection).items() if value is not None}
    form = MifosConnectionForm(typed | {"tenant_id": "other"}, instance=connection)
    form.is_valid()

    told = form.changes()

    assert told["is_on"] == {"from": True, "to": False}
    assert told["test"] == "to be done again" and "proof" not in told


def test_the_second_persons_confirmation_is_told_of_the_change_itself(
    lender, amina, baraka, monkeypatch
):
    change = SettingsChange.objects.create(
        partner=lender, kind="connection", difference=[], facts=[], reason="So.",
        proposal="{}", proposed_by=amina,
    )  # fmt: skip

    class Draft:
        def save(self, **given):
            return "Saved."

    monkeypatch.setattr(changes, "_as_proposed", lambda change: Draft())
    monkeypatch.setattr(changes, "_only_a_second_person", lambda change, by: None)
    changes.confirm(change, by=baraka, note="Yes.")

    line = AuditEvent.objects.get(act="Mifos X connection change confirmed")
    assert (line.actor, line.about_id) == ("baraka", str(change.pk))
    assert line.detail["proposed_by"] == "amina" and line.detail["note"] == "Yes."
