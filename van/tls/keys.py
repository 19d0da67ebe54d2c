"""Keys on P-256: making one, asking for its certificate, what it has signed, and its hash."""

import hashlib
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from van.errors import CertificateError
from van.tls.subject import MALFORMED, key_bytes, key_of

CURVE: Final = ec.SECP256R1()
SIGNATURE: Final = ec.ECDSA(hashes.SHA256())
MAX_REQUEST: Final = 4096
"""Largest request in bytes; as in messages."""


def generate_key() -> ec.EllipticCurvePrivateKey:
    """Make a key."""
    return ec.generate_private_key(CURVE)


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """Return the hexadecimal SHA-256 of a public key."""
    return hashlib.sha256(key_bytes(key)).hexdigest()


def is_signed(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Tell whether a key made a signature of a message."""
    try:
        key.verify(signature, message, SIGNATURE)
    except InvalidSignature:
        return False
    return True


def make_request(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a DER request for a certificate of this key; who it names is for the issuer to say."""
    request = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.DER)


def read_request(der: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key of a request that proves to hold it, or raise `CertificateError`."""
    if len(der) > MAX_REQUEST:
        raise CertificateError(f"certificate request of {len(der)} bytes is over {MAX_REQUEST}")
    try:
        request = x509.load_der_x509_csr(der)
        key = key_of(request)
        is_genuine = request.is_signature_valid
    except MALFORMED as exc:
        raise CertificateError(f"certificate request is malformed: {exc}") from exc
    if not is_genuine:
        raise CertificateError("certificate request is not signed by its own key")
    return key
