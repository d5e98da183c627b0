"""A partner's settings through the API: by the portal's own rules, second person and all."""

import pytest

from partners.models import Partner, Role, SettingsChange
from paymentvault.models import AuditEvent
from tests.api.conftest import code

pytestmark = pytest.mark.django_db
URL = "partners/pamoja"


@pytest.fixture
def manager(person, lender):
    return person(Role.PARTNER_ADMINISTRATOR)


def test_name_and_contact_change_at_once_and_stand_in_the_audit(manager, connection):
    answer = manager.patch(URL, {"name": "Pamoja SACCO", "contact": "Wanjiru, 0700"})

    assert answer.status_code == 200
    assert (answer.json()["name"], answer.json()["contact"]) == ("Pamoja SACCO", "Wanjiru, 0700")
    line = AuditEvent.objects.get(act="partner changed")
    assert line.detail["name"] == {"from": "Pesa Pamoja", "to": "Pamoja SACCO"}


def test_limits_change_at_once_until_the_partner_is_in_use(manager):
    answer = manager.patch(URL, {"max_amount": "90000"})

    assert (answer.status_code, answer.json()["max_amount"]) == (200, "90000.00")
    assert manager.patch(URL, {"max_amount": None}).json()["max_amount"] is None


def test_then_they_wait_for_a_second_person_and_nothing_has_changed(manager, connection):
    answer = manager.patch(URL, {"max_amount": "90000", "name": "Mixed", "reason": "Agreed."})

    told = answer.json()
    assert (answer.status_code, told["state"], told["partner"]) == (202, "waiting", "pamoja")
    assert told["proposed_by"] == manager.user.username and told["decided_by"] is None
    assert {line["to"] for line in told["difference"]} == {"Mixed", "90,000.00"}
    partner = Partner.objects.get()
    assert (partner.name, partner.max_amount) == ("Pesa Pamoja", None)
    listed = manager.get("settings-changes?state=waiting&partner=pamoja").json()["results"]
    assert [row["id"] for row in listed] == [told["id"]]
    assert manager.get("settings-changes?state=applied").json()["results"] == []


def test_a_change_that_waits_needs_a_reason_and_is_the_only_one(manager, connection):
    refused = manager.patch(URL, {"max_amount": "5"})
    assert (refused.status_code, code(refused)) == (400, "invalid")
    assert "reason" in refused.json()["error"]["fields"]

    manager.patch(URL, {"max_amount": "5", "reason": "So."})
    again = manager.patch(URL, {"max_amount": "6", "reason": "So."})

    assert (again.status_code, code(again)) == (409, "refused")
    assert SettingsChange.objects.count() == 1


@pytest.mark.parametrize(
    "body, field",
    [
        ({"is_automatic": True}, "is_automatic"),
        ({"is_active": True}, "is_active"),
        ({"in_use_since": None}, "in_use_since"),
        ({"max_amount": "-1"}, "max_amount"),
        ({"max_amount": "much"}, "max_amount"),
        ({"name": ""}, "name"),
    ],
)
def test_what_is_wrong_or_not_changed_here_is_named(manager, body, field):
    answer = manager.patch(URL, body)

    assert answer.status_code == 400 and field in answer.json()["error"]["fields"]
    assert not AuditEvent.objects.filter(act="partner changed").exists()


def test_limits_in_the_wrong_order_are_refused(manager):
    answer = manager.patch(URL, {"min_amount": "5", "max_amount": "4"})

    assert answer.status_code == 400 and "smallest sum is larger" in answer.text


def test_who_did_not_confirm_just_now_who_they_are_changes_nothing(manager, settings):
    settings.ASK_AGAIN_AFTER_S = 600

    answer = manager.patch(URL, {"max_amount": "5"})

    assert (answer.status_code, code(answer)) == (403, "confirmation_required")
    assert Partner.objects.get().max_amount is None
