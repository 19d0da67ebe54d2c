"""A site whose certificate has run out while it was away comes back by itself.

A link wants a certificate that is valid. So before it dials, such a site asks the neighbour for a
new one over `van-join/1`, where it shows the old one in the place of a token's. A neighbour with an
authority gives it one for the same name, key, and grants, if that is not too long after, and
nobody has put the site out or has its name by now. A site that does not dial is offered one by the
neighbours that dial it, and asks then; whoever dialled, the same is asked, judged, and taken.
"""

from datetime import timedelta
from typing import Final

import trio

from van.errors import (
    CertificateError,
    CertificateExpired,
    JoinRefused,
    RemoteProtocolError,
    Unreachable,
)
from van.names import Endpoint
from van.router.links.issuing import Issued, Issuer, request_fingerprint
from van.router.links.proof import prove
from van.router.reactor import connecting
from van.router.reactor.message_stream import MessageStream
from van.router.reactor.racing import AllFailed
from van.router.site.settings import Settings
from van.router.site.state import SiteState
from van.router.site.trust import Trust
from van.tls.connection import TlsConnection
from van.tls.identity import SiteIdentity, check_validity, read_chain
from van.tls.keys import make_request
from van.tls.renewal import take_renewed
from van.wire.join import (
    ALPN,
    CODEC,
    MAX_MESSAGE,
    VERSION,
    JoinAccepted,
    JoinDeclined,
    JoinRequest,
)

RETURN_TIMEOUT: Final = 10.0
REMEDY: Final = "accept a new token there ('van link create' makes one, 'van link accept' takes it)"


class Readmission:
    """Gives sites that return a new certificate, by this site's authority."""

    def __init__(self, trust: Trust, settings: Settings) -> None:
        self._trust = trust
        self._settings = settings
        self._issuer = Issuer(trust)

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

    def readmit(self, identity: SiteIdentity, request: JoinRequest) -> Issued:
        """Return what a site gets that returns; raise a `VanError`. That nobody else has its name
        is for the caller to know."""
        if request.site != identity.site:
            raise CertificateError(f"the certificate shown is not that of site {request.site!r}")
        if request_fingerprint(request.request) != identity.public_key_fingerprint:
            raise CertificateError("a certificate is renewed for the same key only")
        return self._issuer.renew(request, identity)


class Returner:
    """Gets this site a new certificate when its own has run out."""

    def __init__(self, site: SiteState) -> None:
        self._site = site
        self._trust = site.trust

    @property
    def is_needed(self) -> bool:
        """Tell whether no link can come up before there is a new one, which others have to give."""
        authority = self._trust.credentials.authority
        if authority is not None and authority.is_lasting:
            return False
        return self._trust.identity.not_after < self._trust.clock()

    async def ask(self, neighbor: str, endpoints: list[Endpoint]) -> None:
        """Get one from a neighbour, and put it in force; raise `RemoteError` or `StorageError`."""
        context = self._trust.dialling_context(ALPN)
        try:
            endpoint, tls = await connecting.dial_first(endpoints, context, remedy=REMEDY)
        except AllFailed as exc:
            raise Unreachable("; ".join(map(str, exc.failures))) from exc
        conversation = MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)
        try:
            host = self._trust.peer_site(tls)
            if host.site != neighbor:
                raise CertificateError(f"expected site {neighbor!r}, found {host.site!r}")
            with trio.fail_after(RETURN_TIMEOUT):
                await self._ask(tls, conversation, neighbor)
        except trio.TooSlowError as exc:
            raise Unreachable(f"{endpoint} did not answer in {RETURN_TIMEOUT:.0f} s") from exc
        finally:
            conversation.close()

    async def take_offer(self, tls: TlsConnection, conversation: MessageStream) -> None:
        """Get one from who has dialled this site to offer it, and put it in force; an offer that is
        not needed is declined, and one of a site that this one's authority is above, or else that
        would be above this one.

        The caller bounds the time, and closes. Raises `RemoteError` or `StorageError`.
        """
        try:
            host = self._trust.peer_site(tls)
            if self._trust.site in host.issuers:
                raise CertificateError(
                    f"site {host.site!r} was let in by site {self._trust.site!r}, and can't give "
                    "it a certificate"
                )
        except CertificateError as exc:
            await conversation.send(JoinDeclined(exc.code, str(exc)[:500]))
            raise
        if self.is_needed:
            await self._ask(tls, conversation, host.site)
            return
        reason = (
            f"the certificate of site {self._trust.site!r} is valid by its own clock, until "
            f"{self._trust.identity.not_after:%F %TZ}: set the clock right that is wrong"
        )
        await conversation.send(JoinDeclined("not-needed", reason))

    async def _ask(self, tls: TlsConnection, conversation: MessageStream, neighbor: str) -> None:
        """Ask the site at the other end, which has been looked at."""
        ours = self._trust.credentials
        ca_request = make_request(ours.authority.key) if ours.authority else b""
        request = JoinRequest(VERSION, ours.site, make_request(ours.key), ca_request, ())
        await conversation.send(prove(request, tls, ours.key))
        answer = await conversation.receive()
        if isinstance(answer, JoinDeclined):
            refusal = JoinRefused(f"site {neighbor!r} declined: {answer.reason}")
            refusal.site = neighbor
            raise refusal
        if not isinstance(answer, JoinAccepted):
            raise RemoteProtocolError(f"site {neighbor!r} did not answer the request")
        if self._trust.credentials is ours:  # or else another neighbour was sooner
            now = self._trust.clock()
            renewed = take_renewed(ours, answer.chain, answer.ca_chain, at=now, is_return=True)
            if ours.site in renewed.identity.issuers:
                raise CertificateError("the certificate rests on this site's own authority")
            self._site.install(renewed)
