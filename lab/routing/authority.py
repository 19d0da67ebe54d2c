"""A light, deterministic stand-in for certificates, which can really tell a forgery.

A key's secret never leaves the authority: whoever has only messages can't sign as another.
"""

import hashlib
from collections.abc import Iterable

import attrs
import msgspec

from van.errors import CertificateError
from van.names import pattern_matches
from van.routing.database.keyring import Origin


class Certificate(msgspec.Struct, frozen=True, array_like=True):
    site: str
    key: str
    expose: tuple[str, ...]
    bind: tuple[str, ...]
    depth: int = 0
    first_issued: float | None = None


class Authority:
    """Issues certificates, signs for the keys that it knows, and checks both."""

    def __init__(self, name: str = "test") -> None:
        self._secret = name.encode()
        self._keys = 0
        self._key_secrets: dict[str, bytes] = {}
        self._certificates: dict[tuple[bytes, ...], Certificate] = {}
        """Chains that have been found genuine: in a large network each is checked by every site."""
        self.invalid: set[str] = set()
        """Keys whose certificates are not valid at present."""
        self.latest_incarnation = 2**31
        """The highest incarnation that sites believe."""
        self.expelled: set[str] = set()
        """Keys of sites that were put out."""

    def issue(
        self,
        site: str,
        *,
        expose: Iterable[str] = ("*",),
        bind: Iterable[str] = ("*",),
        depth: int = 0,
        first_issued: float | None = None,
    ) -> "SiteKeyring":
        self._keys += 1
        keyring = SiteKeyring(self, site, f"{site}#{self._keys}", depth, first_issued)
        keyring.renew(expose=expose, bind=bind)
        return keyring

    def mac(self, key: str, message: bytes) -> bytes:
        secret = self._key_secrets.get(key)
        if secret is None:
            secret = hashlib.blake2b(key.encode(), key=self._secret, digest_size=32).digest()
            self._key_secrets[key] = secret
        return hashlib.blake2b(message, key=secret, digest_size=16).digest()

    def certificate(self, chain: tuple[bytes, ...]) -> Certificate | None:
        """Return what a chain certifies, or None if it was not issued here."""
        found = self._certificates.get(chain)
        if found is None and len(chain) == 2 and self.mac("ca", chain[0]) == chain[1]:
            found = msgspec.msgpack.decode(chain[0], type=Certificate)
            self._certificates[chain] = found
        return found


class SiteKeyring:
    """A site's key and chain; implements `van.routing.database.keyring.Keyring`."""

    def __init__(
        self,
        authority: Authority,
        site: str,
        key: str,
        depth: int = 0,
        first_issued: float | None = None,
    ) -> None:
        self._claim = depth, first_issued
        self.site = site
        self.key = key
        self._authority = authority
        self._chain: tuple[bytes, ...] = ()
        self.identified = 0
        """How many chains have been checked."""
        self.verified = 0
        """How many signatures have been checked."""

    def renew(self, *, expose: Iterable[str] = ("*",), bind: Iterable[str] = ("*",)) -> None:
        certificate = msgspec.msgpack.encode(
            Certificate(self.site, self.key, tuple(expose), tuple(bind), *self._claim)
        )
        self._chain = (certificate, self._authority.mac("ca", certificate))

    def chain(self) -> tuple[bytes, ...]:
        return self._chain

    def authority(self) -> None:
        return None

    def sign(self, message: bytes) -> bytes:
        return self._authority.mac(self.key, message)

    def proof(self) -> "KnownSite":
        """Return what the other end of a connection learns of this site."""
        certificate = self._authority.certificate(self._chain)
        assert certificate is not None
        return KnownSite(self._authority, certificate, self)

    def admitted(self, origin: Origin) -> None:
        pass  # nobody is remembered here

    def latest_incarnation(self) -> int:
        return self._authority.latest_incarnation

    def identify(self, origin: str, chain: tuple[bytes, ...]) -> "KnownSite":
        self.identified += 1
        certificate = self._authority.certificate(chain)
        if certificate is None:
            raise CertificateError(f"the chain of {origin!r} was not issued by this authority")
        if certificate.site != origin:
            raise CertificateError(f"the chain of {origin!r} names {certificate.site!r}")
        return KnownSite(self._authority, certificate, self)


@attrs.frozen
class KnownSite:
    """Implements `van.routing.database.keyring.Origin`."""

    _authority: Authority
    _certificate: Certificate
    _owner: SiteKeyring

    @property
    def key_id(self) -> str:
        return self._certificate.key

    @property
    def depth(self) -> int:
        return self._certificate.depth

    @property
    def first_issued(self) -> float:
        if self._certificate.first_issued is not None:
            return self._certificate.first_issued
        return float(self._certificate.key.rpartition("#")[2])

    def verify(self, signature: bytes, message: bytes) -> bool:
        self._owner.verified += 1
        return self._authority.mac(self._certificate.key, message) == signature

    def may_expose(self, address: str) -> bool:
        return any(pattern_matches(pattern, address) for pattern in self._certificate.expose)

    def may_bind(self, address: str) -> bool:
        return any(pattern_matches(pattern, address) for pattern in self._certificate.bind)

    def is_valid(self) -> bool:
        return self._certificate.key not in self._authority.invalid

    def is_expelled(self) -> bool:
        return self._certificate.key in self._authority.expelled
