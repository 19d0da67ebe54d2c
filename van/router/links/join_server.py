"""`van-join/1` from the end that lets sites in: by a token, or because they were members."""

import logging
from typing import Final

import trio
from cryptography.hazmat.primitives.serialization import Encoding

from van.errors import (
    CertificateError,
    JoinRefused,
    LinkDeclined,
    RemoteError,
    RemoteProtocolError,
    VanError,
)
from van.router.links.issuing import Issued, Issuer
from van.router.links.returning import Readmission
from van.router.links.routes import Routes
from van.router.reactor.message_stream import MessageStream
from van.router.site.settings import Settings
from van.router.site.trust import Trust
from van.tls.connection import TlsConnection
from van.tls.contexts import peer_chain
from van.tls.identity import BootstrapIdentity
from van.tls.ledger import TokenLedger
from van.wire.fields import AUTO_COST
from van.wire.join import CODEC, MAX_MESSAGE, JoinAccepted, JoinDeclined, JoinRequest

logger = logging.getLogger(__name__)

CLOSING_TIMEOUT: Final = 1.0


class JoinServer:
    """Lets sites in by the tokens that this site has minted."""

    def __init__(
        self, trust: Trust, ledger: TokenLedger, routes: Routes, settings: Settings
    ) -> None:
        self._readmission = Readmission(trust, settings)
        self._trust = trust
        self._ledger = ledger
        self._routes = routes
        self._issuer = Issuer(trust)

    async def serve(self, tls: TlsConnection) -> None:
        """Answer one request; the connection belongs to this call.

        Raises `JoinRefused`, which names the site, once it has been told why; or `RemoteError`.
        """
        conversation = MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)
        try:
            request = await conversation.receive()
            if isinstance(request, JoinDeclined):
                raise LinkDeclined(f"who has a token declined: {request.reason}")
            if not isinstance(request, JoinRequest):
                raise RemoteProtocolError("a join begins with a request")
            refusal: JoinRefused | None = None
            try:
                answer: JoinAccepted | JoinDeclined = self._decide(tls, request)
            except VanError as exc:
                answer = JoinDeclined(exc.code, str(exc)[:500])
                refusal = JoinRefused(str(exc))
                refusal.site = request.site
            await conversation.send(answer)
            await _wait_for_close(conversation)
            if refusal is not None:
                raise refusal
        finally:
            conversation.close()

    def _token_of(self, tls: TlsConnection) -> str:
        """Return the id of the token that is shown, or raise `CertificateError`."""
        bootstrap = self._trust.peer(tls)
        if not isinstance(bootstrap, BootstrapIdentity):
            raise CertificateError("a join needs a token's certificate, not a site's")
        return bootstrap.token_id

    def _decide(self, tls: TlsConnection, request: JoinRequest) -> JoinAccepted:
        """Let a site in, for a token or because it was a member; or raise a `VanError`."""
        returning = self._readmission.returning(peer_chain(tls))
        if returning is None:
            return self._admit(self._token_of(tls), request)
        self._check_name(request.site, returning.public_key_fingerprint)
        issued = self._readmission.readmit(returning, request)
        logger.info("site %r has come back: its certificate had expired", request.site)
        return self._accepted(issued, cost=AUTO_COST)

    def _admit(self, token_id: str, request: JoinRequest) -> JoinAccepted:
        """Let a site in by a token, or raise a `VanError`; a use of it is on disk on return."""
        now = self._trust.clock()
        applicant = self._issuer.identify(request)
        if self._trust.expulsions.is_expelled(applicant.key):
            raise JoinRefused(
                f"site {request.site!r} was expelled with the key that it has: make "
                "it anew, with 'van init', and accept a token there"
            )
        self._check_name(request.site, applicant.key)
        record = self._ledger.admit(token_id, site=request.site, fingerprint=applicant.key, now=now)
        logger.info("site %r let in by token %s", request.site, record.id)
        issued = self._issuer.issue(request, applicant.member, record.grants)
        return self._accepted(issued, cost=record.cost)

    def _accepted(self, issued: Issued, *, cost: int) -> JoinAccepted:
        return JoinAccepted(
            self._trust.site,
            self._trust.credentials.root.public_bytes(Encoding.DER),
            issued.chain,
            issued.ca_chain,
            cost,
            self._trust.clock().timestamp(),
            issued.note,
        )

    def _check_name(self, name: str, key: str) -> None:
        """Raise `JoinRefused` if a site of another key has a name."""
        if self._holder_of(name) not in (None, key):
            raise JoinRefused(
                f"site name {name!r} is taken in this VAN: make a site of another name, "
                "with 'van init', and accept the token there"
            )

    def _holder_of(self, name: str) -> str | None:
        """Return the fingerprint of the key that holds a site name, or None when nobody does."""
        ours = self._trust.identity
        identity = ours if name == ours.site else self._routes.identity_of(name)
        if identity is not None:
            return identity.public_key_fingerprint
        is_expelled = self._trust.expulsions.is_expelled
        let_in = (each for record in self._ledger.records() for each in record.used_by)
        return next((key for site, key in let_in if site == name and not is_expelled(key)), None)


async def _wait_for_close(conversation: MessageStream) -> None:
    """Let the client close first, so that it has surely read the answer."""
    with trio.move_on_after(CLOSING_TIMEOUT):
        try:
            await conversation.receive()
        except RemoteError:
            return
