"""The transit's part in a relay: ties the connections of two neighbours together, if it can."""

from collections.abc import Awaitable, Callable

from van.errors import RemoteError
from van.router.channels.channel import Channel
from van.router.channels.pending import Setups
from van.router.channels.table import ChannelTable
from van.router.reactor import sockets
from van.router.reactor.loop import EventLoop
from van.router.reactor.splice import DirectionFactory, Relay
from van.tls.connection import TlsConnection
from van.wire import channel as wire
from van.wire.channel import CODEC, Reason, Refused

RelayHop = Callable[[str, int], str | None]
"""Returns the next hop to a site, by a choice among paths of equal cost."""
RelayThrough = Callable[[str, wire.Relay], Awaitable[TlsConnection]]
"""Turns a channel to a next hop into a relay."""


class Transit:
    """Passes on what asks for it, and counts what it passes on."""

    def __init__(
        self,
        *,
        site: str,
        loop: EventLoop,
        table: ChannelTable,
        relay_hop: RelayHop,
        may_pass: Callable[[], bool],
        relay_through: RelayThrough,
        setups: Setups,
        make_direction: DirectionFactory,
    ) -> None:
        self.relays = 0
        self._site = site
        self._loop = loop
        self._table = table
        self._relay_hop = relay_hop
        self._may_pass = may_pass
        self._relay_through = relay_through
        self._setups = setups
        self._make_direction = make_direction

    async def pass_on(self, channel: Channel, request: wire.Relay) -> tuple[Relay, str] | None:
        """Return the relay that a channel has become, with its next hop.

        Returns None, with the channel as it was, when the request had to be declined. Raises
        `RemoteError` when the connections broke in the midst of it.
        """
        if not self._may_pass():
            self._decline(channel, Reason.NOT_ALLOWED, "it passes nothing on")
            return None
        next_hop = self._relay_hop(request.destination, request.choice)
        if next_hop is None or next_hop == channel.neighbor:
            self._decline(channel, Reason.NO_ROUTE, f"to {request.destination}")
            return None
        if request.hop_limit == 0:
            self._decline(channel, Reason.HOP_LIMIT, f"to {request.destination}")
            return None
        if self.relays >= self._loop.limits.max_relays:
            self._decline(channel, Reason.BUSY, f"{self._loop.limits.max_relays} relays")
            return None
        try:
            with self._setups.over(next_hop):
                further = wire.Relay(request.destination, request.hop_limit - 1, request.choice)
                onward = await self._relay_through(next_hop, further)
        except RemoteError as exc:
            self._decline(channel, Reason.NO_ROUTE, str(exc))
            return None
        with self._setups.over(next_hop):
            return await self._join(channel, onward), next_hop

    def _decline(self, channel: Channel, reason: Reason, detail: str) -> None:
        text = f"site {self._site!r} can't relay: {reason.name.lower()}: {detail}"
        channel.send_message(Refused(reason, text[:500]))

    async def _join(self, channel: Channel, onward: TlsConnection) -> Relay:
        """End both hops' TLS and tie the bare connections together."""
        ends = [onward]
        try:
            backward = channel.detach()
            ends.append(backward)
            await sockets.send_all(backward, CODEC.encode(wire.Relayed()))
            first, second = await sockets.unwrap(backward), await sockets.unwrap(onward)
        except BaseException:
            for end in ends:
                end.close()
            raise
        return Relay(self._loop, first, second, self._make_direction)

    async def hold(self, joined: tuple[Relay, str], neighbor: str) -> None:
        """Own a relay that a neighbour asked for until it has ended."""
        relay, next_hop = joined
        self.relays += 1
        try:
            with self._table.holding(relay, neighbor, next_hop):
                await relay.ended()
        finally:
            self.relays -= 1
