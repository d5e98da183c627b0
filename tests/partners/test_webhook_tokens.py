"""The secret in a webhook's address: short enough for Fineract, rotated with both valid."""

import pytest
import time_machine
from django.utils import timezone

from partners import webhook_tokens
from partners.models import MifosConnection
from partners.webhook_tokens import LONGEST_URL, generate, hashed


@pytest.fixture
def known(client, connection):
    """Whether a token is accepted now."""

    def is_known(token):
        return (
            client.get(f"/mifos-webhook/{token}/")
            and (
                client.post(f"/mifos-webhook/{token}/", "{}", content_type="application/json")
            ).status_code
            == 202
        )

    return is_known


def token_of(url):
    return url.rstrip("/").rpartition("/")[2]


def test_the_address_is_short_and_ends_in_a_slash(connection, settings):
    settings.PUBLIC_URL = "https://" + "v" * 52

    url = generate(connection)

    assert len(url) == LONGEST_URL
    assert url.endswith("/")


def test_an_address_too_long_for_fineract_is_refused_and_nothing_changes(connection, settings):
    before = connection.webhook_token_hash
    settings.PUBLIC_URL = "https://" + "v" * 53

    with pytest.raises(ValueError, match="101 characters"):
        generate(connection)

    connection.refresh_from_db()
    assert connection.webhook_token_hash == before


def test_a_host_of_its_own_is_the_whole_address(connection):
    connection.hook_host = "pamoja.vault.test"

    assert generate(connection) == "https://pamoja.vault.test/"


def test_without_a_token_there_is_no_address(lender):
    assert MifosConnection(partner=lender).webhook_url == ""


def test_only_the_hash_is_looked_up(connection):
    token = token_of(generate(connection))

    row = MifosConnection.objects.get(webhook_token_hash=hashed(token))
    assert row.webhook_token == token
    assert token not in str(MifosConnection.objects.values("webhook_token_hash").get())


def test_while_rotating_both_tokens_are_valid_for_a_while(connection, known):
    first = token_of(connection.webhook_url)
    second = token_of(generate(connection))

    assert known(first) and known(second)

    later = timezone.now() + MifosConnection.ROTATION
    with time_machine.travel(later):
        assert not known(first) and known(second)


def test_after_rotating_twice_the_first_token_is_over(connection, known):
    first, second = token_of(connection.webhook_url), token_of(generate(connection))
    third = token_of(generate(connection))

    assert [known(token) for token in (first, second, third)] == [False, True, True]


def test_tokens_differ_and_suit_an_address(connection):
    tokens = {token_of(generate(connection)) for _ in range(20)}

    assert len(tokens) == 20
    assert all(len(token) == 24 and token.replace("-", "").replace("_", "").isalnum()
               for token in tokens)  # fmt: skip


def test_rotating_does_not_undo_what_the_poller_wrote_meanwhile(connection):
    MifosConnection.objects.filter(pk=connection.pk).update(last_error="Gone.", is_on=False)

    generate(connection)

    connection.refresh_from_db()
    assert (connection.last_error, connection.is_on) == ("Gone.", False)


def test_odd_text_is_no_token_and_no_fault():
    assert webhook_tokens.hashed("\ud800") != webhook_tokens.hashed("")
