"""Renews this site's certificate over a link before it expires, and those of neighbours."""

import logging
import random
from datetime import timedelta
from typing import Final

import attrs
import trio

from van.errors import CertificateError, CertificateExpired, VanError
from van.router.links.issuing import request_fingerprint
from van.router.links.link import Link
from van.router.links.routes import Routes
from van.router.links.table import LinkTable
from van.router.site.state import SiteState
from van.tls.authority import SITE_LIFETIME
from van.tls.credentials import Credentials
from van.tls.identity import make_request, verify_chain
from van.wire.link import RenewReply, RenewRequest

logger = logging.getLogger(__name__)

RENEW_AT: Final = 2 / 3
"""Part of its life after which a certificate is renewed: the last third is for retries."""
LOOK_INTERVAL: Final = 1.0
"""Seconds between looks at the wall clock, which certificates go by: it is set, and goes on while
the machine sleeps, and no timer hears of that."""
RETRY_INTERVAL: Final = timedelta(seconds=30)
REPLY_TIMEOUT: Final = 10.0


@attrs.define(eq=False)
class _Pending:
    neighbor: str
    reply: RenewReply | None = None
    arrived: trio.Event = attrs.field(factory=trio.Event)


class Renewer:
    """Keeps the certificate fresh."""

    def __init__(
        self,
        site: SiteState,
        links: LinkTable,
        routes: Routes,
        *,
        lifetime: timedelta = SITE_LIFETIME,
    ) -> None:
        self._site = site
        self._trust = site.trust
        self._links = links
        self._routes = routes
        self._lifetime = lifetime
        self._pending: _Pending | None = None

    async def run(self) -> None:
        """Renew whenever two thirds of the certificate's life are over, until cancelled."""
        while True:
            pause = LOOK_INTERVAL
            if self._is_due():
                await self._issuer_in_reach()
                pause = await self._renew()
            await trio.sleep(pause)

    def _is_due(self) -> bool:
        """Tell whether the certificate has lived for so long that another is wanted."""
        identity = self._trust.credentials.identity
        life = identity.not_after - identity.issued_at
        return self._trust.clock() >= identity.issued_at + life * RENEW_AT

    async def _issuer_in_reach(self) -> None:
        """Wait until somebody can issue certificates: this site itself, or a neighbour."""
        while not (self._is_root() or self._issuers()):
            await self._links.changed()

    def _is_root(self) -> bool:
        authority = self._trust.credentials.authority
        return authority is not None and authority.is_root

    def _issuers(self) -> list[Link]:
        # A neighbour may have been given an authority since its hello.
        told = self._routes.identities()
        return [
            link
            for name, link in self._links.up.items()
            if link.hello.can_issue or (name in told and told[name].authority is not None)
        ]

    async def _renew(self) -> float:
        """Renew, and return how many seconds to rest before the next look."""
        try:
            renewed = await self._request_renewal()
            self._site.install(renewed)
        except VanError as exc:
            logger.warning("certificate not renewed: %s", exc)
            return RETRY_INTERVAL.total_seconds() * random.uniform(0.75, 1.25)
        logger.info("certificate renewed until %s", renewed.identity.not_after)
        return LOOK_INTERVAL

    async def _request_renewal(self) -> Credentials:
        ours = self._trust.credentials
        if ours.authority is not None and ours.authority.is_root:
            chain = ours.authority.issue_site(
                make_request(ours.key),
                site=ours.site,
                grants=ours.identity.grants,
                lifetime=self._lifetime,
                first_issued=ours.identity.first_issued,
            )
            return ours.with_chain(chain)
        issuers = self._issuers()
        if not issuers:
            raise CertificateError("no link is up to a site that can issue certificates")
        failures: list[str] = []
        for issuer in random.sample(issuers, len(issuers)):  # any of them will do
            try:
                return await self._renewed_by(issuer, ours)
            except CertificateError as exc:
                failures.append(str(exc))
        raise CertificateError("; ".join(failures))

    async def _renewed_by(self, issuer: Link, ours: Credentials) -> Credentials:
        reply = await self._ask(issuer)
        if reply.error:
            raise CertificateError(reply.error)
        renewed = ours.with_chain(reply.chain, ca_chain=reply.ca_chain)
        # One of an issuer whose clock is wrong may be worth less than the one that there is.
        verify_chain(renewed.chain, renewed.root, at=self._trust.clock())
        return renewed

    async def _ask(self, link: Link) -> RenewReply:
        ours = self._trust.credentials
        ca_request = make_request(ours.authority.key) if ours.authority else b""
        pending = self._pending = _Pending(link.neighbor)
        link.send(RenewRequest(make_request(ours.key), ca_request))
        with trio.move_on_after(REPLY_TIMEOUT):
            await pending.arrived.wait()
        self._pending = None
        if pending.reply is None:
            raise CertificateError(f"site {link.neighbor!r} did not answer")
        return pending.reply

    def receive_reply(self, link: Link, reply: RenewReply) -> None:
        """Take a neighbour's answer; one that nobody waits for is ignored."""
        pending = self._pending
        if pending is not None and pending.neighbor == link.neighbor:
            pending.reply = reply
            pending.arrived.set()

    def receive_request(self, link: Link, request: RenewRequest) -> None:
        """Answer a neighbour's request for a new certificate with the same name and grants."""
        try:
            reply = self._issue(link.neighbor, request)
        except VanError as exc:
            reply = RenewReply((), (), str(exc)[:500])
        link.send(reply)

    def _issue(self, neighbor: str, request: RenewRequest) -> RenewReply:
        authority = self._trust.credentials.authority
        if authority is None:
            raise CertificateError(f"site {self._trust.site!r} can't issue certificates")
        identity = self._routes.identity_of(neighbor)
        if identity is None:
            raise CertificateError(f"the identity of site {neighbor!r} is not known here")
        if request_fingerprint(request.request) != identity.public_key_fingerprint:
            raise CertificateError("a certificate is renewed for the same key only")
        if identity.not_after < self._trust.clock():
            raise CertificateExpired(
                f"the certificate of site {neighbor!r} has expired by the clock of site "
                f"{self._trust.site!r}"
            )
        grants = identity.grants
        since = identity.first_issued
        chain = authority.issue_site(
            request.request,
            site=neighbor,
            grants=grants,
            lifetime=self._lifetime,
            first_issued=since,
        )
        ca_chain: tuple[bytes, ...] = ()
        if request.ca_request and grants.can_invite:
            ca_chain = authority.issue_intermediate(
                request.ca_request, site=neighbor, grants=grants, first_issued=since
            )
        return RenewReply(chain, ca_chain, "")
