"""Gives sites whose certificate has run out a new one, by this site's authority: those that ask in
person, and those for which a neighbour of theirs asks over a channel."""

import logging
from datetime import timedelta

from van.errors import CertificateError, CertificateExpired, JoinRefused, VanError
from van.router.links.issuing import Issued, Issuer, request_fingerprint
from van.router.links.names import Names
from van.router.links.proof import check_passed_on
from van.router.links.returning import REMEDY
from van.router.site.audit import AuditKind
from van.router.site.state import SiteState
from van.tls.connection import TlsConnection
from van.tls.identity import SiteIdentity, check_validity, read_chain
from van.wire.channel import Readmit, Renewed
from van.wire.join import JoinRequest
from van.wire.revision import MAJOR

logger = logging.getLogger(__name__)


class Readmission:
    """Judges who returns, whoever asks for it."""

    def __init__(self, site: SiteState, names: Names) -> None:
        self._trust = site.trust
        self._settings = site.settings
        self._audit = site.audit
        self._names = names
        self._issuer = Issuer(site.trust)

    def returning(self, chain: tuple[bytes, ...]) -> SiteIdentity | None:
        """Return the site whose chain has run out, or None where a chain is of another kind.

        Raises `CertificateError` for a site that may not come back, with the reason.
        """
        root, now = self._trust.credentials.root, self._trust.clock()
        identity = read_chain(chain, root)
        if not isinstance(identity, SiteIdentity) or identity.not_after >= now:
            return None
        if len(identity.roots) == 1:
            check_validity(root, at=now)
        self._trust.expulsions.check(identity)
        if identity.grants.is_ephemeral:
            error = CertificateExpired(
                f"the certificate of site {identity.site!r} expired at {identity.not_after:%F %TZ} "
                f"by the clock of site {self._trust.site!r}, and as it is ephemeral there is no "
                f"other one: {REMEDY}"
            )
            error.site = identity.site
            raise error
        days = self._settings.config.return_days
        if now > identity.not_after + timedelta(days=days):
            error = CertificateExpired(
                f"the certificate of site {identity.site!r} expired at {identity.not_after:%F %TZ} "
                f"by the clock of site {self._trust.site!r}, which lets sites return for {days} "
                f"days: {REMEDY}"
            )
            error.site = identity.site
            raise error
        return identity

    def check(self, identity: SiteIdentity, request: JoinRequest) -> None:
        """Raise a `VanError` unless a site that returns may have what it asks for, of whom it may
        be; that it holds its key is for the caller to see."""
        if request.site != identity.site:
            raise CertificateError(f"the certificate shown is not that of site {request.site!r}")
        if request_fingerprint(request.request) != identity.public_key_fingerprint:
            raise CertificateError("a certificate is renewed for the same key only")
        self._names.check(request.site, identity.public_key_fingerprint)

    def readmit(self, identity: SiteIdentity, request: JoinRequest, *, how: str = "") -> Issued:
        """Return what a site gets that returns, and was checked; raise a `VanError`."""
        if identity.site in self._trust.identity.issuers:
            raise JoinRefused(
                f"site {self._trust.site!r} was let in by site {identity.site!r}, and can't give "
                "it a certificate"
            )
        issued = self._issuer.renew(request, identity)
        key = identity.public_key_fingerprint
        text = f"key {key[:16]}…{how}"
        self._audit.record_counted(AuditKind.SITE_CAME_BACK, request.site, text, key=key)
        logger.info("site %r has come back: its certificate had expired%s", request.site, how)
        return issued

    async def answer(self, peer: SiteIdentity, asked: Readmit, tls: TlsConnection) -> Renewed:
        """Return what a site gets for which a neighbour of its own asks over a channel, or why it
        gets nothing: it is judged as if it asked in person."""
        request = JoinRequest(MAJOR, asked.site, asked.request, asked.ca_request, (), asked.proof)
        try:
            self._trust.verify(peer.chain)  # it was valid when the channel was made
            identity = self.returning(asked.chain)
            if identity is None:
                raise CertificateError(
                    f"the certificate of site {asked.site!r} has not run out by the clock of site "
                    f"{self._trust.site!r}, or is none of a site"
                )
            self.check(identity, request)
            check_passed_on(request, tls, identity.public_key)
            issued = self.readmit(identity, request, how=f", asked for by site {peer.site!r}")
        except VanError as exc:
            self._audit.refused(asked.site, f"{exc} (site {peer.site!r} asked)")
            return Renewed((), (), str(exc)[:500])
        return Renewed(issued.chain, issued.ca_chain, "")
