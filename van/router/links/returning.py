"""A site whose certificate has run out while it was away comes back by itself.

A link wants a certificate that is valid. So before it dials, such a site asks the neighbour for a
new one over `van-join/1`, where it shows the old one in the place of a token's. A neighbour with an
authority gives it one for the same name, key, and grants, if that is not too long after, and
nobody has put the site out or has its name by now; one without asks an authority elsewhere. A site
that does not dial is offered one by the neighbours that dial it, and asks then; whoever dialled,
the same is asked, judged, and taken.
"""

from typing import Final

import trio

from van.errors import (
    CertificateError,
    JoinRefused,
    OtherRevision,
    RemoteProtocolError,
    Unreachable,
)
from van.names import Endpoint
from van.router.links.proof import prove, prove_passed_on
from van.router.reactor import connecting
from van.router.reactor.message_stream import MessageStream
from van.router.reactor.racing import AllFailed
from van.router.site.state import SiteState
from van.tls.connection import TlsConnection
from van.tls.keys import make_request
from van.tls.renewal import take_renewed
from van.wire.join import (
    ALPN,
    CODEC,
    MAX_MESSAGE,
    JoinAccepted,
    JoinChallenge,
    JoinDeclined,
    JoinOffer,
    JoinRequest,
)
from van.wire.revision import MAJOR, MINOR, check_major

RETURN_TIMEOUT: Final = 10.0
MAX_CHALLENGES: Final = 8
"""To how many authorities a neighbour may have this site prove its key: more than anybody asks."""
REMEDY: Final = "accept a new token there ('van link create' makes one, 'van link accept' takes it)"


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

    async def take_offer(
        self, tls: TlsConnection, conversation: MessageStream, offer: JoinOffer
    ) -> None:
        """Get one from who has dialled this site to offer it, and put it in force; an offer that is
        not needed is declined.

        The caller bounds the time, and closes. Raises `RemoteError` or `StorageError`.
        """
        try:
            host = self._trust.peer_site(tls)
            check_major(offer.major, peer=host.site, site=self._trust.site)
        except (CertificateError, OtherRevision) as exc:
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
        request = JoinRequest(MAJOR, ours.site, make_request(ours.key), ca_request, (), minor=MINOR)
        await conversation.send(prove(request, tls, ours.key))
        answer = await conversation.receive()
        for _ in range(MAX_CHALLENGES):
            if not isinstance(answer, JoinChallenge):
                break
            await conversation.send(prove_passed_on(request, answer.exported, ours.key))
            answer = await conversation.receive()
        if isinstance(answer, JoinDeclined):
            refusal = JoinRefused(f"site {neighbor!r} declined: {answer.reason}")
            refusal.site = neighbor
            raise refusal
        if not isinstance(answer, JoinAccepted):
            raise RemoteProtocolError(f"site {neighbor!r} did not answer the request")
        check_major(answer.major, peer=neighbor, site=ours.site)
        if self._trust.credentials is ours:  # or else another neighbour was sooner
            now = self._trust.clock()
            renewed = take_renewed(ours, answer.chain, answer.ca_chain, at=now, is_return=True)
            if ours.site in renewed.identity.issuers:
                raise CertificateError("the certificate rests on this site's own authority")
            self._site.install(renewed)
