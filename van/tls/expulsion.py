"""Who was put out of the VAN, by whom, and whether that may be.

The root may expel every site but its own, and the roots that it has succeeded; another authority
may expel those whose certificates rest on it. Whether it does is judged when a certificate is
shown: of a statement that an authority has signed, nothing follows for certificates that were
issued elsewhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import attrs
from cryptography import x509

from van.errors import CertificateError, Expelled, NotAllowed, RootReplaced
from van.tls.authority import Authority
from van.tls.forms import load_certificate
from van.tls.identity import IssuingAuthority, SiteIdentity, read_authority
from van.tls.keys import SIGNATURE, fingerprint, is_signed
from van.tls.roots import Roots
from van.tls.subject import key_of
from van.wire.expulsion import MAX_EXPULSIONS, Expulsion, signed_bytes

MAX_OF_AUTHORITY: Final = 1024
"""Statements that count of one authority below the root: it can't fill everybody's disks."""


@attrs.frozen
class Verified:
    """A statement whose signature is an authority's of this VAN."""

    expulsion: Expulsion
    signer: str
    """Fingerprint of the key that signed."""
    by: str
    """Site that holds this authority; empty for the root."""
    roots: Roots
    """The VAN's roots to the one that signed, or that the signer rests on."""

    @property
    def successor(self) -> str:
        """Return the root that counts in the place of one that this says is out; empty where it is
        about a site."""
        return "" if self.by else self.roots.successor_of(self.expulsion.key.hex())

    def is_above(self, authorities: Sequence[IssuingAuthority], roots: Roots | None) -> bool:
        """Tell whether who signed stands above what rests on authorities, and on the last of roots.

        Of roots, each has the power of those that it succeeded, and of those that succeeded it.
        Where no roots are known, any has.
        """
        if self.by:
            return self.signer in [each.key for each in authorities]
        return roots is None or self.roots.agrees_with(roots)

    @property
    def at(self) -> datetime:
        """Return when it was signed, by the clock of who did."""
        return datetime.fromtimestamp(self.expulsion.at, UTC)

    def describe(self) -> str:
        """Return what it says, for people."""
        what = self.expulsion
        if self.successor:
            return f"the root of the VAN was replaced on {self.at:%F %TZ}, by site {what.site!r}"
        by = f"site {self.by!r}" if self.by else "the authority of the VAN"
        reason = f": {what.reason}" if what.reason else ""
        if what.is_forgotten:
            key = what.key.hex()[:16]
            return f"the key {key}… of site {what.site!r} was given up by {by} on {self.at:%F %TZ}"
        return f"site {what.site!r} was expelled by {by} on {self.at:%F %TZ}{reason}"


def sign_expulsion(
    authority: Authority, *, site: str, key: str, at: datetime, reason: str
) -> Expulsion:
    """Return a statement that a site of a key, by its hexadecimal fingerprint, is put out."""
    subject = (site, bytes.fromhex(key), at.timestamp(), reason, authority.chain)
    return Expulsion(*subject, authority.key.sign(signed_bytes(*subject), SIGNATURE))


def sign_forgetting(authority: Authority, *, site: str, key: str, at: datetime) -> Expulsion:
    """Return a statement that a site's key is lost, so that another may have its name."""
    subject = (site, bytes.fromhex(key), at.timestamp(), "", authority.chain)
    signature = authority.key.sign(signed_bytes(*subject, is_forgotten=True), SIGNATURE)
    return Expulsion(*subject, signature, is_forgotten=True)


def sign_replacements(authority: Authority, *, site: str, at: datetime) -> list[Expulsion]:
    """Return the statements that all roots that this one has succeeded are out; `site` holds it."""
    return [
        sign_expulsion(authority, site=site, key=key, at=at, reason="")
        for key in authority.roots.former
    ]


def check_may_expel(
    authority: Authority, site: str, above: Sequence[IssuingAuthority], *, verb: str = "expel"
) -> None:
    """Raise `NotAllowed` unless an authority is among those that a site's certificate rests on."""
    key = fingerprint(authority.key.public_key())
    if not authority.is_root and key not in (each.key for each in above):
        others = (each.site for each in above if each.site != site)  # it can't do that to itself
        where = f"site {nearest!r} or at " if (nearest := next(others, None)) else ""
        raise NotAllowed(
            f"the certificate of site {site!r} does not rest on this site's authority: "
            f"{verb} it at {where}the site that made the VAN"
        )


