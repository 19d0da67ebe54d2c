"""`van-join/1` from the end that lets sites in: by a token, or because they were members. These are
let in if they dial this site, and if it dials them and offers it."""

import logging
from typing import Final

import trio
from cryptography.hazmat.primitives.serialization import Encoding

from van.errors import (
    CertificateError,
    HostError,
    JoinRefused,
    LinkDeclined,
    RemoteError,
    RemoteProtocolError,
    Unreachable,
    VanError,
)
from van.names import Endpoint
from van.router.links.issuing import Issued, Issuer
from van.router.links.join_proxy import JoinProxy
from van.router.links.names import Names
from van.router.links.proof import check_proof
from van.router.links.readmission import Readmission
from van.router.links.returning import REMEDY, RETURN_TIMEOUT, Returner
from van.router.reactor import connecting
from van.router.reactor.message_stream import MessageStream
from van.router.reactor.racing import AllFailed
from van.router.site.audit import AuditKind
from van.router.site.state import SiteState
from van.tls.connection import TlsConnection
from van.tls.contexts import peer_chain
from van.tls.identity import BootstrapIdentity, SiteIdentity, read_chain
from van.wire.fields import AUTO_COST
from van.wire.framing import Message
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
from van.wire.revision import MAJOR, MINOR, agreed_minor, check_major

logger = logging.getLogger(__name__)

CLOSING_TIMEOUT: Final = 1.0


