"""Somebody who may see everything, and things that need them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from paymentvault.models import Heartbeat, User


@pytest.fixture
def sweeping(db: None) -> None:
    """Every sweep ran just now."""
    for name in settings.CELERY_BEAT_SCHEDULE:
        Heartbeat.objects.create(name=name, at=timezone.now(), took_ms=1)


@pytest.fixture
def chege(db: None) -> User:
    """An operations officer: may see and decide everything."""
    user = User.objects.create_user("chege", password="chege")
    apps = ["disbursements", "partners", "mifos"]
    user.user_permissions.set(Permission.objects.filter(content_type__app_label__in=apps))
    return user


@pytest.fixture
def signed_in(client: Client, chege: User, sweeping: None) -> Client:
    client.force_login(chege)
    return client


@pytest.fixture
def since() -> Callable[..., Any]:
    """A moment ago, as long ago as is asked."""
    return lambda **ago: timezone.now() - timedelta(**ago)