class ExpulsionList:
    """All statements that a site knows, of one VAN; it only grows."""

    def __init__(self, root: x509.Certificate) -> None:
        self._root = root
        self._replaced: dict[str, Verified] = {}
        """By the key of a root that is out."""
        self._by_id: dict[bytes, Verified] = {}
        self._by_key: dict[str, list[Verified]] = {}
        self._by_site: dict[str, list[Verified]] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Verified]:
        return iter(self._by_id.values())

    def ids(self) -> tuple[bytes, ...]:
        """Return what stands for each."""
        return tuple(self._by_id)

    def but(self, ids: Iterable[bytes]) -> list[Expulsion]:
        """Return those that are not named."""
        named = set(ids)
        return [each.expulsion for id_, each in self._by_id.items() if id_ not in named]

    def add(self, expulsion: Expulsion) -> Verified | None:
        """Take in a statement; return None if it is known, or one too many.

        Raises `CertificateError` if no authority of this VAN has signed it.
        """
        verified = self.examine(expulsion)
        if verified is not None:
            self.put(verified)
        return verified

    def examine(self, expulsion: Expulsion) -> Verified | None:
        """Return what `add` does, and take in nothing."""
        if expulsion.id in self._by_id:
            return None
        verified = self._verify(expulsion)
        if self.replacement(verified.roots) is not None:
            return None  # who stole that root may write any date
        limit = MAX_OF_AUTHORITY if verified.by else MAX_EXPULSIONS
        if self._counts.get(verified.signer, 0) >= limit or len(self) >= MAX_EXPULSIONS:
            return None
        return verified

    def put(self, verified: Verified) -> None:
        """Take in a statement that was examined."""
        expulsion = verified.expulsion
        self._counts[verified.signer] = self._counts.get(verified.signer, 0) + 1
        self._by_id[expulsion.id] = verified
        if verified.successor:
            self._replaced[expulsion.key.hex()] = verified
            return
        self._by_key.setdefault(expulsion.key.hex(), []).append(verified)
        if not expulsion.is_forgotten:
            self._by_site.setdefault(expulsion.site, []).append(verified)

    def find(self, identity: SiteIdentity) -> Verified | None:
        """Return the statement by which a site is out, or None while it is a member.

        That is so by its own key, or by an authority that its certificate rests on.
        """
        key = identity.public_key_fingerprint
        return self.find_by(key, identity.authorities, identity.roots)

    def find_by(
        self, key: str, authorities: Sequence[IssuingAuthority], roots: Roots | None = None
    ) -> Verified | None:
        """Return what `find` does, for a site of a key whose certificate rests on authorities, the
        nearest first, and on the last of roots, if they are known."""
        if not self._by_id:
            return None
        for each in self._by_key.get(key, ()):
            if each.is_above(authorities, roots):
                return each
        for depth, authority in enumerate(authorities, 1):
            for each in self._by_site.get(authority.site, ()):
                if authority.issued_at <= each.at and each.is_above(authorities[depth:], roots):
                    return each
        return None

    def replacement(self, roots: Roots) -> Verified | None:
        """Return the statement by which what rests on the last of these roots counts no more."""
        for root in roots.keys:
            found = self._replaced.get(root)
            if found is not None and roots.successor_of(root) != found.successor:
                return found
        return None

    def check(self, identity: SiteIdentity) -> None:
        """Raise `Expelled` unless a site is a member, or `RootReplaced` if it was one by the word
        of a root that counts no more."""
        if (replacement := self.replacement(identity.roots)) is not None:
            replaced = RootReplaced(
                f"the certificate of site {identity.site!r} counts no more, as "
                f"{replacement.describe()}: accept a new token there"
            )
            replaced.site = identity.site
            raise replaced
        if (found := self.find(identity)) is not None:
            error = Expelled(found.describe())
            error.site = identity.site
            raise error

    def is_out(self, key: str) -> bool:
        """Tell whether there is a statement about a key."""
        return key in self._by_key

    def is_expelled(self, key: str) -> bool:
        """Tell whether there is a statement about a key by which more than the key is out."""
        return any(not each.expulsion.is_forgotten for each in self._by_key.get(key, ()))

    def _verify(self, expulsion: Expulsion) -> Verified:
        certificates = [load_certificate(der) for der in expulsion.authority]
        proof = read_authority(certificates, self._root)
        authorities = proof.authorities
        key = key_of(certificates[0] if certificates else self._root)
        if not is_signed(key, expulsion.signature, expulsion.signed_bytes()):
            raise CertificateError(
                f"the statement that site {expulsion.site!r} is out is not genuine"
            )
        by = authorities[0].site if authorities else ""
        return Verified(expulsion, fingerprint(key), by, proof.roots)