class JoinServer:
    """Lets sites in by the tokens that this site has minted, and those that come back."""

    def __init__(self, site: SiteState, names: Names) -> None:
        self.proxy: JoinProxy | None = None
        """Who asks authorities elsewhere for those that this site can't give a certificate."""
        self.readmission = Readmission(site, names)
        self._returner = Returner(site)
        self._trust = site.trust
        self._ledger = site.ledger
        self._audit = site.audit
        self._names = names
        self._issuer = Issuer(site.trust)

    async def serve(self, tls: TlsConnection) -> None:
        """Answer one request, or take an offer; the connection belongs to this call.

        Raises `JoinRefused`, which names the site, once it has been told why; or `RemoteError`.
        """
        conversation = MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)
        try:
            first = await conversation.receive()
            if isinstance(first, JoinOffer):
                await self._take_offer(tls, conversation, first)
            else:
                await self._answer(tls, conversation, first, decliner="who has a token")
        finally:
            conversation.close()

    def may_offer(self, neighbor: str) -> bool:
        """Tell whether a neighbour whose certificate has run out might get one of this site, or
        through it."""
        is_above = neighbor in self._trust.identity.issuers
        if self._trust.can_invite and not is_above:
            return True
        return self.proxy is not None and self.proxy.reaches_any(without=neighbor)

    async def offer(self, neighbor: str, endpoint: Endpoint) -> None:
        """Have a neighbour that was found with a certificate that has run out ask for a new one,
        and answer it; it is in force there on return.

        Raises `JoinRefused` if the neighbour was told that it gets none, or another `RemoteError`.
        """
        context = self._trust.dialling_context(ALPN)
        try:
            _, tls = await connecting.dial_first([endpoint], context, remedy=REMEDY)
        except AllFailed as exc:
            raise Unreachable("; ".join(map(str, exc.failures))) from exc
        conversation = MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)
        try:
            # Whether it may come back is judged by what it asks, as of a site that dials.
            host = read_chain(peer_chain(tls), self._trust.credentials.root)
            if not isinstance(host, SiteIdentity) or host.site != neighbor:
                raise CertificateError(f"{endpoint} is not site {neighbor!r} any more")
            with trio.fail_after(RETURN_TIMEOUT):
                await conversation.send(JoinOffer(MAJOR, MINOR))
                request = await conversation.receive()
                await self._answer(tls, conversation, request, decliner=f"site {neighbor!r}")
        except trio.TooSlowError as exc:
            raise Unreachable(f"{endpoint} did not answer in {RETURN_TIMEOUT:.0f} s") from exc
        finally:
            conversation.close()

    async def _take_offer(
        self, tls: TlsConnection, conversation: MessageStream, offer: JoinOffer
    ) -> None:
        try:
            await self._returner.take_offer(tls, conversation, offer)
        except HostError as exc:
            logger.warning("a new certificate that was offered is not kept: %s", exc)

    async def _answer(
        self, tls: TlsConnection, conversation: MessageStream, request: Message, *, decliner: str
    ) -> None:
        """Answer the other side's only request, whichever side dialled; raises as `serve` does."""
        if isinstance(request, JoinDeclined):
            raise LinkDeclined(f"{decliner} declined: {request.reason}")
        if not isinstance(request, JoinRequest):
            raise RemoteProtocolError("a join begins with a request")
        refusal: JoinRefused | None = None
        try:
            answer: JoinAccepted | JoinDeclined = await self._decide(tls, conversation, request)
        except VanError as exc:
            answer = JoinDeclined(exc.code, str(exc)[:500])
            self._audit.refused(request.site, str(exc))
            refusal = JoinRefused(str(exc))
            refusal.site = request.site
        await conversation.send(answer)
        await _wait_for_close(conversation)
        if refusal is not None:
            raise refusal

    def _token_of(self, tls: TlsConnection) -> str:
        """Return the id of the token that is shown, or raise `CertificateError`."""
        bootstrap = self._trust.peer(tls)
        if not isinstance(bootstrap, BootstrapIdentity):
            raise CertificateError("a join needs a token's certificate, not a site's")
        return bootstrap.token_id

    async def _decide(
        self, tls: TlsConnection, conversation: MessageStream, request: JoinRequest
    ) -> JoinAccepted:
        """Let a site in, for a token or because it was a member; or raise a `VanError`."""
        check_major(request.major, peer=request.site, site=self._trust.site)
        returning = self.readmission.returning(peer_chain(tls))
        if returning is None:
            return self._admit(tls, request)
        self.readmission.check(returning, request)
        check_proof(request, tls, returning.public_key)
        try:
            issued = self.readmission.readmit(returning, request)
        except VanError as exc:
            if self.proxy is None or not self.proxy.may_ask(returning):
                raise JoinRefused(f"{exc}; nor does it reach an authority that could") from exc
            issued = await self._ask_elsewhere(self.proxy, returning, conversation)
        return self._accepted(request, issued, cost=AUTO_COST)

    async def _ask_elsewhere(
        self, proxy: JoinProxy, returning: SiteIdentity, conversation: MessageStream
    ) -> Issued:
        async def prove(exported: bytes) -> JoinRequest:
            await conversation.send(JoinChallenge(exported))
            request = await conversation.receive()
            if not isinstance(request, JoinRequest):
                raise RemoteProtocolError("a challenge is answered by a request")
            return request

        issued = await proxy.ask(returning, prove)
        logger.info("site %r has come back by an authority that was asked", returning.site)
        return issued

    def _admit(self, tls: TlsConnection, request: JoinRequest) -> JoinAccepted:
        """Let a site in by a token, or raise a `VanError`; a use of it is on disk on return."""
        now, token_id = self._trust.clock(), self._token_of(tls)
        applicant = self._issuer.identify(request)
        check_proof(request, tls, applicant.public_key)
        if applicant.member is None:
            self._names.check_key(request.site, applicant.key)
        token = self._ledger.get(token_id)
        may_replace = token is not None and token.replaces
        former = self._names.former(
            request.site,
            applicant.key,
            may_replace=may_replace,
            for_ephemeral=token is not None and token.grants.is_ephemeral,
        )
        record = self._ledger.admit(token_id, site=request.site, fingerprint=applicant.key, now=now)
        self._names.free(former)
        logger.info("site %r let in by token %s", request.site, record.id)
        issued = self._issuer.issue(request, applicant.member, record.grants)
        text = f"key {applicant.key[:16]}… by token {record.id}"
        self._audit.record(AuditKind.SITE_LET_IN, request.site, text)
        self._names.give(issued)
        return self._accepted(request, issued, cost=record.cost)

    def _accepted(self, request: JoinRequest, issued: Issued, *, cost: int) -> JoinAccepted:
        return JoinAccepted(
            self._trust.site,
            self._trust.credentials.root.public_bytes(Encoding.DER),
            issued.chain,
            issued.ca_chain,
            cost,
            self._trust.clock().timestamp(),
            issued.note,
            MAJOR,
            agreed_minor(request.minor),
        )


async def _wait_for_close(conversation: MessageStream) -> None:
    """Let the side that asked close first, so that it has surely read the answer."""
    with trio.move_on_after(CLOSING_TIMEOUT):
        try:
            await conversation.receive()
        except RemoteError:
            return
