"""Where a request came from, behind no proxy, one or two; and what callers make up."""

import pytest

from paymentvault.addresses import is_within, source_address

SAFARICOM, STRANGER = "196.201.214.200", "203.0.113.7"
INNER = "10.0.0.2"


@pytest.mark.parametrize(
    "proxies, remote, forwarded, seen",
    [
        (0, STRANGER, "", STRANGER),
        (0, STRANGER, SAFARICOM, STRANGER),
        (1, INNER, SAFARICOM, SAFARICOM),
        (1, INNER, f"{SAFARICOM}, {STRANGER}", STRANGER),
        (1, INNER, f"{SAFARICOM},{SAFARICOM},{STRANGER}", STRANGER),
        (2, INNER, f"{STRANGER}, 10.0.0.1", STRANGER),
        (2, INNER, f"{SAFARICOM}, {STRANGER}, 10.0.0.1", STRANGER),
        # Came past the outer proxy: nobody vouches for it.
        (2, INNER, SAFARICOM, None),
        (1, INNER, "", None),
        (1, INNER, "unknown", None),
        (1, INNER, f"{SAFARICOM}, not-an-address", None),
        (1, INNER, f"{SAFARICOM}, '; DROP TABLE", None),
        (1, INNER, f"{SAFARICOM},", None),
        # A server on a Unix socket has no remote address.
        (0, "", "", None),
        (0, "2001:DB8::0:1", "", "2001:db8::1"),
        (0, f"::ffff:{SAFARICOM}", "", SAFARICOM),
        (0, "fe80::1%eth0", "", "fe80::1"),
        (0, "196.201.214.200.1", "", None),
        (0, "0xc4.0xc9.0xd6.0xc8", "", None),
    ],
)
def test_only_what_our_own_proxies_saw_is_believed(rf, settings, proxies, remote, forwarded, seen):
    settings.TRUSTED_PROXIES = proxies
    request = rf.get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded)

    assert source_address(request) == seen


@pytest.mark.parametrize(
    "address, networks, is_in",
    [
        (SAFARICOM, ["196.201.214.0/24"], True),
        (SAFARICOM, ["196.201.212.0/24", SAFARICOM], True),
        (STRANGER, ["196.201.214.0/24"], False),
        (STRANGER, [], False),
        (None, ["0.0.0.0/0"], False),
        ("2001:db8::1", ["2001:db8::/32"], True),
        ("2001:db8::1", ["0.0.0.0/0"], False),
        (SAFARICOM, ["::/0"], False),
    ],
)
def test_an_address_is_in_a_network_or_not(address, networks, is_in):
    assert is_within(address, networks) is is_in
