"""`van-join/1` from both ends: letting a site in by a token, and being let in by one."""

import logging
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Self

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from van.errors import (
    CertificateError,
    JoinRefused,
    LinkDeclined,
    LinkLost,
    LocalError,
    RemoteError,
    RemoteProtocolError,
    Unreachable,
    VanError,
)
from van.names import Endpoint
from van.router.links.clocks import clock_offset, describe_offset
from van.router.links.issuing import Issued, Issuer
from van.router.links.returning import Readmission
from van.router.links.routes import Routes
from van.router.reactor import connecting, tls_io
from van.router.reactor.message_stream import MessageStream
from van.router.reactor.racing import AllFailed
from van.router.site.settings import Settings
from van.router.site.trust import Trust, utc_now, verify_by
from van.tls.connection import TlsConnection
from van.tls.contexts import client_context, peer_chain
from van.tls.credentials import Credentials
from van.tls.failures import remote_error
from van.tls.identity import (
    BootstrapIdentity,
    SiteIdentity,
    generate_key,
    make_request,
)
from van.tls.ledger import TokenLedger
from van.tls.tokens import Token
from van.wire.fields import AUTO_COST
from van.wire.join import (
    ALPN,
    CODEC,
    MAX_MESSAGE,
    VERSION,
    JoinAccepted,
    JoinDeclined,
    JoinRequest,
)

logger = logging.getLogger(__name__)

JOIN_TIMEOUT: Final = 10.0
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


@attrs.frozen
class Admission:
    """What came of a token: the credentials to use from now on, and the new neighbour."""

    credentials: Credentials
    neighbor: str
    cost: int
    warning: str
    """That the clocks of the two sites differ, if they do."""
    note: str = ""
    """What of the token was not given, and what that would take."""
    endpoint: Endpoint | None = None
    """Which of the token's addresses led there."""


