"""The project's own settings, with what tests need: plain HTTP on loopback, tasks run in place."""

import os

os.environ.update(
    DEBUG="0",
    TESTING="1",
    SECRET_KEY="only-for-tests-0123456789-abcdefghijklmnopqrstuvwxyz",
    FERNET_KEYS="only-for-tests-9876543210-zyxwvutsrqponmlkjihgfedcba",
    PUBLIC_URL="https://vault.test",
    ALLOWED_HOSTS="*",
    HTTPS_ONLY="0",
    OUTBOUND_ALLOW_PRIVATE="1",
    OUTBOUND_ALLOW_HTTP="1",
    LOG_LEVEL="CRITICAL",
    SECOND_FACTOR="0",
    # Tests are many strangers at one address, and share the counts.
    WEBHOOK_STRANGERS_PER_MINUTE="1000000",
)

from paymentvault.settings import *  # noqa: E402, F403

CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
# A test with transactions of its own empties all tables behind itself.
DATABASES["default"]["OPTIONS"]["options"] = "-c paymentvault.may_truncate=on"  # noqa: F405
