"""Django's sessions in the database: encrypted, and kept under a hash of their key.

A session may hold what a person typed, or a new key. And whoever reads the table can't go on in
somebody's place: the key stands in their cookie alone.
"""

import hashlib
import json
from typing import Any

from allauth.usersessions.models import UserSession
from cryptography.fernet import InvalidToken
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.utils import timezone

from paymentvault import sealing


def kept_as(key: str | None) -> str:
    """What stands in the database for a session's key; "" for none."""
    # As long as the column: 160 of its bits.
    return hashlib.sha256(key.encode()).hexdigest()[:40] if key else ""


class SessionStore(db.SessionStore):
    def encode(self, session_dict: dict[str, Any]) -> str:
        return sealing.seal(json.dumps(session_dict, separators=(",", ":")))

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """What can't be read, such as after a change of keys, is a session of nobody."""
        try:
            decoded: dict[str, Any] = json.loads(sealing.unseal(str(session_data)))
        except (InvalidToken, ValueError):
            return {}
        return decoded

    def exists(self, session_key: str) -> bool:
        return bool(super().exists(kept_as(session_key)))

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        row = super().create_model_instance(data)
        row.session_key = kept_as(row.session_key)
        return row

    def cycle_key(self) -> None:
        """Whatever gave it a new key, it stays the same session in its owner's list."""
        before = kept_as(self.session_key)
        super().cycle_key()
        rows = UserSession.objects.filter(session_key=before)
        rows.update(session_key=kept_as(self.session_key))

    def delete(self, session_key: str | None = None) -> None:
        if kept := kept_as(session_key or self.session_key):
            super().delete(kept)

    def _get_session_from_db(self) -> Session | None:
        rows = Session.objects.filter(expire_date__gt=timezone.now())
        found = rows.filter(session_key=kept_as(self.session_key)).first()
        if found is None:
            # As Django does: a key that nobody was given isn't taken over.
            self._session_key = None
        return found
