"""Which authorities there are in a VAN, as far as chains of certificates show them."""

from collections.abc import Sequence
from datetime import datetime

import attrs
from cryptography import x509

from van.tls.forms import load_certificate
from van.tls.grants import FULL, Grants
from van.tls.identity import fingerprint, read_authority
from van.tls.subject import key_of


@attrs.frozen
class HeldAuthority:
    """An authority of the VAN: its root, or one below."""

    site: str
    """Whose certificate says so; empty for the root, whose certificate names no site."""
    key: str
    """Hexadecimal SHA-256 of its key."""
    grants: Grants
    not_after: datetime
    issuer: str
    """Site whose authority is the one above; empty for the root's, and for the root."""


def authorities_of(chain: Sequence[bytes], root: x509.Certificate) -> tuple[HeldAuthority, ...]:
    """Return the authorities of a chain from the lowest upward, the root at the end.

    The chain is an authority's and those above it; whether they are valid now is left alone. Raises
    `CertificateError`.
    """
    certificates = [load_certificate(der) for der in chain]
    found = []
    for depth, certificate in enumerate(certificates):
        proof = read_authority(certificates[depth:], root)
        own, *above = proof.authorities
        issuer = above[0].site if above else ""
        until = certificate.not_valid_after_utc
        found.append(HeldAuthority(own.site, own.key, proof.grants, until, issuer))
    key = fingerprint(key_of(root))
    found.append(HeldAuthority("", key, FULL, root.not_valid_after_utc, ""))
    return tuple(found)
