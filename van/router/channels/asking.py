"""How a site asks another one for what is no flow, over a channel from end to end, wherever in the
network that is: a certificate, for itself or a neighbour, or to keep a part of an audit trail. The
sites between pass ciphertext on.

A channel that was used for this is used for nothing else: it is closed by who has asked.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import trio

from van.errors import LinkLost, RemoteError, RemoteProtocolError, Unreachable
from van.router.channels.channel import Channel
from van.router.channels.dialer import ChannelDialer
from van.router.links.proof import challenge_of
from van.router.reactor import sockets
from van.router.reactor.loop import EventLoop
from van.router.reactor.message_stream import MessageStream
from van.router.reactor.supervisor import Tasks
from van.tls.connection import TlsConnection
from van.tls.identity import SiteIdentity
from van.wire.channel import (
    CODEC,
    MAX_RENEWED_PAYLOAD,
    MAX_TRAIL_PAYLOAD,
    Readmit,
    Renew,
    Renewed,
    Trail,
    TrailKept,
)
from van.wire.framing import Message

logger = logging.getLogger(__name__)

MAX_QUESTIONS: Final = 512
"""Of one channel: more records than an audit trail has."""
T = TypeVar("T")
Answer = Callable[[SiteIdentity, Any, TlsConnection], Awaitable[Message]]
"""Returns what a site is answered that has asked something over a channel, whose TLS this is."""


class AskingClient:
    """Asks; in trio's thread."""

    def __init__(self, dialer: ChannelDialer) -> None:
        self._dialer = dialer

    async def renew(self, site: str, request: Renew, timeout: float) -> Renewed:
        """Return what a site answers; raise `RemoteError` if that is nothing, `timeout` seconds for
        the channel and the answer together."""

        async def compose(_: bytes) -> Renew:
            return request

        return await self._ask_for_certificate(site, compose, timeout)

    async def readmit(
        self, site: str, compose: Callable[[bytes], Awaitable[Readmit]], timeout: float
    ) -> Renewed:
        """Return what a site answers that is asked for another's certificate, by a request that is
        made for the channel; raise as `renew` does, and what `compose` raises."""
        return await self._ask_for_certificate(site, compose, timeout)

    async def _ask_for_certificate(
        self, site: str, compose: Callable[[bytes], Awaitable[Message]], timeout: float
    ) -> Renewed:
        async def ask(_: SiteIdentity, tls: TlsConnection, conversation: MessageStream) -> Message:
            await conversation.send(await compose(challenge_of(tls)))
            return await conversation.receive()

        answer = await self._converse(site, ask, timeout, max_payload=MAX_RENEWED_PAYLOAD)
        if not isinstance(answer, Renewed):
            raise RemoteProtocolError(f"site {site!r} did not answer a request for a certificate")
        return answer

    async def keep(
        self,
        site: str,
        talk: Callable[[SiteIdentity, Callable[[Trail], Awaitable[TrailKept]]], Awaitable[None]],
        timeout: float,
    ) -> None:
        """Talk with a site about this one's audit trail, for so many seconds at the most; raise
        `RemoteError`, and what `talk` raises, which is told who the site is, and asks it."""

        async def talk_over(
            peer: SiteIdentity, _: TlsConnection, conversation: MessageStream
        ) -> None:
            async def ask(request: Trail) -> TrailKept:
                await conversation.send(request)
                answer = await conversation.receive()
                if not isinstance(answer, TrailKept):
                    raise RemoteProtocolError(f"site {site!r} did not answer about a trail")
                return answer

            await talk(peer, ask)

        await self._converse(site, talk_over, timeout, max_payload=MAX_TRAIL_PAYLOAD)

    async def _converse(
        self,
        site: str,
        talk: Callable[[SiteIdentity, TlsConnection, MessageStream], Awaitable[T]],
        timeout: float,
        *,
        max_payload: int,
    ) -> T:
        try:
            with trio.fail_after(timeout):
                channel = await self._dialer.make(site)
                if not channel.is_open:  # as a link may be lost with what has just been made
                    raise LinkLost(f"the channel to site {site!r} was lost")
                with self._dialer.pending.over(channel.neighbor):
                    tls = channel.detach()
                    conversation = MessageStream(tls, CODEC, max_payload=max_payload)
                    try:
                        return await talk(channel.peer, tls, conversation)
                    finally:
                        conversation.close()
        except trio.TooSlowError as exc:
            raise Unreachable(f"site {site!r} did not answer in {timeout:.0f} s") from exc


class AnsweringServer:
    """Answers one kind of request; begins in the event loop's thread, and goes on in trio's."""

    def __init__(
        self,
        dialer: ChannelDialer,
        loop: EventLoop,
        tasks: Tasks,
        *,
        answer: Answer,
        max_payload: int,
    ) -> None:
        self._dialer = dialer
        self._loop = loop
        self._tasks = tasks
        self._answer = answer
        self._max_payload = max_payload

    def serve(self, channel: Channel, request: Message) -> None:
        """Begin to answer a request; the channel goes with it."""
        channel.pause()
        self._tasks.start(self._serve, channel, request, end=channel.fail)
        self._loop.yield_to_tasks()

    async def _serve(self, channel: Channel, request: Message) -> None:
        if not channel.is_open:  # it was lost before this task began
            return
        try:
            tls, peer = channel.detach(), channel.peer
            conversation = MessageStream(tls, CODEC, max_payload=self._max_payload)
            try:
                with self._dialer.pending.over(channel.neighbor):
                    await self._converse(conversation, tls, peer, request)
            finally:
                conversation.close()
        except (RemoteError, trio.TooSlowError, OSError) as exc:
            logger.info("answer to site %r failed: %s", channel.site, sockets.describe(exc))

    async def _converse(
        self,
        conversation: MessageStream,
        tls: TlsConnection,
        peer: SiteIdentity,
        request: Message,
    ) -> None:
        """Send answers until the other side closes, which has surely read the last one then."""
        kind = type(request)
        for _ in range(MAX_QUESTIONS):
            with trio.fail_after(self._loop.limits.setup_timeout):
                await conversation.send(await self._answer(peer, request, tls))
            with trio.fail_after(self._loop.limits.setup_timeout):
                try:
                    request = await conversation.receive()
                except LinkLost:
                    return
            if type(request) is not kind:
                raise RemoteProtocolError("another request than the first came")
