"""Every page of the admin opens, nothing is deleted there, and each change is in the audit."""

import pytest
from django.contrib import admin
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from disbursements import cases
from disbursements.models import Callback, Inquiry, Transition
from mifos.models import Event
from partners.models import Membership, MifosConnection, MpesaShortcode, Partner, Role
from paymentvault import audit, stopping
from paymentvault.models import AuditEvent, Heartbeat
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


def post(admin_client, form):
    """Send a form of ours as the admin's page would; it must be taken."""
    row, data = form.instance, {k: v for k, v in form.data.items() if v is not False}
    if row._state.adding:
        data |= {"partner": row.partner_id} if hasattr(row, "partner_id") else {}
        page = url(type(row), "add")
    else:
        page = url(type(row), "change", row.pk)
    answer = admin_client.post(page, data)
    assert answer.status_code == 302, answer.context["errors"]


def last():
    return AuditEvent.objects.first()


def test_adding_a_partner_is_in_the_audit(admin_client, partner_form):
    post(admin_client, partner_form(instance=Partner(), max_amount="150000"))

    line = last()
    assert (line.act, line.actor, line.subject) == ("partner added", "admin", "Umoja")
    assert (line.partner_code, line.source_address) == ("umoja", "127.0.0.1")
    assert line.detail["max_amount"] == {"from": None, "to": "150000"}


def test_changing_a_limit_tells_old_and_new(admin_client, partner_form, lender):
    Partner.objects.update(max_amount=100)
    lender.refresh_from_db()

    post(admin_client, partner_form(lender, name=lender.name, code="pamoja", max_amount="90000",
                                    is_automatic=True))  # fmt: skip

    assert last().act == "partner changed"
    assert last().detail == {"max_amount": {"from": "100.00", "to": "90000"}}


def test_changing_a_connection_tells_what_and_that_it_must_be_tested_again(
    admin_client, mifos_form, connection
):
    post(admin_client, mifos_form(connection, host_url="https://new.test"))

    detail = last().detail
    assert detail["host_url"] == {"from": connection.host_url, "to": "https://new.test"}
    assert (detail["password"], detail["proof"]) == ("changed", "void")
    assert not MifosConnection.objects.get().is_on


@pytest.mark.lesson(15)
def test_secrets_are_set_there_and_in_the_audit_only_as_changed(
    admin_client, mpesa_form, shortcode
):
    post(admin_client, mpesa_form(shortcode))

    assert MpesaShortcode.objects.get().consumer_key == f"{CANARY}-key"
    changed = {k for k, v in last().detail.items() if v == "changed"}
    assert changed == {"consumer_key", "consumer_secret", "initiator_password"}
    assert CANARY not in str(last().detail)


def test_a_secret_left_empty_is_kept_and_not_told(admin_client, mpesa_form, shortcode):
    empty = dict.fromkeys(("consumer_key", "consumer_secret", "initiator_password"), "")

    post(admin_client, mpesa_form(shortcode, **empty, is_default=False))

    row = MpesaShortcode.objects.get()
    assert (row.consumer_key, row.is_default) == ("key", False)
    assert set(last().detail) == {"base_url_override", "is_default", "proof"}


def test_a_new_shortcode_belongs_to_the_partner_that_was_chosen(admin_client, mpesa_form, lender):
    post(admin_client, mpesa_form(shortcode="600123"))

    assert MpesaShortcode.objects.get().partner == lender
    assert last().detail["partner"]["to"] == lender.name


def test_a_connection_stays_with_its_partner(admin_client, mifos_form, connection, lender):
    umoja = Partner.objects.create(name="Umoja", code="umoja")

    page = url(MifosConnection, "change", connection.pk)
    admin_client.post(page, {**mifos_form(connection).data, "partner": str(umoja.pk)})

    assert MifosConnection.objects.get().partner == lender


@pytest.mark.django_db(transaction=True)
def test_a_change_whose_line_cannot_be_written_does_not_happen(
    admin_client, partner_form, monkeypatch
):
    def fails(*args, **kwargs):
        assert transaction.get_connection().in_atomic_block
        raise RuntimeError

    monkeypatch.setattr(audit, "record", fails)

    with pytest.raises(RuntimeError):
        post(admin_client, partner_form(instance=Partner()))

    assert not Partner.objects.exists()
