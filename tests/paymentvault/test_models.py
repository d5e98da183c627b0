"""What the shared rows say of themselves."""

from django.contrib.auth import get_user_model
from django.utils import timezone

from paymentvault.models import Heartbeat, User


def test_staff_are_our_own_users_from_the_first_migration():
    assert get_user_model() is User


def test_a_heartbeat_tells_its_sweeper_and_time():
    at = timezone.now().replace(hour=9, minute=5, second=7)

    assert str(Heartbeat(name="sweep_events", at=at)) == "sweep_events at 09:05:07"
    assert str(Heartbeat(name="sweep_events")) == "sweep_events, never yet"
