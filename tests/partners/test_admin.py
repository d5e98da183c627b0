"""Every page of the admin opens; nothing is deleted, and no setting changed, there."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from disbursements import cases
from disbursements.models import Callback, Case, Disbursement, Inquiry, Transition
from mifos.models import Event
from partners.admin import is_secret
from partners.models import (
    Membership,
    MifosConnection,
    MpesaShortcode,
    Partner,
    Role,
    SettingsChange,
)
from paymentvault import audit, stopping
from paymentvault.models import Heartbeat
from tests.partners.conftest import CANARY

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OURS = ("paymentvault", "partners", "disbursements", "mifos")


@pytest.fixture
def everything(connection, shortcode, sent):
    """A row of each model that the admin shows."""
    attempt = sent()
    disbursement = attempt.disbursement
    Transition.objects.create(disbursement=disbursement, old="approved", new="sending", by="x")
    Callback.objects.create(kind="r", body="{}", attempt=attempt)
    Inquiry.objects.create(kind="status", shortcode=shortcode, attempt=attempt)
    cases.open_case("overdue", "Look.", disbursement=disbursement)
    Event.objects.create(connection=connection, form="native", body="{}")
    stopping.stop(by="amina", reason="For a test.")
    audit.record("approved", by="amina")
    Heartbeat.objects.create(name="sweep", at=timezone.now(), took_ms=1)
    SettingsChange.objects.create(
        partner=connection.partner, kind="partner", difference=[], reason="So.",
        proposal=CANARY, proposed_by=disbursement.requested_by,
    )  # fmt: skip
    Membership.objects.create(user=disbursement.requested_by, role=Role.AUDITOR)


def url(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_page_opens(admin_client, everything, model):
    pages = [url(model, "changelist"), url(model, "changelist") + "?q=a&p=0", url(model, "add")]
    row = model._default_manager.first()
    assert row or model._meta.app_label not in OURS
    if row:
        pages += [url(model, page, row.pk) for page in ("change", "history", "delete")]

    answers = {page: admin_client.get(page).status_code for page in pages}

    assert set(answers.values()) <= {200, 403}
    assert answers[pages[0]] == 200


TAKEN_AWAY = ("User", "KillSwitch", "Membership")
KEPT = [m for m in MODELS if m._meta.app_label in OURS and m.__name__ not in TAKEN_AWAY]


@pytest.mark.parametrize("model", KEPT, ids=lambda model: model._meta.label)
def test_nothing_is_deleted_there(admin_client, everything, model):
    row = model._default_manager.first()

    assert admin_client.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    admin_client.post(
        url(model, "changelist"),
        {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
    )

    assert model._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize(
    "model",
    [m for m in KEPT if m._meta.app_label != "partners"],
    ids=lambda model: model._meta.label,
)
def test_what_happened_is_not_changed_there(admin_client, everything, model):
    row = model._default_manager.first()

    assert admin_client.post(url(model, "change", row.pk), {}).status_code == 403


IN_THE_PORTAL = [Partner, MifosConnection, MpesaShortcode, SettingsChange]


@pytest.mark.parametrize("model", IN_THE_PORTAL, ids=lambda model: model._meta.label)
def test_settings_are_neither_added_nor_changed_there_and_lead_to_the_portal(
    admin_client, everything, model
):
    """There no second person would be asked."""
    row = model._default_manager.first()

    assert admin_client.post(url(model, "add"), {"name": "Umoja"}).status_code == 403
    assert admin_client.post(url(model, "change", row.pk), {"name": "Umoja"}).status_code == 403
    assert 'href="/partners/pamoja/"' in admin_client.get(url(model, "change", row.pk)).text


@pytest.mark.lesson(15)
@pytest.mark.parametrize("model", IN_THE_PORTAL, ids=lambda model: model._meta.label)
def test_no_secret_nor_its_hash_is_shown_there(admin_client, everything, model):
    row = model._default_manager.first()
    hidden = [field.name for field in model._meta.fields if is_secret(field)]

    page = admin_client.get(url(model, "change", row.pk)).text

    for name in hidden:
        assert f"field-{name}" not in page
        assert not getattr(row, name) or str(getattr(row, name)) not in page


@pytest.mark.parametrize(
    "model", [Disbursement, Case, MpesaShortcode], ids=lambda model: model._meta.label
)
def test_nothing_is_decided_there(admin_client, everything, model, rf, admin_user):
    """The portal asks for the right, the sum and a reason; this would be a way around it."""
    request = rf.get("/")
    request.user = admin_user

    assert set(admin.site._registry[model].get_actions(request)) <= {"delete_selected"}


def test_only_superusers_give_the_platforms_roles(client, amina, db):
    amina.is_staff = True
    amina.save()
    amina.user_permissions.set(Permission.objects.filter(codename__endswith="_membership"))
    client.force_login(amina)

    answer = client.post("/admin/partners/membership/add/", {"user": amina.pk, "role": "auditor"})

    assert answer.status_code == 403 and not Membership.objects.exists()
