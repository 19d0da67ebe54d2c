"""The VAN's roots: the first one, by whose key the VAN is known, and those that succeeded it.

A root makes the next one its successor by a certificate in the form of a root of the same VAN.
These certificates stand at the upper end of every chain that rests on the successor, so that
whoever trusts the first root believes the newest. Which of them were put out is in
`van.tls.expulsion`.
"""

import functools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Self

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from van.errors import CertificateError
from van.tls.forms import (
    CLOCK_SKEW,
    MAX_ROLLS,
    Issuer,
    Window,
    build_certificate,
    check_form,
    check_issued_by,
)
from van.tls.keys import fingerprint
from van.tls.subject import Kind, Subject, key_of, van_id_of

ROOT_LIFETIME: Final = timedelta(days=3652)
"""Ten years: by then another root has to be its successor."""


@attrs.frozen
class Roots:
    """Roots of a VAN of which each has made the next its successor, from the first to one that
    something rests on."""

    keys: tuple[str, ...]
    """Hexadecimal SHA-256 of each one's key."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def newest(self) -> str:
        """Return the key of the one at the end."""
        return self.keys[-1]

    @property
    def former(self) -> tuple[str, ...]:
        """Return the keys of those that have a successor here."""
        return self.keys[:-1]

    @property
    def previous(self) -> Self:
        """Return these without the newest; there has to be an older one."""
        return attrs.evolve(self, keys=self.former)

    def successor_of(self, key: str) -> str:
        """Return which root succeeded one here; empty for the newest, and for a key of none."""
        return self.keys[self.keys.index(key) + 1] if key in self.former else ""

    def starts_with(self, others: Self) -> bool:
        """Tell whether these are the others, perhaps with successors of their newest."""
        return self.keys[: len(others)] == others.keys

    def agrees_with(self, others: Self) -> bool:
        """Tell whether no root has one successor here and another one there."""
        return self.starts_with(others) or others.starts_with(self)


@attrs.frozen
class RootedChain:
    """A chain of authorities, cut where its roots begin."""

    van_id: str
    roots: Roots
    """Those of the chain, after the VAN's first."""
    newest: x509.Certificate
    """The certificate of the last of these, which has issued the next below."""
    below: tuple[x509.Certificate, ...]
    """Certificates below the roots, the lowest first; nothing of them is verified."""


def certify_root(
    van_id: str, key: ec.EllipticCurvePublicKey, *, issuer: Issuer, at: datetime
) -> x509.Certificate:
    """Return a certificate of a root of a VAN, signed by itself or by the one that it succeeds."""
    return build_certificate(
        Subject(van_id, Kind.ROOT),
        key,
        issuer=issuer,
        window=Window(at - CLOCK_SKEW, at + ROOT_LIFETIME),
        grants=None,
    )


@functools.lru_cache(maxsize=16)
def check_root(root: x509.Certificate) -> str:
    """Return the VAN id that follows from a root, or raise `CertificateError`.

    Whether to trust it is for the caller to know, by the id or by where it came from.
    """
    van_id = van_id_of(root)
    check_issued_by(root, root)
    subject = check_form(root)
    if subject != Subject(van_id, Kind.ROOT):
        raise CertificateError(f"root certificate {subject.uri} is not that of VAN {van_id}")
    return van_id


def read_roots(certificates: Sequence[x509.Certificate], root: x509.Certificate) -> RootedChain:
    """Verify the roots at the upper end of a chain, whether or not they are valid now.

    The chain is without the VAN's first root. Raises `CertificateError`.
    """
    van_id = check_root(root)
    newest, keys = root, [fingerprint(key_of(root))]
    left = list(certificates)
    while left and _is_successor(van_id, left[-1], newest, keys):
        newest = left.pop()
        keys.append(fingerprint(key_of(newest)))
    if len(keys) > MAX_ROLLS + 1:
        raise CertificateError(f"chain of {len(keys)} roots: up to {MAX_ROLLS + 1} are right")
    return RootedChain(van_id, Roots(tuple(keys)), newest, tuple(left))


def _is_successor(
    van_id: str, certificate: x509.Certificate, former: x509.Certificate, keys: Sequence[str]
) -> bool:
    """Tell whether a certificate says to be that of a further root; raise `CertificateError` if
    the one before has not made it its successor."""
    if check_form(certificate) != Subject(van_id, Kind.ROOT):
        return False
    check_issued_by(certificate, former)
    return fingerprint(key_of(certificate)) not in keys
