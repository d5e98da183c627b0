"""Bearer tokens shared by all workers: kept in PostgreSQL, fetched by one at a time.

The lock is a lease in a row, so that no transaction stays open while the remote system is slow.
"""

import hashlib
import time
from collections.abc import Callable
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from partners.models import AccessToken
from paymentvault.http import NotSent

# Refreshed this long before its end, so that it doesn't expire in flight.
EARLY = timedelta(seconds=60)
# A fetcher that died holds the lease this long.
LEASE = timedelta(seconds=45)
WAIT_S = 20.0

Fetch = Callable[[], tuple[str, int]]


class TokenStore:
    """The token of one credential set. `fetch` returns a token and its life in seconds."""

    def __init__(self, *credentials: str, fetch: Fetch) -> None:
        self._key = hashlib.sha256("\x00".join(credentials).encode()).hexdigest()
        self._fetch = fetch

    def get(self) -> str:
        """A token that is valid for a while yet; waits while another worker fetches it."""
        deadline = time.monotonic() + WAIT_S
        while not (token := self._kept()):
            if self._claim():
                return self._fetch_and_keep()
            if time.monotonic() > deadline:
                raise NotSent("Another worker has been fetching the access token for too long.")
            time.sleep(0.05)
        return token

    def drop(self, token: str) -> None:
        """Forget a token that was refused, unless a newer one has already replaced it."""
        row = AccessToken.objects.filter(pk=self._key).first()
        if row and row.token == token:
            AccessToken.objects.filter(pk=self._key, expires_at=row.expires_at).update(
                expires_at=None
            )

    def _kept(self) -> str:
        soon = timezone.now() + EARLY
        row = AccessToken.objects.filter(pk=self._key, expires_at__gt=soon).first()
        return str(row.token) if row else ""

    def _claim(self) -> bool:
        now = timezone.now()
        AccessToken.objects.get_or_create(pk=self._key)
        free = Q(fetching_until__isnull=True) | Q(fetching_until__lt=now)
        stale = Q(expires_at__isnull=True) | Q(expires_at__lte=now + EARLY)
        claimed = AccessToken.objects.filter(free, stale, pk=self._key)
        return bool(claimed.update(fetching_until=now + LEASE))

    def _fetch_and_keep(self) -> str:
        row = AccessToken(pk=self._key)
        try:
            row.token, life_s = self._fetch()
            # A short-lived token is still usable until near its end.
            life = timedelta(seconds=life_s)
            row.expires_at = timezone.now() + max(life, EARLY + timedelta(seconds=5))
            return str(row.token)
        finally:
            row.save()
