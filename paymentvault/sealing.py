"""Text encrypted with FERNET_KEYS, for what isn't a field of its own."""

from fernet_fields import EncryptedTextField


def seal(text: str) -> str:
    return str(EncryptedTextField().fernet.encrypt(text.encode()).decode())


def unseal(sealed: str) -> str:
    """Raises cryptography's InvalidToken if none of the keys reads it."""
    return str(EncryptedTextField().fernet.decrypt(sealed.encode()).decode())