class JoinClient:
    """Joins by a token; keeps its keys, so that a lost answer can be asked for again."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey | None = None,
        ca_key: ec.EllipticCurvePrivateKey | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._clock = clock
        self._key = key or generate_key()
        self._ca_key = ca_key or generate_key()

    @classmethod
    def returning(cls, ours: Credentials, *, clock: Callable[[], datetime] = utc_now) -> Self:
        """Return one with the keys of a member: under the same key its name is still its own."""
        return cls(ours.key, ours.authority.key if ours.authority else None, clock=clock)

    async def join(self, ours: Credentials, token: Token, *, is_member: bool) -> Admission:
        """Ask the token's site to be let in, or, as a member, for a link.

        That site judges the token by its clock; ours counts for nothing. Raises `JoinRefused` with
        the reason, `CertificateError` when another router answers than that site's, or one with a
        certificate that is not valid while the token is, and `Unreachable` when no address answers.
        """
        failures: dict[Endpoint, Exception] = {}
        while left := [each for each in token.addresses if each not in failures]:
            try:
                endpoint, tls = await connecting.dial_first(left, partial(self._secure, token))
            except AllFailed as exc:
                failures |= zip(left, exc.failures, strict=True)
                break
            try:
                with trio.fail_after(JOIN_TIMEOUT):
                    return await self._join_on(tls, endpoint, ours, token, is_member=is_member)
            except trio.TooSlowError:
                detail = f"{endpoint} did not answer in {JOIN_TIMEOUT:.0f} s"
                failures[endpoint] = Unreachable(detail)
            except (Unreachable, LinkLost, CertificateError) as exc:
                failures[endpoint] = exc
        raise self._failure(token, [failures[each] for each in token.addresses])

    def _failure(self, token: Token, failures: Sequence[Exception]) -> RemoteError:
        """Return what to tell of a token by which no address led in."""
        found = "; ".join(map(str, failures))
        if any(isinstance(each, CertificateError) for each in failures):
            return CertificateError(found)
        expired = ""
        if self._clock() > token.expires:
            expired = f"; by this machine's clock the token expired at {token.expires:%F %TZ}"
        return Unreachable(
            f"site {token.site!r} can't be reached: {found}; check that its router "
            f"is up and that this machine can reach one of the addresses{expired}"
        )

    async def _secure(self, token: Token, sock: socket.socket, endpoint: Endpoint) -> TlsConnection:
        context = client_context(token.chain, token.key, token.root, (ALPN,))
        try:
            with trio.fail_after(JOIN_TIMEOUT):
                return await tls_io.handshake(context, sock, server_side=False)
        except trio.TooSlowError as exc:
            raise Unreachable(f"{endpoint} did not answer in {JOIN_TIMEOUT:.0f} s") from exc
        except OSError as exc:
            remedy = f"ask site {token.site!r} for a new token, made with 'van link create'"
            raise remote_error(exc, str(endpoint), remedy=remedy) from exc

    async def _join_on(
        self,
        tls: TlsConnection,
        endpoint: Endpoint,
        ours: Credentials,
        token: Token,
        *,
        is_member: bool,
    ) -> Admission:
        conversation = MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)
        try:
            await self._check_host(tls, conversation, ours, token)
            await conversation.send(self._request(ours, token, is_member=is_member))
            answer = await conversation.receive()
        finally:
            conversation.close()
        match answer:
            case JoinAccepted():
                admission = self._admitted(answer, ours, token, is_member=is_member)
                return attrs.evolve(admission, endpoint=endpoint)
            case JoinDeclined():
                raise JoinRefused(f"site {token.site!r} declined: {answer.reason}")
            case _:
                raise RemoteProtocolError(f"site {token.site!r} did not answer the request")

    async def _check_host(
        self, tls: TlsConnection, conversation: MessageStream, ours: Credentials, token: Token
    ) -> None:
        """Raise `CertificateError` unless the site that minted the token is at the other end.

        If only its certificate is out of date here, it is told.
        """
        try:
            there = token.time_there(self._clock())
            host = verify_by(there, peer_chain(tls), token.root, judge=ours.site)
        except CertificateError as exc:
            await conversation.send(JoinDeclined(exc.code, str(exc)[:500]))
            raise
        if not isinstance(host, SiteIdentity) or host.site != token.site:
            found = host.site if isinstance(host, SiteIdentity) else "a token"
            raise CertificateError(f"expected site {token.site!r}, found {found!r}")

    def _request(self, ours: Credentials, token: Token, *, is_member: bool) -> JoinRequest:
        authority = ours.authority
        if is_member and authority is not None and authority.is_root:
            return JoinRequest(VERSION, ours.site, b"", b"", ours.chain)
        key, ca_key = self._keys(ours, is_member=is_member)
        may_invite = token.grants.can_invite or (is_member and authority is not None)
        ca_request = make_request(ca_key) if may_invite else b""
        member_chain = ours.chain if is_member else ()
        return JoinRequest(VERSION, ours.site, make_request(key), ca_request, member_chain)

    def _keys(
        self, ours: Credentials, *, is_member: bool
    ) -> tuple[ec.EllipticCurvePrivateKey, ec.EllipticCurvePrivateKey]:
        """Return the keys of the site and of its authority to be; a member keeps those it has."""
        if not is_member:
            return self._key, self._ca_key
        return ours.key, ours.authority.key if ours.authority else self._ca_key

    def _admitted(
        self, answer: JoinAccepted, ours: Credentials, token: Token, *, is_member: bool
    ) -> Admission:
        if answer.site != token.site:
            raise RemoteProtocolError(f"site {token.site!r} calls itself {answer.site!r}")
        offset = clock_offset(answer.clock, self._clock().timestamp())
        warning = describe_offset(answer.site, offset)
        if is_member and not answer.chain:
            return Admission(ours, answer.site, answer.cost, warning, answer.note)
        if is_member and not answer.ca_chain:
            credentials = ours.with_chain(answer.chain)  # with the authority that it had
        else:
            key, ca_key = self._keys(ours, is_member=is_member)
            credentials = Credentials.joined(key, answer.chain, token.root, ca_key, answer.ca_chain)
        if credentials.site != ours.site:
            raise RemoteProtocolError(f"the certificate is for site {credentials.site!r}")
        return Admission(credentials, answer.site, answer.cost, warning, answer.note)


def check_may_join(ours: Credentials, token: Token, *, is_alone: bool) -> bool:
    """Tell whether this site is a member of the token's VAN already; raise `LocalError` if it
    belongs to another one with other sites in it."""
    if token.van_id == ours.van_id:
        if token.site == ours.site:
            raise LocalError("this site minted the token itself: accept it at another site")
        return True
    if not is_alone:
        raise LocalError(
            f"token is for VAN {token.van_id}, but this site belongs to VAN {ours.van_id}, which "
            "has other sites: join from a new site, made with 'van init'"
        )
    return False


async def _wait_for_close(conversation: MessageStream) -> None:
    """Let the client close first, so that it has surely read the answer."""
    with trio.move_on_after(CLOSING_TIMEOUT):
        try:
            await conversation.receive()
        except RemoteError:
            return
