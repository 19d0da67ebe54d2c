"""Which authorities there are in a VAN, as far as chains of certificates show them."""

from collections.abc import Sequence
from datetime import datetime

import attrs
from cryptography import x509

from van.errors import CertificateError
from van.tls.forms import load_certificate
from van.tls.grants import FULL, Grants
from van.tls.identity import check_validity, read_authority
from van.tls.roots import Roots


@attrs.frozen
class HeldAuthority:
    """An authority of the VAN: its root, or one below."""

    site: str
    """Whose certificate says so; empty for the root, whose certificate names no site."""
    key: str
    """Hexadecimal SHA-256 of its key."""
    grants: Grants
    not_after: datetime
    is_granted: bool
    """Whether it is second to the root."""
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
        if not proof.authorities:
            break
        own, *above = proof.authorities
        issuer = above[0].site if above else ""
        until = certificate.not_valid_after_utc
        found.append(HeldAuthority(own.site, own.key, proof.grants, until, own.is_granted, issuer))
    proof = read_authority(certificates, root)
    until = proof.timely[-1].not_valid_after_utc
    top = HeldAuthority("", proof.roots.newest, FULL, until, is_granted=False, issuer="")
    found.append(top)
    return tuple(found)


def is_granted_to(
    site: str, chain: Sequence[bytes] | None, root: x509.Certificate, *, at: datetime
) -> bool:
    """Tell whether a chain makes a site's authority second to the root, at a time."""
    if not chain:
        return False
    try:
        certificates = [load_certificate(der) for der in chain]
        proof = read_authority(certificates, root)
        for each in proof.timely:
            check_validity(each, at=at)
    except CertificateError:
        return False
    nearest = proof.authorities[0] if proof.authorities else None
    return nearest is not None and nearest.is_granted and nearest.site == site


@attrs.frozen
class Standing:
    """Where an authority stands."""

    level: int
    """How far below the root; 0 for the root, and for one that is second to it."""
    roots: Roots
    """The VAN's roots to the one that it is, or rests on."""
    is_root: bool


def standing_of(chain: Sequence[bytes] | None, root: x509.Certificate) -> Standing | None:
    """Return where an authority stands that a site says to hold, or None if it is none."""
    if chain is None:
        return None
    try:
        proof = read_authority([load_certificate(der) for der in chain], root)
    except CertificateError:
        return None
    level = sum(not each.is_granted for each in proof.authorities)
    return Standing(level, proof.roots, is_root=not proof.authorities)
