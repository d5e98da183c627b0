"""Every setting is read somewhere, and .env.example names each one."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import global_settings

from partners.models import MifosConnection, MpesaShortcode, Partner
from paymentvault import settings as ours
from paymentvault.settings import BASE_DIR

APPS = ("paymentvault", "partners", "disbursements", "mifos")
# What others read: Django, its CSP, Celery, REST framework, django-structlog, djfernet-redux.
OF_LIBRARIES = ("ROOT_URLCONF", "MESSAGE_TAGS", "CONTENT_SECURITY_POLICY", "CELERY_",
                "REST_FRAMEWORK", "SPECTACULAR_", "DJANGO_STRUCTLOG_", "FERNET_KEYS", "ACCOUNT_",
                "MFA_", "AXES_")  # fmt: skip


def sources(*, without=()):
    """Our code by file, but migrations and the pretend outside world."""
    files = [file for app in APPS for file in (BASE_DIR / app).rglob("*.py")]
    return {
        file: file.read_text()
        for file in files
        if "migrations" not in file.parts
        and "sandbox" not in file.parts
        and file.name not in without
    }


def names_read_from_the_environment():
    tree = ast.parse((BASE_DIR / "paymentvault/settings.py").read_text())
    return [
        call.args[0].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func.value) == "env"
    ]


def test_env_example_names_exactly_what_the_settings_read():
    text = (BASE_DIR / ".env.example").read_text()
    explained = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)

    assert sorted(explained) == sorted(names_read_from_the_environment())


def test_env_example_explains_each():
    blocks = (BASE_DIR / ".env.example").read_text().split("\n\n")
    with_settings = [b for b in blocks if re.search(r"^(?:# )?[A-Z][A-Z0-9_]+=", b, re.MULTILINE)]

    assert all(re.match(r"# \w.*[a-z]", block) for block in with_settings)


OUR_SETTINGS = [
    name
    for name in vars(ours)
    if name.isupper() and not hasattr(global_settings, name) and not name.startswith(OF_LIBRARIES)
]


@pytest.mark.lesson(22)
@pytest.mark.parametrize("name", OUR_SETTINGS)
def test_every_setting_is_read_somewhere(name):
    inside = len(re.findall(rf"\b{name}\b(?!\")", sources()[Path(ours.__file__)]))
    # The API's limits are read by their names.
    read = (f"settings.{name}", f'"{name}"')
    outside = sources(without=["settings.py"])
    elsewhere = [file for file, text in outside.items() if any(words in text for words in read)]

    assert elsewhere or inside > 1


# For people to read, and what Django keeps by itself.
FOR_PEOPLE = {"id", "contact", "created_at", "updated_at"}
FIELDS = [
    (model, field.name)
    for model in (Partner, MifosConnection, MpesaShortcode)
    for field in model._meta.concrete_fields
    if field.name not in FOR_PEOPLE
]


@pytest.mark.lesson(22)
@pytest.mark.parametrize("model, name", FIELDS)
def test_everything_that_staff_set_up_is_read_somewhere(model, name):
    read = re.compile(rf"\.{name}\b|\b{name}(?:__\w+)?=|\"{name}\"")
    where = [
        text for file, text in sources(without=("forms.py", "admin.py")).items()
        if "models" not in file.parts
    ]  # fmt: skip
    models = (BASE_DIR / "partners/models").glob("*.py")
    used_in_models = rf"self\.{name}\b"

    assert any(read.search(text) for text in where) or re.search(
        used_in_models, "".join(path.read_text() for path in models)
    )
