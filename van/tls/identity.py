"""What a chain of certificates proves: which site, or which token, the other side is."""

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from van.errors import CertificateError, CertificateExpired, CertificateNotYetValid
from van.tls.forms import (
    MAX_CHAIN,
    MAX_ROLLS,
    check_form,
    check_issued_by,
    load_certificate,
    read_first_issued,
    read_grants,
    read_holds_root,
    window_of,
)
from van.tls.grants import FULL, Grants
from van.tls.keys import fingerprint, is_signed
from van.tls.roots import Roots, check_root, read_roots
from van.tls.subject import Kind, Subject, key_of

CACHED_CHAINS: Final = 1024
"""Verified chains kept, so that a site's channels verify its chain once; some 2 MB when full."""


@attrs.frozen
class IssuingAuthority:
    """An authority that a certificate rests on."""

    site: str
    """Whose it is."""
    key: str
    """Hexadecimal SHA-256 of its key."""
    issued_at: datetime
    """When its certificate was issued, by the clock of who did."""
    first_issued: datetime
    """When its first certificate was issued, no earlier than that of the authority above."""
    is_granted: bool = False
    """Whether it is second to the root, and not a level below."""


@attrs.frozen(repr=False)
class SiteIdentity:
    """A site, as its certificate names it."""

    van_id: str
    site: str
    grants: Grants
    chain: tuple[bytes, ...]
    """From the site's certificate upward, without the root."""
    certificate: x509.Certificate
    authorities: tuple[IssuingAuthority, ...]
    """What the certificate rests on below the root, the nearest first."""
    first_issued: datetime
    """When its first certificate was issued, no earlier than that of the authority above."""
    roots: Roots
    """The VAN's roots to the one that the certificate rests on."""
    holds_root: bool = False
    """Whether the site holds that root, which says so."""
    public_key_fingerprint: str = attrs.field(init=False)
    """Hexadecimal SHA-256 of the key: the same after a renewal."""
    not_after: datetime = attrs.field(init=False)
    """When the site's certificate expires; no property, as each flow asks."""

    @public_key_fingerprint.default
    def _fingerprint(self) -> str:
        return fingerprint(self.public_key)

    @not_after.default
    def _not_after_default(self) -> datetime:
        return self.certificate.not_valid_after_utc

    @property
    def issuers(self) -> tuple[str, ...]:
        """Return the sites of these authorities."""
        return tuple(each.site for each in self.authorities)

    @property
    def depth(self) -> int:
        """Return how many levels of invitation are between the root and the site."""
        return sum(not each.is_granted for each in self.authorities)

    @property
    def held_level(self) -> int | None:
        """Return how far below the root the authority is that the site was let hold; 0 for one that
        is second to it, None for who holds none, or the root itself."""
        if self.holds_root or not self.grants.can_invite:
            return None
        nearest = self.authorities[0] if self.authorities else None
        if nearest is not None and nearest.is_granted and nearest.site == self.site:
            return 0  # it renews itself
        return self.depth + 1

    @property
    def not_before(self) -> datetime:
        """Return when the site's certificate began to be valid."""
        return self.certificate.not_valid_before_utc

    @property
    def issued_at(self) -> datetime:
        """Return when the site's certificate was issued, by the clock of who did."""
        return window_of(self.certificate).issued_at

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the site's key."""
        return key_of(self.certificate)

    def is_succeeded_by(self, other: "SiteIdentity") -> bool:
        """Tell whether another certificate of the same key was issued after this one."""
        is_same = self.public_key_fingerprint == other.public_key_fingerprint
        return is_same and self.issued_at < other.issued_at

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Tell whether the site's key made a signature of a message."""
        return is_signed(self.public_key, signature, message)

    def may_expose(self, address: str) -> bool:
        """Tell whether the site may expose an address, `name:port`."""
        return self.grants.may_expose(address)

    def may_bind(self, address: str) -> bool:
        """Tell whether the site may bind an address, `name:port`."""
        return self.grants.may_bind(address)

    def __repr__(self) -> str:
        return f"<SiteIdentity {self.site!r} of {self.van_id} until {self.not_after:%F %TZ}>"


@attrs.frozen
class BootstrapIdentity:
    """A token, as its bootstrap certificate names it: good for joining and nothing else."""

    van_id: str
    token_id: str
    not_after: datetime


Identity = SiteIdentity | BootstrapIdentity


def verify_chain(chain: Sequence[bytes], root: x509.Certificate, *, at: datetime) -> Identity:
    """Return whom a chain of DER certificates proves, from the leaf upward and without the root.

    The root is the one this site trusts, and `at` is the time of day. Raises `CertificateError`
    for whatever is not exactly what an authority of this VAN issues: the caller need check no more
    than which of the two identities it got.
    """
    proof = _examine(tuple(chain), root)
    for certificate in proof.certificates:
        check_validity(certificate, at=at)
    return proof.identity


def read_chain(chain: Sequence[bytes], root: x509.Certificate) -> Identity:
    """Return what `verify_chain` does, whether or not the certificates are valid now.

    It is for a site's own files: a router whose certificate has expired must start, and say so.
    """
    return _examine(tuple(chain), root).identity


