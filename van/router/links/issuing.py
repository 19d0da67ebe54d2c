"""What certificates a token gets: for a new site, one that returns, or a member that is to do more.

A member keeps its name, its key, and what it may do; what a token allows beyond that is added.
"""

from datetime import datetime

import attrs
from cryptography.hazmat.primitives.asymmetric import ec

from van.errors import CertificateError, CertificateExpired, Expelled, JoinRefused, LocalError
from van.router.site.trust import Trust
from van.tls.authority import Authority
from van.tls.grants import Grants
from van.tls.identity import SiteIdentity
from van.tls.keys import fingerprint, read_request
from van.wire.join import JoinRequest


@attrs.frozen
class Applicant:
    """Who asks to be let in."""

    key: str
    """Fingerprint of its key."""
    public_key: ec.EllipticCurvePublicKey
    """That key: it has yet to be proved that the applicant holds it."""
    member: SiteIdentity | None
    """Who it is already, if it is a member whose certificate is valid here."""


@attrs.frozen
class Issued:
    """What it gets; no chain if it keeps the certificate that it has."""

    chain: tuple[bytes, ...] = ()
    ca_chain: tuple[bytes, ...] = ()
    note: str = ""
    """What of the token it does not get, and what that would take."""


class Issuer:
    """Reads who asks, and issues certificates by this site's authority."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust

    def identify(self, request: JoinRequest) -> Applicant:
        """Return who asks; raise `CertificateError`, or what a member's certificate lacks.

        One that has run out, or is of an authority that was expelled, counts for nothing where a
        new one is asked for as well, by a key that is not out itself.
        """
        asked = request_fingerprint(request.request) if request.request else ""
        try:
            member = self._member(request)
        except (CertificateExpired, Expelled):
            if not asked or self._trust.expulsions.is_out(asked):
                raise
            member = None
        if member is None:
            if not asked:
                raise CertificateError("a site that is no member has to ask for a certificate")
            return Applicant(asked, read_request(request.request), None)
        if asked not in ("", member.public_key_fingerprint):
            raise CertificateError("a member's certificate is for another key than it asks for")
        return Applicant(member.public_key_fingerprint, member.public_key, member)

    def issue(self, request: JoinRequest, member: SiteIdentity | None, grants: Grants) -> Issued:
        """Return what a token with these grants gets; raise `JoinRefused`, or another `VanError`
        if a new site can't be let in."""
        if not request.request or (member is not None and member.grants.covers(grants)):
            return Issued()
        authority = self._trust.credentials.authority
        if member is None:
            if authority is None:
                raise JoinRefused(f"site {self._trust.site!r} can't issue certificates any more")
            return self._issue(authority, request, grants)
        try:
            if authority is not None:
                grants = member.grants.union(grants)
                return self._issue(authority, request, grants, since=member.first_issued)
        except LocalError:
            pass  # more than this site may give, more than fits, or too far from the root
        return Issued(
            note=f"what the token allows beyond what site {request.site!r} may do already can't be "
            f"given by site {self._trust.site!r}, which may not do as much itself: accept such a "
            "token of the site that made the VAN"
        )

    def renew(self, request: JoinRequest, former: SiteIdentity) -> Issued:
        """Return what a site gets whose certificate has run out; raise a `VanError`."""
        authority = self._trust.credentials.authority
        if authority is None:
            raise JoinRefused(f"site {self._trust.site!r} can't issue certificates")
        return self._issue(authority, request, former.grants, since=former.first_issued)

    def _issue(
        self,
        authority: Authority,
        request: JoinRequest,
        grants: Grants,
        *,
        since: datetime | None = None,
    ) -> Issued:
        """Issue what is asked for; who had its name before says since when."""
        site, now = request.site, self._trust.clock()
        chain = authority.issue_site(
            request.request, site=site, grants=grants, now=now, first_issued=since
        )
        if not (request.ca_request and grants.can_invite):
            return Issued(chain)
        ca_chain = authority.issue_intermediate(
            request.ca_request, site=site, grants=grants, now=now, first_issued=since
        )
        return Issued(chain, ca_chain)

    def _member(self, request: JoinRequest) -> SiteIdentity | None:
        if not request.member_chain:
            return None
        member = self._trust.verify(request.member_chain)
        if not isinstance(member, SiteIdentity) or member.site != request.site:
            raise CertificateError(f"the certificate shown is not that of site {request.site!r}")
        return member


def request_fingerprint(request: bytes) -> str:
    """Return the fingerprint of a certificate request's key; raise `CertificateError`."""
    return fingerprint(read_request(request))
