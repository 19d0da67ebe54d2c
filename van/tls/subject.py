"""Whom a certificate names: the VAN, and a site, a token, or an authority in it."""

import base64
import enum
import hashlib
import re
from typing import Final, Self

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from van.errors import CertificateError
from van.names import is_label

VAN_ID_SIZE: Final = 16
"""Bytes of the hash that make the id: finding another key of the same id takes 2**128 tries."""
MALFORMED: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for a certificate or request that it can't parse, now or on access."""
_URI: Final = re.compile(
    r"spiffe://([a-z2-7]{26})(?:/(site|token|ca|authority)/([a-z0-9-]{1,63}))?", re.ASCII
)


class Kind(enum.Enum):
    """What a certificate is for; the value is the first path segment of its URI."""

    ROOT = ""
    AUTHORITY = "authority"
    """Second to the root: made by it, and as near to it as can be."""
    INTERMEDIATE = "ca"
    SITE = "site"
    TOKEN = "token"  # noqa: S105 - a path segment

    @property
    def is_authority(self) -> bool:
        """Tell whether certificates of this kind issue others."""
        return self in (Kind.ROOT, Kind.AUTHORITY, Kind.INTERMEDIATE)


@attrs.frozen
class Subject:
    """Whom a certificate names: `spiffe://VAN/site/NAME`, or `/token/ID`, or `/ca/SITE`.

    The root is named by the VAN alone: `spiffe://VAN`.
    """

    van_id: str
    kind: Kind
    name: str = ""

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read a URI, or raise `CertificateError`."""
        match = _URI.fullmatch(uri)
        if match is None or not (match[3] is None or is_label(match[3])):
            raise CertificateError(f"certificate's URI {uri[:200]!r} is not one of a van site")
        return cls(match[1], Kind(match[2] or ""), match[3] or "")

    @property
    def uri(self) -> str:
        """Return the SPIFFE id."""
        path = "" if self.kind is Kind.ROOT else f"/{self.kind.value}/{self.name}"
        return f"spiffe://{self.van_id}{path}"

    @property
    def described(self) -> str:
        """Return whose certificate it is, for people."""
        match self.kind:
            case Kind.ROOT:
                return f"root certificate of VAN {self.van_id}"
            case Kind.AUTHORITY:
                return f"granted authority of site {self.name!r}"
            case Kind.INTERMEDIATE:
                return f"authority of site {self.name!r}"
            case Kind.SITE:
                return f"certificate of site {self.name!r}"
            case Kind.TOKEN:
                return f"token {self.name!r}"

    @property
    def distinguished_name(self) -> x509.Name:
        """Return the X.509 name, unique to the kind so that no leaf looks self-issued."""
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, self.van_id),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.kind.value or "root"),
                x509.NameAttribute(NameOID.COMMON_NAME, self.name or "root"),
            ]
        )


def van_id_of(root: x509.Certificate) -> str:
    """Return the id of a root's VAN, which follows from the root's key."""
    return van_id_of_key(key_of(root))


def van_id_of_key(key: ec.EllipticCurvePublicKey) -> str:
    """Return the id of the VAN whose root has this key."""
    digest = hashlib.sha256(key_bytes(key)).digest()[:VAN_ID_SIZE]
    return base64.b32encode(digest).decode().rstrip("=").lower()


def key_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key's SubjectPublicKeyInfo in DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_of(
    holder: x509.Certificate | x509.CertificateSigningRequest,
) -> ec.EllipticCurvePublicKey:
    """Return the key that a certificate or request is for, or raise `CertificateError`."""
    try:
        return check_key(holder.public_key())
    except MALFORMED as exc:
        raise CertificateError(f"certificate's key is malformed: {exc}") from exc


def check_key(key: object) -> ec.EllipticCurvePublicKey:
    """Return a public key unchanged, or raise `CertificateError` when it is not on P-256."""
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise CertificateError("certificate's key is not an ECDSA key on P-256")
