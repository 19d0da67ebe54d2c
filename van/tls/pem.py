"""Keys and certificates as text."""

from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from van.errors import CertificateError
from van.tls.forms import load_certificate
from van.tls.subject import MALFORMED, check_key


def encode_key(key: ec.EllipticCurvePrivateKey) -> str:
    """Encode a private key as PKCS #8, without a passphrase."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def decode_key(text: str) -> ec.EllipticCurvePrivateKey:
    """Decode a private key, or raise `CertificateError`, which shows nothing of it."""
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateError("private key is malformed") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError("private key is not an ECDSA key on P-256")
    check_key(key.public_key())
    return key


def encode_chain(chain: Iterable[bytes]) -> str:
    """Encode DER certificates one after another."""
    return "".join(
        x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode() for der in chain
    )


def decode_chain(text: str) -> tuple[bytes, ...]:
    """Decode certificates to DER, or raise `CertificateError`; nothing is verified."""
    if not text:
        return ()
    try:
        certificates = x509.load_pem_x509_certificates(text.encode())
    except MALFORMED as exc:
        raise CertificateError(f"certificates are malformed: {exc}") from exc
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates)


def decode_root(text: str) -> x509.Certificate:
    """Decode exactly one certificate, or raise `CertificateError`; nothing is verified."""
    chain = decode_chain(text)
    if len(chain) != 1:
        raise CertificateError(f"{len(chain)} root certificates where one is right")
    return load_certificate(chain[0])
