"""How a site asks another one for a new certificate: over a channel from end to end, wherever in
the network that is. The sites between pass ciphertext on.

A channel that was used for this is used for nothing else: it is closed by who has asked.
"""

import logging
from collections.abc import Callable
from contextlib import suppress

import trio

from van.errors import LinkLost, RemoteError, RemoteProtocolError, Unreachable
from van.router.channels.channel import Channel
from van.router.channels.dialer import ChannelDialer
from van.router.reactor import sockets
from van.router.reactor.loop import EventLoop
from van.router.reactor.message_stream import MessageStream
from van.router.reactor.supervisor import Tasks
from van.tls.identity import SiteIdentity
from van.wire.channel import CODEC, MAX_CONTROL_PAYLOAD, MAX_RENEWED_PAYLOAD, Renew, Renewed

logger = logging.getLogger(__name__)

Issue = Callable[[SiteIdentity, Renew], Renewed]


class RenewalClient:
    """Asks; in trio's thread."""

    def __init__(self, dialer: ChannelDialer) -> None:
        self._dialer = dialer

    async def ask(self, site: str, request: Renew, timeout: float) -> Renewed:
        """Return what a site answers; raise `RemoteError` if that is nothing, `timeout` seconds for
        the channel and the answer together."""
        try:
            with trio.fail_after(timeout):
                return await self._ask(site, request)
        except trio.TooSlowError as exc:
            raise Unreachable(f"site {site!r} did not answer in {timeout:.0f} s") from exc

    async def _ask(self, site: str, request: Renew) -> Renewed:
        channel = await self._dialer.make(site)
        with self._dialer.pending.over(channel.neighbor):
            tls = channel.detach()
            conversation = MessageStream(tls, CODEC, max_payload=MAX_RENEWED_PAYLOAD)
            try:
                await conversation.send(request)
                answer = await conversation.receive()
            finally:
                conversation.close()
        if not isinstance(answer, Renewed):
            raise RemoteProtocolError(f"site {site!r} did not answer a request for a certificate")
        return answer


class RenewalServer:
    """Answers; begins in the event loop's thread, and goes on in trio's."""

    def __init__(
        self, dialer: ChannelDialer, loop: EventLoop, tasks: Tasks, *, issue: Issue
    ) -> None:
        self._dialer = dialer
        self._loop = loop
        self._tasks = tasks
        self._issue = issue

    def serve(self, channel: Channel, request: Renew) -> None:
        """Begin to answer a request; the channel goes with it."""
        channel.pause()
        self._tasks.start(self._serve, channel, request, end=channel.fail)
        self._loop.yield_to_tasks()

    async def _serve(self, channel: Channel, request: Renew) -> None:
        try:
            with (
                trio.fail_after(self._loop.limits.setup_timeout),
                self._dialer.pending.over(channel.neighbor),
            ):
                await self._answer(channel, self._issue(channel.peer, request))
        except (RemoteError, trio.TooSlowError, OSError) as exc:
            logger.info("answer to site %r failed: %s", channel.site, sockets.describe(exc))
            channel.close()

    async def _answer(self, channel: Channel, answer: Renewed) -> None:
        """Send the answer, and wait for the other side to close, which has surely read it then."""
        tls = channel.detach()
        conversation = MessageStream(tls, CODEC, max_payload=MAX_CONTROL_PAYLOAD)
        try:
            await conversation.send(answer)
            with suppress(LinkLost):
                await conversation.receive()
        finally:
            conversation.close()
