"""One access token for all workers, fetched by one of them at a time."""

import threading
import time
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from partners import tokens
from partners.models import AccessToken
from partners.tokens import EARLY, LEASE, TokenStore
from paymentvault.http import NotSent, Refused
from tests.paymentvault.test_sweeping import at_once


class Remote:
    """Hands out a new token each time and counts."""

    def __init__(self, life_s=3599, slow_s=0.0):
        self.life_s, self.slow_s, self.fetched = life_s, slow_s, 0
        self._lock = threading.Lock()

    def fetch(self):
        with self._lock:
            self.fetched += 1
            number = self.fetched
        time.sleep(self.slow_s)
        return f"token-{number}", self.life_s

    def store(self, *credentials):
        return TokenStore(*(credentials or ("https://daraja.test", "key")), fetch=self.fetch)


@pytest.mark.django_db(transaction=True)
def test_twenty_threads_that_ask_at_once_share_one_fetch():
    remote = Remote(slow_s=0.2)

    got = at_once(lambda: remote.store().get(), times=20)

    assert set(got) == {"token-1"}
    assert remote.fetched == 1


@pytest.mark.django_db(transaction=True)
def test_a_token_that_twenty_threads_drop_is_replaced_once():
    remote = Remote(slow_s=0.1)
    refused = remote.store().get()

    def replace():
        remote.store().drop(refused)
        return remote.store().get()

    assert set(at_once(replace, times=20)) == {"token-2"}
    assert remote.fetched == 2


def test_a_newer_token_is_not_dropped_for_an_older_one(db):
    remote = Remote()
    first = remote.store().get()
    remote.store().drop(first)
    second = remote.store().get()

    remote.store().drop(first)

    assert remote.store().get() == second


def test_dropping_what_was_never_kept_does_nothing(db):
    Remote().store().drop("token-9")

    assert not AccessToken.objects.exists()


@pytest.mark.parametrize("before_end_s, fetched", [(EARLY.seconds + 5, 1), (EARLY.seconds - 5, 2)])
def test_a_token_is_replaced_shortly_before_its_end(db, before_end_s, fetched):
    remote = Remote(life_s=3599)
    remote.store().get()

    with time_machine.travel(timezone.now() + timedelta(seconds=3599 - before_end_s)):
        remote.store().get()

    assert remote.fetched == fetched


@pytest.mark.parametrize("life_s", [0, 5, 30, 60])
def test_a_token_of_short_life_serves_briefly_and_is_not_fetched_for_ever(db, life_s):
    remote = Remote(life_s=life_s)

    assert remote.store().get() == "token-1"
    assert remote.store().get() == "token-1"
    with time_machine.travel(timezone.now() + timedelta(seconds=6)):
        assert remote.store().get() == "token-2"


def test_a_fetcher_that_died_holds_the_others_up_for_its_lease(db, monkeypatch):
    monkeypatch.setattr(tokens, "WAIT_S", 0.1)
    remote = Remote()
    assert remote.store()._claim()

    with pytest.raises(NotSent, match="fetching the access token for too long"):
        remote.store().get()
    with time_machine.travel(timezone.now() + LEASE + timedelta(seconds=1)):
        assert remote.store().get() == "token-1"


@pytest.mark.parametrize("error", [NotSent("away"), Refused("bad key")])
def test_a_fetch_that_fails_says_why_and_frees_the_way(db, error):
    def fails():
        raise error

    with pytest.raises(type(error)):
        TokenStore("https://daraja.test", "key", fetch=fails).get()

    assert Remote().store().get() == "token-1"


def test_each_credential_set_has_its_own(db):
    remote = Remote()

    got = {remote.store(*set_of).get() for set_of in (("a", "bc"), ("ab", "c"), ("a", "bc"))}

    assert got == {"token-1", "token-2"}


def test_the_row_gives_nothing_away(db):
    Remote().store("https://daraja.test", "canary").get()

    row = AccessToken.objects.get()
    assert "canary" not in row.pk
    assert str(row) == f"token {row.pk[:8]}"
