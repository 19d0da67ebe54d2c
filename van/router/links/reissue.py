"""New certificates for sites that are members: the same name, key, and grants as they have."""

from van.errors import CertificateError, JoinRefused, NotAllowed, VanError
from van.router.links.issuing import request_fingerprint
from van.router.links.routes import Routes
from van.router.site.trust import Trust
from van.tls.authority import Authority
from van.tls.connection import TlsConnection
from van.tls.identity import SiteIdentity
from van.wire.channel import Renew, Renewed


class Reissue:
    """Renews what others have, by this site's authority; in trio's thread."""

    def __init__(self, trust: Trust, routes: Routes) -> None:
        self._trust = trust
        self._routes = routes

    async def answer(self, peer: SiteIdentity, request: Renew, _: TlsConnection) -> Renewed:
        """Return a new certificate for who is at the other end of a channel, or why there is
        none."""
        try:
            return self.issue(peer, request)
        except VanError as exc:
            return Renewed((), (), str(exc)[:500])

    def issue(self, peer: SiteIdentity, request: Renew) -> Renewed:
        """Return what a site gets that has shown this certificate; raise a `VanError`."""
        authority = self._trust.credentials.authority
        if authority is None:
            raise NotAllowed(f"site {self._trust.site!r} can't issue certificates")
        if peer.grants.is_ephemeral:
            raise NotAllowed(f"site {peer.site!r} is ephemeral: its certificate is not renewed")
        self._trust.verify(peer.chain)  # it was valid when the channel was made
        if request_fingerprint(request.request) != peer.public_key_fingerprint:
            raise CertificateError("a certificate is renewed for the same key only")
        self._check_holder(peer)
        if authority.level > peer.depth:
            raise NotAllowed(
                f"a certificate of site {self._trust.site!r} would be further below the root"
            )
        return self._issue(authority, peer, request)

    def _check_holder(self, peer: SiteIdentity) -> None:
        """Raise `JoinRefused` if the network knows another site by that name."""
        holder = self._routes.identity_of(peer.site)
        if holder and holder.public_key_fingerprint != peer.public_key_fingerprint:
            raise JoinRefused(f"site name {peer.site!r} is another site's")

    def _issue(self, authority: Authority, peer: SiteIdentity, request: Renew) -> Renewed:
        now, since, grants = self._trust.clock(), peer.first_issued, peer.grants
        chain = authority.issue_site(
            request.request, site=peer.site, grants=grants, now=now, first_issued=since
        )
        ca_chain: tuple[bytes, ...] = ()
        if request.ca_request and grants.can_invite:
            ca_chain = authority.issue_intermediate(
                request.ca_request, site=peer.site, grants=grants, now=now, first_issued=since
            )
        return Renewed(chain, ca_chain, "")