def check_validity(certificate: x509.Certificate, *, at: datetime) -> None:
    """Raise `CertificateExpired` or `CertificateNotYetValid` unless a well-formed certificate is
    valid at a time."""
    window = window_of(certificate)
    if window.not_before <= at <= window.not_after:
        return
    whose = check_form(certificate).described
    if at > window.not_after:
        raise CertificateExpired(f"{whose} expired at {window.not_after:%F %TZ}")
    raise CertificateNotYetValid(f"{whose} is not valid before {window.not_before:%F %TZ}")


@attrs.frozen
class _Proof:
    """What is true of a chain at any time."""

    identity: Identity
    certificates: tuple[x509.Certificate, ...]
    """Those that have to be valid: up to that of the root that counts."""


@functools.lru_cache(maxsize=CACHED_CHAINS)
def _examine(chain: tuple[bytes, ...], root: x509.Certificate) -> _Proof:
    if not 1 <= len(chain) <= MAX_CHAIN + MAX_ROLLS:
        raise CertificateError(
            f"chain of {len(chain)} certificates: 1 to {MAX_CHAIN + MAX_ROLLS} are right"
        )
    van_id = check_root(root)
    certificates = tuple(map(load_certificate, chain))
    authority = read_authority(certificates[1:], root)
    timely = (certificates[0], *authority.timely)
    leaf = certificates[0]
    check_issued_by(leaf, certificates[1] if len(chain) > 1 else root)
    subject = _subject_in(van_id, leaf)
    if subject.kind is Kind.TOKEN:
        window = window_of(leaf)
        return _Proof(BootstrapIdentity(van_id, subject.name, window.not_after), timely)
    if subject.kind is not Kind.SITE:
        raise CertificateError(f"certificate {subject.uri} is an authority's, not a site's")
    grants = read_grants(leaf, subject)
    _check_narrower(authority.grants, grants, subject)
    _check_name(authority.grants, subject)
    authorities = authority.authorities
    since = _first_issued(leaf, authorities)
    holds_root = read_holds_root(leaf)
    if holds_root and authorities:
        raise CertificateError(f"certificate {subject.uri} says of a root what only that can say")
    identity = SiteIdentity(
        van_id, subject.name, grants, chain, leaf, authorities, since, authority.roots, holds_root
    )
    return _Proof(identity, timely)


@attrs.frozen
class AuthorityProof:
    """What a chain of authorities proves: the grants that it may pass on, and whose it is."""

    grants: Grants
    authorities: tuple[IssuingAuthority, ...]
    """The nearest first, without the root."""
    roots: Roots
    """The VAN's roots to the one that counts here."""
    timely: tuple[x509.Certificate, ...]
    """The certificates that have to be valid, that of this root at the end. Those of roots that
    have a successor need not be: what counts of them was said while they were."""


def read_authority(
    certificates: Sequence[x509.Certificate], root: x509.Certificate
) -> AuthorityProof:
    """Verify authorities from the lowest upward to the root, whether or not they are valid now.

    Each must have been let invite, and grant no more than the one above it. At the upper end there
    may be roots that each have made the one below the successor. No others at all means the root,
    which grants everything. Raises `CertificateError`.
    """
    top = read_roots(certificates, root)
    issuer, limit = top.newest, FULL
    authorities: list[IssuingAuthority] = []
    for certificate in reversed(top.below):
        check_issued_by(certificate, issuer)
        subject = _subject_in(top.van_id, certificate)
        is_granted = subject.kind is Kind.AUTHORITY
        if not (is_granted or subject.kind is Kind.INTERMEDIATE):
            raise CertificateError(f"certificate {subject.uri} may not issue others")
        if is_granted and authorities:
            raise CertificateError(f"certificate {subject.uri} is not issued by the root")
        grants = read_grants(certificate, subject)
        if not grants.can_invite:
            raise CertificateError(f"certificate {subject.uri} was not let invite")
        _check_narrower(limit, grants, subject)
        _check_name(limit, subject)
        issuer, limit = certificate, grants
        key = fingerprint(key_of(certificate))
        issued_at = window_of(certificate).issued_at
        since = _first_issued(certificate, authorities)
        authority = IssuingAuthority(subject.name, key, issued_at, since, is_granted)
        authorities.insert(0, authority)
    if len(authorities) >= MAX_CHAIN:
        raise CertificateError(
            f"chain of {len(authorities)} authorities: up to {MAX_CHAIN - 1} are right"
        )
    return AuthorityProof(limit, tuple(authorities), top.roots, (*top.below, top.newest))


def _first_issued(certificate: x509.Certificate, above: Sequence[IssuingAuthority]) -> datetime:
    """Return when a certificate was first issued, as far as who issued it can say that: nobody was
    let in by an authority before there was one. What the root says is so, and what is said by an
    authority that it has granted."""
    said = read_first_issued(certificate)
    return max(said, above[0].first_issued) if above and not above[0].is_granted else said


def _subject_in(van_id: str, certificate: x509.Certificate) -> Subject:
    subject = check_form(certificate)
    if subject.van_id != van_id:
        raise CertificateError(f"certificate {subject.uri} is of another VAN than {van_id}")
    return subject


def _check_narrower(limit: Grants, grants: Grants, subject: Subject) -> None:
    if not limit.may_grant(grants):
        raise CertificateError(f"certificate {subject.uri} grants more than its issuer may")


def _check_name(limit: Grants, subject: Subject) -> None:
    if not limit.may_give_name(subject.name):
        raise CertificateError(f"certificate {subject.uri} is of a name its issuer may not give")
