"""What a site holds: its key, its certificate, the root it trusts, and perhaps an authority."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Self

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from van.errors import CertificateError, StorageError
from van.files import write_atomic
from van.tls.authority import Authority
from van.tls.documents import Document, encode_document, load_document
from van.tls.grants import FULL, SITE_LIFETIME
from van.tls.identity import SiteIdentity, read_chain
from van.tls.keys import SIGNATURE, generate_key, make_request
from van.tls.pem import decode_chain, decode_key, decode_root, encode_chain, encode_key

MAX_FILE: Final = 256 * 1024
"""Largest identity file in bytes: two chains of the largest certificates fit."""
HEADER: Final = """\
# Keys and certificates of the van site {site!r}.
# SECRET: whoever has this file is this site. It is replaced as a whole; don't edit it.

"""


class _AuthorityTable(Document, frozen=True, kw_only=True):
    key: str
    certificates: str
    """From the authority's own upward; empty for the root."""


class _IdentityFile(Document, frozen=True, kw_only=True):
    version: Literal[1]
    key: str
    certificates: str
    """From the site's own upward, without the root."""
    root: str
    authority: _AuthorityTable | None = None


@attrs.frozen(repr=False)
class Credentials:
    """The keys and certificates of one site.

    Raises `CertificateError` when they don't fit each other. Validity in time is not part of that:
    a router whose certificate has expired must be able to start and say so.
    """

    key: ec.EllipticCurvePrivateKey = attrs.field(eq=False)
    chain: tuple[bytes, ...]
    """DER certificates from the site's own upward, without the root."""
    root: x509.Certificate
    authority: Authority | None = None
    identity: SiteIdentity = attrs.field(init=False)
    """Who the chain says this site is."""

    @identity.default
    def _identify(self) -> SiteIdentity:
        identity = read_chain(self.chain, self.root)
        if not isinstance(identity, SiteIdentity):
            raise CertificateError("a token's certificate is not a site's")
        if identity.public_key != self.key.public_key():
            raise CertificateError("site's certificate is for another key")
        if self.authority is not None and self.authority.root != self.root:
            raise CertificateError("authority is of another VAN")
        return identity

    @classmethod
    def create(
        cls, site: str, *, life: timedelta = SITE_LIFETIME, now: datetime | None = None
    ) -> Self:
        """Make a VAN of one site, which holds the root and may do everything.

        Its certificates are good for so long, and those of others unless their tokens say more.
        """
        authority = Authority.create_root(now=now)
        key, grants = generate_key(), attrs.evolve(FULL, life=life)
        chain = authority.issue_site(
            make_request(key), site=site, grants=grants, now=now, is_own=True
        )
        return cls(key, chain, authority.root, authority)

    @classmethod
    def joined(
        cls,
        key: ec.EllipticCurvePrivateKey,
        chain: tuple[bytes, ...],
        root: x509.Certificate,
        ca_key: ec.EllipticCurvePrivateKey | None = None,
        ca_chain: tuple[bytes, ...] = (),
    ) -> Self:
        """Return what a site holds that was let in, with an authority if it may invite.

        That the root is the one that the token names is for the caller to know.
        """
        authority = Authority(ca_key, ca_chain, root) if ca_key and ca_chain else None
        return cls(key, chain, root, authority)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a site's file, or raise `StorageError` that names it; an expired one is read too."""
        file = load_document(path, _IdentityFile, limit=MAX_FILE)
        try:
            root = decode_root(file.root)
            authority = _decode_authority(file.authority, root) if file.authority else None
            return cls(decode_key(file.key), decode_chain(file.certificates), root, authority)
        except CertificateError as exc:
            raise StorageError(f"file {path} is damaged: {exc}") from exc

    def save(self, path: Path) -> None:
        """Replace a site's file as a whole, so that a crash leaves the old or the new identity."""
        file = _IdentityFile(
            version=1,
            key=encode_key(self.key),
            certificates=encode_chain(self.chain),
            root=self.root.public_bytes(Encoding.PEM).decode(),
            authority=_encode_authority(self.authority) if self.authority else None,
        )
        text = HEADER.format(site=self.site) + encode_document(file)
        write_atomic(path, text.encode(), mode=0o600)

    def with_chain(self, chain: tuple[bytes, ...], *, ca_chain: tuple[bytes, ...] = ()) -> Self:
        """Return the same site with renewed certificates; no `ca_chain` keeps the authority as is.

        Raises `CertificateError` for a chain that is not this site's.
        """
        authority = self.authority
        if ca_chain:
            if authority is None or authority.is_lasting:
                raise CertificateError("renewed an authority that this site does not hold")
            authority = attrs.evolve(authority, chain=ca_chain)
        renewed = attrs.evolve(self, chain=chain, authority=authority)
        roots = renewed.identity.roots
        if authority is not None and authority.roots != roots:
            # It rests on a root that has a successor, or is that root.
            renewed = attrs.evolve(renewed, authority=None)
        if renewed.site != self.site:
            raise CertificateError(f"renewed certificate names site {renewed.site!r}, not this one")
        return renewed

    def with_authority(self, authority: Authority, *, now: datetime | None = None) -> Self:
        """Return the same site, under the same key, as the holder of a root, or of an authority
        that the root has granted; its certificate is of that, and may do everything."""
        former = self.identity if authority.van_id == self.van_id else None
        full = attrs.evolve(FULL, life=self.identity.grants.life)
        chain = authority.issue_site(
            make_request(self.key),
            site=self.site,
            grants=former.grants.union(full) if former else full,
            first_issued=former.first_issued if former else None,
            now=now,
            is_own=True,
        )
        return attrs.evolve(self, chain=chain, root=authority.root, authority=authority)

    @property
    def van_id(self) -> str:
        """Return the id of the VAN."""
        return self.identity.van_id

    @property
    def site(self) -> str:
        """Return the site's name."""
        return self.identity.site

    def sign(self, message: bytes) -> bytes:
        """Sign a message as this site; `SiteIdentity.verify` checks it."""
        return self.key.sign(message, SIGNATURE)

    def __repr__(self) -> str:
        until = self.identity.not_after
        return f"<Credentials {self.site!r} of {self.van_id} until {until:%F %TZ}>"


def read_identity(path: Path) -> SiteIdentity:
    """Return who a site's file says it is, whose keys are left alone; raise `StorageError`."""
    file = load_document(path, _IdentityFile, limit=MAX_FILE)
    try:
        identity = read_chain(decode_chain(file.certificates), decode_root(file.root))
    except CertificateError as exc:
        raise StorageError(f"file {path} is damaged: {exc}") from exc
    if not isinstance(identity, SiteIdentity):
        raise StorageError(f"file {path} is damaged: its certificate is not a site's")
    return identity


def _encode_authority(authority: Authority) -> _AuthorityTable:
    return _AuthorityTable(
        key=encode_key(authority.key), certificates=encode_chain(authority.chain)
    )


def _decode_authority(table: _AuthorityTable, root: x509.Certificate) -> Authority:
    return Authority(decode_key(table.key), decode_chain(table.certificates), root)
