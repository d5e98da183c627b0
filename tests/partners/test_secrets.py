"""One scheme for every secret: ciphertext in the database, nothing on a page, keys that rotate."""

import threading

import pytest
from cryptography.fernet import Fernet, MultiFernet
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.db import models as db
from fernet_fields import DecryptionError, EncryptedField, hkdf

from disbursements.models import Inquiry
from partners.models import (
    AccessToken,
    MifosConnection,
    MpesaShortcode,
    SettingsChange,
    WebhookEndpoint,
)
from paymentvault.models import AuditKey, Job
from tests.partners.conftest import CANARY, CREDENTIAL

OLD, NEW, STRANGE = (f"{name}-key-of-a-test-0123456789-abcdefgh" for name in ("old", "new", "odd"))
ENCRYPTED = [
    (model, field)
    for model in apps.get_models()
    for field in model._meta.local_fields
    if isinstance(field, EncryptedField)
]


@pytest.fixture
def use_keys(monkeypatch):
    """Let every encrypted field use these; each keeps its keys from its first use on."""
    fields = [field for _, field in ENCRYPTED]

    def use(*keys):
        fernet = MultiFernet([Fernet(hkdf.derive_fernet_key(key)) for key in keys])
        for field in fields:
            monkeypatch.setitem(field.__dict__, "fernet", fernet)

    return use


def kept(model, column):
    """What stands in a column, byte for byte."""
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT "{column}" FROM "{model._meta.db_table}"')
        return [bytes(row[0]) for row in cursor.fetchall() if row[0] is not None]


def readable_by(key):
    fernet = Fernet(hkdf.derive_fernet_key(key))

    def is_readable(ciphertext):
        try:
            return bool(fernet.decrypt(ciphertext)) or True
        except Exception:
            return False

    return is_readable


def all_ciphertexts():
    return [text for model, field in ENCRYPTED for text in kept(model, field.column)]


@pytest.fixture
def everything(connection, shortcode, sent, amina):
    """A row of each model that has secrets."""
    attempt = sent()
    Inquiry.objects.create(kind="status", shortcode=shortcode, attempt=attempt)
    AuditKey.objects.create()
    AccessToken.objects.create(pk="hash", token=f"{CANARY}-token")
    Job.objects.create(kind="test", title="A test", started_by=amina, given=f"{CANARY}-given")
    WebhookEndpoint.objects.create(
        partner=connection.partner, url="https://core.test", made_by=amina, secret=CANARY,
        previous_secret=f"{CANARY}-before",
    )  # fmt: skip
    SettingsChange.objects.create(
        partner=connection.partner, kind="shortcode", difference=[], reason="So.",
        proposal=f'{{"consumer_key": "{CANARY}"}}', proposed_by=amina,
    )  # fmt: skip
    MifosConnection.objects.update(oauth_client_secret=f"{CANARY}-oauth", password=CANARY)
    MpesaShortcode.objects.update(security_credential=CREDENTIAL, consumer_secret=CANARY)


def test_these_are_all_the_secrets_there_are():
    assert {(model.__name__, field.name) for model, field in ENCRYPTED} == {
        ("MifosConnection", "password"), ("MifosConnection", "oauth_client_secret"),
        ("MifosConnection", "webhook_token"), ("MpesaShortcode", "consumer_key"),
        ("MpesaShortcode", "consumer_secret"), ("MpesaShortcode", "initiator_password"),
        ("MpesaShortcode", "security_credential"), ("AccessToken", "token"),
        ("Attempt", "callback_token"), ("Inquiry", "callback_token"), ("Job", "given"),
        ("WebhookEndpoint", "secret"), ("WebhookEndpoint", "previous_secret"),
        ("SettingsChange", "proposal"), ("AuditKey", "key"),
    }  # fmt: skip


@pytest.mark.lesson(15)
def test_nothing_that_sounds_like_a_secret_is_kept_in_the_clear():
    hushed = ("password", "secret", "token", "credential", "key")
    plain = {
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.local_fields
        if model._meta.app_label in ("paymentvault", "partners", "disbursements", "mifos")
        and isinstance(field, db.CharField | db.TextField)
        and not isinstance(field, EncryptedField)
        and any(word in field.name for word in hushed)
    }

    # An address, a hash of Django's own, hashes that rows are looked up by, and a name for a
    # request, which its sender makes up.
    assert plain == {
        "MifosConnection.oauth_token_url", "User.password", "MifosConnection.webhook_token_hash",
        "MifosConnection.previous_token_hash", "AccessToken.credential_hash",
        "Attempt.callback_token_hash", "Inquiry.callback_token_hash", "ApiRequest.idempotency_key",
    }  # fmt: skip


