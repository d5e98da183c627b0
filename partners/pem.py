"""Certificates as staff paste them: read, refused in words, told by their fingerprint."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from django.core.exceptions import ValidationError


def certificates(pem: str) -> list[x509.Certificate]:
    """One or more certificates, or a ValidationError."""
    if "PRIVATE KEY" in pem:
        raise ValidationError("This holds a private key. Give only certificates.")
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise ValidationError(
            "This is not a PEM certificate: the text from -----BEGIN CERTIFICATE----- to "
            "-----END CERTIFICATE-----, whole."
        ) from error


def rsa_certificate(pem: str) -> x509.Certificate:
    """The one certificate that a password is encrypted for, or a ValidationError."""
    found = certificates(pem)
    if len(found) != 1:
        raise ValidationError("Give one certificate, not several.")
    if not isinstance(found[0].public_key(), RSAPublicKey):
        raise ValidationError("This certificate's key is not RSA, as Safaricom's are.")
    return found[0]


def fingerprints(pem: str) -> str:
    """The SHA-256 of each certificate, as browsers and openssl show it."""
    try:
        return ", ".join(cert.fingerprint(SHA256()).hex(":").upper() for cert in certificates(pem))
    except ValidationError:
        return "unreadable"
