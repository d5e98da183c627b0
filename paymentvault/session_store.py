"""Django's sessions in the database, encrypted: one may hold what a person typed, or a new key."""

import json
from typing import Any

from cryptography.fernet import InvalidToken
from django.contrib.sessions.backends import db

from paymentvault import sealing


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
