"""`van-join/1` from the end that is let in: by a token, as a new site or for one more link."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Self

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from van.errors import (
    CertificateError,
    JoinRefused,
    LinkLost,
    LocalError,
    RemoteError,
    RemoteProtocolError,
    Unreachable,
)
from van.names import Endpoint
from van.router.links.clocks import clock_offset, describe_offset
from van.router.links.proof import prove
from van.router.reactor import connecting
from van.router.reactor.message_stream import MessageStream
from van.router.reactor.racing import AllFailed
from van.router.site.trust import utc_now, verify_by
from van.tls.connection import TlsConnection
from van.tls.contexts import client_context, peer_chain
from van.tls.credentials import Credentials
from van.tls.identity import SiteIdentity
from van.tls.keys import generate_key, make_request
from van.tls.tokens import Token
from van.wire.join import (
    ALPN,
    CODEC,
    MAX_MESSAGE,
    JoinAccepted,
    JoinDeclined,
    JoinRequest,
)
from van.wire.revision import MAJOR, MINOR, check_major

JOIN_TIMEOUT: Final = 10.0


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
        context = client_context(token.chain, token.key, token.root, (ALPN,))
        remedy = f"ask site {token.site!r} for a new token, made with 'van link create'"
        failures: dict[Endpoint, Exception] = {}
        while left := [each for each in token.addresses if each not in failures]:
            try:
                endpoint, tls = await connecting.dial_first(left, context, remedy=remedy)
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
            request = self._request(ours, token, is_member=is_member)
            key, _ = self._keys(ours, is_member=is_member)
            await conversation.send(prove(request, tls, key))
            answer = await conversation.receive()
        finally:
            conversation.close()
        match answer:
            case JoinAccepted():
                check_major(answer.major, peer=token.site, site=ours.site)
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
        if is_member and authority is not None and authority.is_lasting:
            # It wants a link alone, but where its root was replaced, which it may not know.
            return JoinRequest(
                MAJOR, ours.site, make_request(ours.key), b"", ours.chain, minor=MINOR
            )
        key, ca_key = self._keys(ours, is_member=is_member)
        may_invite = token.grants.can_invite or (is_member and authority is not None)
        ca_request = make_request(ca_key) if may_invite else b""
        member_chain = ours.chain if is_member else ()
        return JoinRequest(
            MAJOR, ours.site, make_request(key), ca_request, member_chain, minor=MINOR
        )

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
        lasting = ours.authority is not None and ours.authority.is_lasting
        if is_member and lasting and credentials.identity.roots == ours.identity.roots:
            credentials = ours  # which nobody below has to renew
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
