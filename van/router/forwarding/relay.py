"""The transit's part in a relay: ties the connections of two neighbours together, if it can."""

import logging

import trio

from van.errors import RemoteError
from van.router.channels.channel import Channel
from van.router.channels.dialer import ChannelDialer
from van.router.links.routes import Routes
from van.router.reactor import sockets, tls_io
from van.router.reactor.loop import EventLoop
from van.router.reactor.relay import Relay
from van.router.reactor.splice import DirectionFactory
from van.router.reactor.supervisor import Tasks
from van.router.site.settings import Settings
from van.tls.connection import TlsConnection
from van.wire import channel as wire
from van.wire.channel import CODEC, Reason, Refused

logger = logging.getLogger(__name__)


class Relays:
    """Passes on what asks for it, and counts what it passes on.

    All in trio's thread; each relay has a task while it is set up and while it lasts. A channel
    that has become a relay is closed, and its connection the relay's.
    """

    def __init__(
        self,
        dialer: ChannelDialer,
        routes: Routes,
        settings: Settings,
        loop: EventLoop,
        tasks: Tasks,
        *,
        make_direction: DirectionFactory,
    ) -> None:
        self.count = 0
        """Relays that run through this site."""
        self._emptied = trio.Event()
        self._dialer = dialer
        self._routes = routes
        self._settings = settings
        self._loop = loop
        self._tasks = tasks
        self._make_direction = make_direction

    async def ended(self) -> None:
        """Wait until nothing runs through this site."""
        while self.count:
            self._emptied = trio.Event()
            await self._emptied.wait()

    def serve(self, channel: Channel, request: wire.Relay) -> None:
        """Begin to pass a channel on; it is paused meanwhile, and goes on if that is declined."""
        channel.pause()
        self._tasks.start(self._serve, channel, request, end=channel.fail)
        self._loop.yield_to_tasks()

    async def _serve(self, channel: Channel, request: wire.Relay) -> None:
        pending, timeout = self._dialer.pending, self._loop.limits.setup_timeout
        try:
            with trio.fail_after(timeout), pending.over(channel.neighbor):
                relay = await self.pass_on(channel, request)
        except (RemoteError, trio.TooSlowError, OSError) as exc:
            logger.info("relay to %s failed: %s", request.destination, sockets.describe(exc))
            channel.close()
            return
        if relay is not None:
            await self._hold(relay, channel.neighbor)
        else:
            channel.go_on()

    async def pass_on(self, channel: Channel, request: wire.Relay) -> tuple[Relay, str] | None:
        """Return the relay that a channel has become, with its next hop.

        Returns None, with the channel as it was, when the request had to be declined. Raises
        `RemoteError` when the connections broke in the midst of it.
        """
        if not self._settings.config.transit:
            # A drained site still passes on: the news of that has not reached everybody.
            self._decline(channel, Reason.NOT_ALLOWED, "it passes nothing on")
            return None
        next_hop = self._routes.next_hop(request.destination, request.choice)
        if next_hop is None or next_hop == channel.neighbor:
            self._decline(channel, Reason.NO_ROUTE, f"to {request.destination}")
            return None
        if request.hop_limit == 0:
            self._decline(channel, Reason.HOP_LIMIT, f"to {request.destination}")
            return None
        if self.count >= self._loop.limits.max_relays:
            self._decline(channel, Reason.BUSY, f"{self._loop.limits.max_relays} relays")
            return None
        try:
            next_hop, onward, path = await self._dialer.relay_on(request, without=channel.neighbor)
        except RemoteError as exc:
            self._decline(channel, Reason.NO_ROUTE, str(exc))
            return None
        with self._dialer.pending.over(next_hop):
            return await self._join(channel, onward, path), next_hop

    def _decline(self, channel: Channel, reason: Reason, detail: str) -> None:
        text = f"site {self._routes.fib.site!r} can't relay: {reason.name.lower()}: {detail}"
        channel.send_message(Refused(reason, text[:500]))

    async def _join(self, channel: Channel, onward: TlsConnection, path: tuple[str, ...]) -> Relay:
        """End both hops' TLS and tie the bare connections together."""
        ends = [onward]
        try:
            backward = channel.detach()
            ends.append(backward)
            await tls_io.send_all(backward, CODEC.encode(wire.Relayed(path)))
            first, second = await tls_io.unwrap(backward), await tls_io.unwrap(onward)
        except BaseException:
            for end in ends:
                end.close()
            raise
        return Relay(self._loop, first, second, self._make_direction)

    async def _hold(self, joined: tuple[Relay, str], neighbor: str) -> None:
        """Own a relay that a neighbour asked for until it has ended."""
        relay, next_hop = joined
        self.count += 1
        try:
            with self._dialer.table.holding(relay, neighbor, next_hop):
                await relay.ended()
        finally:
            self.count -= 1
            if not self.count:
                self._emptied.set()
