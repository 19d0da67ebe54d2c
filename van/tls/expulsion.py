"""The statements that put sites out of the VAN: who signs them, and over whom that stands.

The root may expel every site but its own, and the roots that it has succeeded. Another authority
may expel those whose certificates rest on it, and any other authority that is no nearer to the root
than itself. Of all that are known, `van.tls.expulsion_list` says what follows.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import attrs
from cryptography import x509

from van.errors import CertificateError, NotAllowed
from van.tls.authority import Authority
from van.tls.forms import load_certificate, window_of
from van.tls.identity import IssuingAuthority, read_authority
from van.tls.keys import SIGNATURE, fingerprint, is_signed
from van.tls.roots import Roots
from van.tls.subject import key_of
from van.wire.expulsion import Expulsion, signed_bytes


@attrs.frozen
class Verified:
    """A statement whose signature is an authority's of this VAN."""

    expulsion: Expulsion
    signer: str
    """Fingerprint of the key that signed."""
    authorities: tuple[IssuingAuthority, ...]
    """The one that has signed, then those above it; none for the root."""
    roots: Roots
    """The VAN's roots to the one that signed, or that the signer rests on."""
    not_after: datetime
    """Until when the certificate was valid that the signer has shown with it."""

    @property
    def by(self) -> str:
        """Return the site that holds the authority which has signed; empty for the root."""
        return self.authorities[0].site if self.authorities else ""

    @property
    def level(self) -> int:
        """Return how far below the root that authority is; 0 for the root, and next to it."""
        return level_of(self.authorities)

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
        if self.authorities:
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


def level_of(authorities: Sequence[IssuingAuthority]) -> int:
    """Return how far below the root the first of authorities is, each of which rests on the next;
    one that the root has granted counts for no level."""
    return sum(not each.is_granted for each in authorities)


def verify_expulsion(expulsion: Expulsion, root: x509.Certificate) -> Verified:
    """Return a statement that is genuine; raise `CertificateError` if no authority of the VAN has
    signed it."""
    certificates = [load_certificate(der) for der in expulsion.authority]
    proof = read_authority(certificates, root)
    own = certificates[0] if certificates else root
    key = key_of(own)
    if not is_signed(key, expulsion.signature, expulsion.signed_bytes()):
        raise CertificateError(f"the statement that site {expulsion.site!r} is out is not genuine")
    until = window_of(own).not_after
    return Verified(expulsion, fingerprint(key), proof.authorities, proof.roots, until)


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


def sign_again(authority: Authority, expulsion: Expulsion, *, now: datetime) -> Expulsion:
    """Return the same statement by another authority; it is of no later than now, whatever date the
    first one has written."""
    at = min(expulsion.at, now.timestamp())
    subject = (expulsion.site, expulsion.key, at, expulsion.reason, authority.chain)
    what = signed_bytes(*subject, is_forgotten=expulsion.is_forgotten)
    signature = authority.key.sign(what, SIGNATURE)
    return Expulsion(*subject, signature, is_forgotten=expulsion.is_forgotten)


def sign_replacements(authority: Authority, *, site: str, at: datetime) -> list[Expulsion]:
    """Return the statements that all roots that this one has succeeded are out; `site` holds it."""
    return [
        sign_expulsion(authority, site=site, key=key, at=at, reason="")
        for key in authority.roots.former
    ]


def is_above(authority: Authority, above: Sequence[IssuingAuthority]) -> bool:
    """Tell whether an authority stands above a certificate that rests on others."""
    key = fingerprint(authority.key.public_key())
    return authority.is_root or key in (each.key for each in above)


def check_may_expel(
    authority: Authority,
    site: str,
    above: Sequence[IssuingAuthority],
    *,
    held_level: int | None = None,
    verb: str = "expel",
) -> None:
    """Raise `NotAllowed` unless an authority is among those that a site's certificate rests on, or
    the site holds one itself that is as far below the root, or further."""
    is_beside = held_level is not None and authority.level <= held_level
    if not (is_above(authority, above) or is_beside):
        others = (each.site for each in above if each.site != site)  # it can't do that to itself
        where = f"site {nearest!r} or at " if (nearest := next(others, None)) else ""
        raise NotAllowed(
            f"the certificate of site {site!r} does not rest on this site's authority: "
            f"{verb} it at {where}the site that made the VAN"
        )
