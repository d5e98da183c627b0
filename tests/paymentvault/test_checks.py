"""What refuses to start, and what is silent when the settings are right."""

import os
import re
import secrets
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from paymentvault import checks
from paymentvault.settings import BASE_DIR

KEY = "9Yb2mVqL0sTzXc7RkWfUeHd4GjPaN1io"
SETTINGS = {
    "DEBUG": False,
    "SECRET_KEY": KEY,
    "FERNET_KEYS": [KEY],
    "PUBLIC_URL": "https://vault.example.org",
    "HTTPS_ONLY": True,
    "MPESA_CALLBACK_NETWORKS": ["196.201.214.200", "196.201.213.0/24", "2001:db8::/32"],
    "OUTBOUND_ALLOW_PRIVATE": False,
    "OUTBOUND_ALLOW_HTTP": False,
}
ALL = (
    checks.keys_are_set,
    checks.public_url_is_usable,
    checks.callbacks_are_limited_to_their_senders,
    checks.callback_networks_can_be_read,
    checks.requests_go_only_where_they_may,
)


@pytest.fixture
def given(settings):
    """Right settings, with whatever a test changes; returns the ids of what is found."""

    def check(**changes):
        for name, value in (SETTINGS | changes).items():
            setattr(settings, name, value)
        return {problem.id.removeprefix("paymentvault.") for one in ALL for problem in one(None)}

    return check


def test_right_settings_are_met_with_silence(given):
    assert given() == set()
    checks.refuse_unsafe_settings()


@pytest.mark.lesson(15)
@pytest.mark.parametrize("name", ["SECRET_KEY", "FERNET_KEYS"])
@pytest.mark.parametrize(
    "key",
    [
        "", "short", "x" * 60, "development-only-secret-key-" + KEY, "Change-Me-" + KEY,
        "an-example-" + KEY, "django-insecure-" + KEY, KEY[:31],
    ],
)  # fmt: skip
def test_a_missing_short_or_well_known_key_is_refused(given, name, key):
    assert given(**{name: [key] if name == "FERNET_KEYS" else key}) == {"E001"}

    with pytest.raises(ImproperlyConfigured, match=f"{name} is missing, too short or a default"):
        checks.refuse_unsafe_settings()


def test_no_key_at_all_and_a_bad_one_behind_a_good_one_are_refused(given):
    assert given(FERNET_KEYS=[]) == {"E001"}
    assert given(FERNET_KEYS=[KEY, "old"]) == {"E001"}


def test_development_may_have_default_keys(given):
    assert given(DEBUG=True, FERNET_KEYS=["development-only-fernet-key"]) == set()


@pytest.mark.parametrize(
    "changes, found",
    [
        ({"PUBLIC_URL": "http://vault.example.org"}, "E002"),
        ({"PUBLIC_URL": ""}, "E002"),
        ({"PUBLIC_URL": "", "HTTPS_ONLY": False}, "E002"),
        ({"PUBLIC_URL": "https://" + "v" * 60}, "E003"),
        ({"PUBLIC_URL": "https://mpesa.example.org"}, "W004"),
        ({"PUBLIC_URL": "https://MySQL.example.org"}, "W004"),
        ({"MPESA_CALLBACK_NETWORKS": []}, "W005"),
        ({"OUTBOUND_ALLOW_PRIVATE": True}, "W010"),
        ({"OUTBOUND_ALLOW_HTTP": True}, "W010"),
        ({"MPESA_CALLBACK_NETWORKS": ["196.201.214.200/24"]}, "E006"),
        ({"MPESA_CALLBACK_NETWORKS": ["safaricom.co.ke"]}, "E006"),
    ],
)
def test_each_other_fault_is_found(given, changes, found):
    assert given(**changes) == {found}


def test_the_longest_public_url_leaves_room_for_a_hooks_token(given):
    assert given(PUBLIC_URL="https://" + "v" * 52) == set()
    assert given(PUBLIC_URL="https://" + "v" * 53) == {"E003"}


def in_production(*argv, **changes):
    """Run a program of ours with the environment that production would give it."""
    at = connection.settings_dict
    host = at["HOST"] or at["OPTIONS"].get("host", "")
    env = {
        "PATH": os.environ["PATH"],
        "SECRET_KEY": secrets.token_urlsafe(64),
        "FERNET_KEYS": secrets.token_urlsafe(64),
        "PUBLIC_URL": "https://vault.example.org",
        "ALLOWED_HOSTS": "vault.example.org",
        "DATABASE_URL": f"postgresql:///nothing?user={at['USER']}&host={host}",
        "MPESA_CALLBACK_NETWORKS": _networks_of_the_example(),
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, *argv], env=env | changes, cwd=BASE_DIR, timeout=30, text=True,
        capture_output=True, check=False,
    )  # fmt: skip


def _networks_of_the_example():
    text = (BASE_DIR / ".env.example").read_text()
    return re.search(r"^# MPESA_CALLBACK_NETWORKS=(.+)$", text, re.MULTILINE)[1]


def test_a_production_environment_passes_djangos_checks_for_deployment_and_ours():
    ran = in_production("manage.py", "check", "--deploy", "--fail-level", "WARNING")

    assert ran.returncode == 0, ran.stdout + ran.stderr


WEB = ("-m", "gunicorn", "paymentvault.wsgi", "--bind", "127.0.0.1:0", "--no-control-socket")
CELERY = ("-m", "celery", "-A", "paymentvault")


@pytest.mark.lesson(15)
@pytest.mark.parametrize(
    "argv",
    [("manage.py", "check"), WEB, (*CELERY, "worker", "-P", "threads"), (*CELERY, "beat")],
    ids=["manage.py", "web", "worker", "beat"],
)
def test_nothing_starts_in_production_without_a_key(argv):
    ran = in_production(*argv, FERNET_KEYS="")

    assert ran.returncode != 0
    assert "FERNET_KEYS is missing" in ran.stdout + ran.stderr