@pytest.mark.lesson(15)
@pytest.mark.parametrize("model, field", ENCRYPTED, ids=lambda one: getattr(one, "name", ""))
def test_the_column_holds_ciphertext(everything, model, field):
    [ciphertext] = kept(model, field.column)

    value = getattr(model.objects.get(), field.name)
    assert value == "" or value.encode() not in ciphertext
    assert ciphertext.startswith(b"gAAAA")


def test_the_same_secret_twice_looks_different(everything):
    assert kept(MifosConnection, "password") != kept(MpesaShortcode, "consumer_secret")


@pytest.mark.lesson(15)
def test_a_wrong_key_raises_instead_of_returning_ciphertext(everything, use_keys):
    use_keys(STRANGE)

    with pytest.raises(DecryptionError):
        MpesaShortcode.objects.get()


def test_the_first_key_encrypts_and_all_decrypt(use_keys, connection):
    use_keys(OLD)
    MifosConnection.objects.update(password="written with the old key")

    use_keys(NEW, OLD)
    rows = MifosConnection.objects.only("pk", "password")
    assert rows.get().password == "written with the old key"
    MifosConnection.objects.update(password="written with the new key")

    use_keys(NEW)
    assert rows.get().password == "written with the new key"


def test_no_keys_at_all_neither_write_nor_read(settings, lender):
    settings.FERNET_KEYS = []

    class Fresh(type(MifosConnection._meta.get_field("password"))):
        pass

    with pytest.raises(ValueError, match="at least one"):
        Fresh(max_length=9).get_db_prep_save("secret", connection)


@pytest.fixture
def written_with_the_old_key(use_keys, request):
    use_keys(OLD)
    request.getfixturevalue("everything")
    use_keys(NEW, OLD)


def test_rotation_encrypts_every_secret_of_every_model_with_the_first_key(
    written_with_the_old_key, use_keys, capsys
):
    before = [list(model.objects.values()) for model, _ in ENCRYPTED]

    call_command("rotate_fernet_keys")

    assert all(map(readable_by(NEW), all_ciphertexts()))
    assert len(all_ciphertexts()) == len(ENCRYPTED)
    use_keys(NEW)
    assert [list(model.objects.values()) for model, _ in ENCRYPTED] == before
    assert CANARY not in capsys.readouterr().out


def test_rotation_can_be_run_twice(written_with_the_old_key):
    call_command("rotate_fernet_keys", verbosity=0)
    call_command("rotate_fernet_keys", verbosity=0)

    assert all(map(readable_by(NEW), all_ciphertexts()))


def test_what_no_key_reads_is_named_and_the_rest_is_done(everything, use_keys):
    use_keys(STRANGE)
    AccessToken.objects.update(token="written with a lost key")
    use_keys(NEW, "only-for-tests-9876543210-zyxwvutsrqponmlkjihgfedcba")

    with pytest.raises(CommandError, match="partners.AccessToken hash"):
        call_command("rotate_fernet_keys")

    assert all(map(readable_by(NEW), kept(MpesaShortcode, "consumer_secret")))
    assert all(map(readable_by(STRANGE), kept(AccessToken, "token")))


@pytest.mark.django_db(transaction=True)
def test_rotation_while_somebody_edits_a_row_keeps_the_edit(connection):
    editing = threading.Event()

    def edit():
        try:
            with transaction.atomic():
                row = MifosConnection.objects.select_for_update().get()
                editing.set()
                threading.Event().wait(0.3)
                row.password = "typed meanwhile"
                row.save()
        finally:
            connections.close_all()

    editor = threading.Thread(target=edit)
    editor.start()
    editing.wait(5)

    call_command("rotate_fernet_keys", verbosity=0)

    editor.join()
    assert MifosConnection.objects.get().password == "typed meanwhile"


@pytest.fixture
def saved(mifos_form, mpesa_form):
    connection = mifos_form(
        oauth_token_url="https://sso.test/token", oauth_client_id="vault",
        oauth_client_secret=f"{CANARY}-oauth",
    ).save()  # fmt: skip
    return connection, mpesa_form().save()


@pytest.mark.lesson(15)
def test_no_secret_is_on_a_page_of_the_admin(admin_client, saved):
    for row in saved:
        for address in ("", f"{row.pk}/change/", f"{row.pk}/history/"):
            page = admin_client.get(f"/admin/partners/{row._meta.model_name}/{address}")
            assert page.status_code == 200
            assert CANARY not in page.text


@pytest.mark.lesson(15)
def test_nor_in_what_rows_and_forms_say_of_themselves(saved, mifos_form, mpesa_form):
    forms = mifos_form(instance=saved[0]), mpesa_form(instance=saved[1])
    for form in forms:
        form.is_valid()

    said = [str(row) + repr(row) for row in saved] + [form.as_p() for form in forms]
    assert CANARY not in " ".join(said)
