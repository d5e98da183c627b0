"""The pretend Safaricom's key: security credentials are encrypted for its certificate."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Keys:
    private: rsa.RSAPrivateKey
    certificate_pem: str

    def decrypt(self, credential: str) -> bytes | None:
        """Return what the credential holds, or None if it isn't base64 for this key.

        OpenSSL may answer wrong padding with random bytes instead of an error,
        so the caller compares the password either way.
        """
        try:
            sealed = base64.b64decode(credential, validate=True)
            return self.private.decrypt(sealed, padding.PKCS1v15())
        except ValueError:
            return None


def make_keys() -> Keys:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = _self_signed(private).public_bytes(serialization.Encoding.PEM)
    return Keys(private=private, certificate_pem=pem.decode())


@cache
def shared_keys() -> Keys:
    """Return one pair for the process, since making one takes a tenth of a second."""
    return make_keys()


def _self_signed(private: rsa.RSAPrivateKey) -> x509.Certificate:
    # Expired, as both of Safaricom's own certificates have been for years: nobody may check.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "apicrypt.sandbox.invalid")])
    made = datetime(2014, 11, 12, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(made)
        .not_valid_after(made + timedelta(days=730))
        .sign(private, hashes.SHA256())
    )
