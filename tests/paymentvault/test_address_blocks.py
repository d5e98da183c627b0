"""What counts as one caller: an address, or of IPv6 the block that every line is given."""

import pytest
from django.core.cache import caches

from paymentvault.addresses import block_of
from paymentvault.api import limits


@pytest.mark.parametrize(
    "address, block",
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:0:1:a:b:c:d", "2001:db8:0:1::"),
        ("2001:db8:0:2::1", "2001:db8:0:2::"),
        ("::", "::"),
        ("a key's hash", "a key's hash"),
    ],
)
def test_a_block_is_what_one_caller_commands(address, block):
    assert block_of(address) == block


def test_limits_count_a_block_as_one(settings, monkeypatch):
    here = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "blocks"}
    settings.CACHES = settings.CACHES | {"limits": here}
    settings.WEBHOOK_STRANGERS_PER_MINUTE = 2
    monkeypatch.setattr(limits, "_resting_until", 0.0)
    monkeypatch.setattr(limits.time, "time", lambda: 60.0)
    caches["limits"].clear()
    for n in (1, 2):
        limits.count(limits.STRANGERS, f"2001:db8:0:1::{n}")

    with pytest.raises(limits.TooMany):
        limits.count(limits.STRANGERS, "2001:db8:0:1::3")
    limits.count(limits.STRANGERS, "2001:db8:0:2::1")
