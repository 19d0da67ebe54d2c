"""The VAN's certificate authority, or a part of it that a site was given to invite others."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self

import attrs
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from van.errors import CertificateError, InvalidName, LocalError, NotAllowed
from van.names import check_site_name, is_label, site_pattern_covers
from van.tls.forms import (
    CLOCK_SKEW,
    MAX_CHAIN,
    MAX_ROLLS,
    Issuer,
    Window,
    build_certificate,
    load_certificate,
    utc_now,
)
from van.tls.grants import FULL, Grants
from van.tls.identity import AuthorityProof, check_validity, read_authority
from van.tls.keys import generate_key, read_request
from van.tls.pem import encode_key
from van.tls.roots import ROOT_LIFETIME, Roots, certify_root
from van.tls.subject import Kind, Subject, key_of, van_id_of, van_id_of_key


@attrs.frozen(repr=False)
class Authority:
    """A key that issues certificates, and the certificates that let it.

    Raises `CertificateError` for a chain that does not lead to the root, or is not of this key.
    Validity in time is not part of that: what has expired can be loaded, and issues nothing.
    """

    key: ec.EllipticCurvePrivateKey = attrs.field(eq=False)
    chain: tuple[bytes, ...]
    """This authority's certificate, then those above it, without the VAN's first root; empty for
    that."""
    root: x509.Certificate
    _certificate: x509.Certificate = attrs.field(init=False)
    _proof: AuthorityProof = attrs.field(init=False)

    @_certificate.default
    def _load_certificate(self) -> x509.Certificate:
        return load_certificate(self.chain[0]) if self.chain else self.root

    @_proof.default
    def _verify(self) -> AuthorityProof:
        if key_of(self._certificate) != self.key.public_key():
            raise CertificateError("authority's certificate is for another key")
        return read_authority([load_certificate(der) for der in self.chain], self.root)

    @classmethod
    def create_root(cls, *, now: datetime | None = None) -> Self:
        """Make the root of a new VAN."""
        key, at = generate_key(), _whole_seconds(now)
        van_id = van_id_of_key(key.public_key())
        issuer = Issuer(Subject(van_id, Kind.ROOT).distinguished_name, key)
        return cls(key, (), certify_root(van_id, key.public_key(), issuer=issuer, at=at))

    def roll(self, *, now: datetime | None = None) -> Self:
        """Return a new root of the same VAN, which this one makes its successor.

        Raises `NotAllowed` unless this is a root, and has not had too many before.
        """
        if not self.is_root:
            raise NotAllowed("this site does not hold the root, which alone makes a successor")
        if len(self.roots) > MAX_ROLLS:
            raise NotAllowed(f"the root was replaced {MAX_ROLLS} times: make a new VAN")
        key, at = generate_key(), _whole_seconds(now)
        issuer = Issuer(self._certificate.subject, self.key)
        certificate = certify_root(self.van_id, key.public_key(), issuer=issuer, at=at)
        chain = (certificate.public_bytes(Encoding.DER), *self.chain)
        return type(self)(key, chain, self.root)

    @property
    def roots(self) -> Roots:
        """Return the VAN's roots to the one that this is, or that this rests on."""
        return self._proof.roots

    @property
    def issued_at(self) -> datetime:
        """Return when its certificate was issued."""
        return self._certificate.not_valid_before_utc + CLOCK_SKEW

    @property
    def van_id(self) -> str:
        """Return the id of the VAN."""
        return van_id_of(self.root)

    @property
    def is_root(self) -> bool:
        """Tell whether this is the VAN's root."""
        return not self._proof.authorities

    @property
    def is_granted(self) -> bool:
        """Tell whether this is second to the root, which has granted it."""
        return bool(self._proof.authorities) and self._proof.authorities[0].is_granted

    @property
    def level(self) -> int:
        """Return how many levels it is below the root; 0 for one that is second to it."""
        return sum(not each.is_granted for each in self._proof.authorities)

    @property
    def is_lasting(self) -> bool:
        """Tell whether nobody has to renew it, so that its site renews itself by it."""
        return self.is_root or self.is_granted

    @property
    def grants(self) -> Grants:
        """Return the widest grants that this authority may give."""
        return self._proof.grants

    @property
    def site(self) -> str:
        """Return whose it is, as its certificate says; empty for the root."""
        return "" if self.is_root else self._proof.authorities[0].site

    @property
    def first_issued(self) -> datetime:
        """Return when its first certificate was issued; for the root, when that was made."""
        if self.is_root:
            return self._certificate.not_valid_before_utc
        return self._proof.authorities[0].first_issued

    def check_valid(self, *, at: datetime) -> None:
        """Raise `CertificateError` unless its certificates are valid at a time."""
        for each in self._proof.timely:
            check_validity(each, at=at)

    @property
    def not_after(self) -> datetime:
        """Return when this authority expires."""
        return self._certificate.not_valid_after_utc

    def issue_site(
        self,
        request: bytes,
        *,
        site: str,
        grants: Grants,
        lifetime: timedelta | None = None,
        now: datetime | None = None,
        first_issued: datetime | None = None,
        is_own: bool = False,
    ) -> tuple[bytes, ...]:
        """Return a DER chain that names the request's key as a site, without the root.

        Of its own site a root says that this holds it. A renewal says when the first one was
        issued, which decides who has a name. Only the key is taken from the request. The
        certificate is good for as long as the grants say, unless told otherwise, but for no longer
        than those of this authority's site are, and expires no later than this authority. Raises
        `CertificateError` for a bad request, `InvalidName`, and `NotAllowed` when the grants are
        wider than this authority's, when it may not give the name, or when it has expired.
        """
        self.check_may_grant(grants)
        self.check_may_name((site,))
        subject = self._subject(Kind.SITE, check_site_name(site))
        life = grants.life if self.is_lasting else min(grants.life, self.grants.life)
        contents = _Contents(grants, first_issued, holds_root=is_own and self.is_root)
        return self._issue(subject, read_request(request), lifetime or life, now, contents)

    def issue_intermediate(
        self,
        request: bytes,
        *,
        site: str,
        grants: Grants,
        lifetime: timedelta | None = None,
        now: datetime | None = None,
        first_issued: datetime | None = None,
    ) -> tuple[bytes, ...]:
        """Return a DER chain that makes the request's key an authority of this VAN.

        It is good for some four lives of its site's own certificate, unless told otherwise. Raises
        what `issue_site` does, and `NotAllowed` for grants that don't let the site invite and for
        an invitation too many levels below the root.
        """
        self.check_may_grant(grants)
        self.check_may_name((site,))
        if not grants.can_invite:
            raise NotAllowed(f"site {site!r} is not let invite others")
        if len(self._proof.authorities) + 2 > MAX_CHAIN:
            raise NotAllowed(
                f"site {site!r} would be more than {MAX_CHAIN - 1} invitations below the root"
            )
        subject = self._subject(Kind.INTERMEDIATE, check_site_name(site))
        contents = _Contents(grants, first_issued)
        lifetime = lifetime or grants.authority_life
        return self._issue(subject, read_request(request), lifetime, now, contents)

    def issue_authority(
        self,
        key: ec.EllipticCurvePublicKey,
        *,
        site: str,
        first_issued: datetime,
        now: datetime | None = None,
    ) -> tuple[bytes, ...]:
        """Return a DER chain that makes a key, by this root, second to it for as long as it lasts.

        Raises `NotAllowed` unless this is the root.
        """
        if not self.is_root:
            raise NotAllowed("this site does not hold the root, which alone grants its authority")
        subject = self._subject(Kind.AUTHORITY, check_site_name(site))
        return self._issue(subject, key, ROOT_LIFETIME, now, _Contents(FULL, first_issued))

    def issue_bootstrap(
        self, token_id: str, *, lifetime: timedelta, now: datetime | None = None
    ) -> tuple[str, bytes]:
        """Return a new key in PEM, and its DER certificate that is good only for joining."""
        if not is_label(token_id):
            raise InvalidName(f"token id {token_id!r} is not valid")
        key = generate_key()
        subject = self._subject(Kind.TOKEN, token_id)
        chain = self._issue(subject, key.public_key(), lifetime, now, None)
        return encode_key(key), chain[0]

    def check_may_grant(self, grants: Grants) -> None:
        """Raise `NotAllowed` when grants are wider than this authority's own."""
        if not self.grants.may_grant(grants):
            raise NotAllowed(f"this site can't give wider grants than its own: {self.grants}")

    def check_may_name(self, patterns: Iterable[str]) -> None:
        """Raise `NotAllowed` when patterns of site names cover any that this authority may not
        give."""
        may_name = self.grants.names_given()
        for each in patterns:
            if not any(site_pattern_covers(wide, each) for wide in may_name):
                allowed = ", ".join(may_name) or "none"
                raise NotAllowed(
                    f"this site can't give the name {each!r}: its certificate allows {allowed}"
                )

    def check_may_live(self, life: timedelta) -> None:
        """Raise `NotAllowed` when certificates are to be good for longer than those of this
        authority's site, unless it is the root, or second to that."""
        if not self.is_lasting and life > self.grants.life:
            own = self.grants.life.total_seconds()
            raise NotAllowed(
                f"this site can't give certificates a longer life than its own have: {own:.0f} s"
            )

    def _subject(self, kind: Kind, name: str) -> Subject:
        return Subject(self.van_id, kind, name)

    def _issue(
        self,
        subject: Subject,
        key: ec.EllipticCurvePublicKey,
        lifetime: timedelta,
        now: datetime | None,
        contents: "_Contents | None",
    ) -> tuple[bytes, ...]:
        if lifetime < timedelta(seconds=1):
            raise LocalError(
                f"lifetime of {lifetime.total_seconds()} s is not valid: use 1 or more"
            )
        at = _whole_seconds(now)
        if at >= self.not_after:
            raise NotAllowed(
                f"this site's authority expired at {self.not_after:%F %TZ}: accept a new token"
            )
        until = min(at + lifetime, self.not_after)
        window = Window.from_issue(at, until=until) if contents else Window(at - CLOCK_SKEW, until)
        certificate = build_certificate(
            subject,
            key,
            issuer=Issuer(self._certificate.subject, self.key),
            window=window,
            grants=None if contents is None else contents.grants,
            first_issued=None if contents is None else contents.first_issued or at,
            holds_root=contents is not None and contents.holds_root,
        )
        return (certificate.public_bytes(Encoding.DER), *self.chain)

    def __repr__(self) -> str:
        kind = "root" if self.is_root else "granted" if self.is_granted else "intermediate"
        return f"<Authority {kind} of {self.van_id} until {self.not_after:%F %TZ}>"


@attrs.frozen
class _Contents:
    """What a site's or an intermediate's certificate says beyond whom it names."""

    grants: Grants
    first_issued: datetime | None
    """None for one that is no renewal."""
    holds_root: bool = False


def _whole_seconds(now: datetime | None) -> datetime:
    return (now or utc_now()).replace(microsecond=0)
