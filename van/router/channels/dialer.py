"""How channels are made on which this site opens flows: dialled, asked for, or relayed.

A channel to a neighbour is a TLS connection to its link port, dialled by whichever side can. A
channel to any other site begins as a channel to the next hop: RELAY goes ahead, every hop ends its
own TLS, and TLS with the far site runs through the bare relay.
"""

from typing import Final

import trio

from van.errors import RemoteProtocolError, Unreachable
from van.names import Endpoint
from van.router.channels.channel import Channel
from van.router.channels.greeting import Greeter
from van.router.channels.pending import PendingSetups
from van.router.channels.pools import Pools
from van.router.channels.requested import RequestedChannels
from van.router.links.link import Link
from van.router.links.routes import Routes
from van.router.links.table import LinkTable
from van.router.reactor import connecting, tls_io
from van.router.reactor.message_stream import MessageStream
from van.router.reactor.supervisor import Tasks
from van.tls.connection import TlsConnection
from van.wire import channel as wire
from van.wire.channel import CODEC, MAX_CONTROL_PAYLOAD, Refused, Role

BEST: Final = 0
SECOND: Final = 1
"""Choices among paths of equal cost, for every site on the way."""


class ChannelDialer:
    """Makes channels along the present paths, and keeps those that are idle in pools.

    All in trio's thread. A channel that is being made is given up when the link that it needs is
    lost, when it takes longer than `Limits.setup_timeout`, or when its task is cancelled.
    """

    def __init__(self, greeter: Greeter, routes: Routes, links: LinkTable, tasks: Tasks) -> None:
        self.pools = Pools(self.make, self.make_standby, self._is_best, greeter.loop.limits, tasks)
        self.table = greeter.table
        self.pending = PendingSetups()
        """What is being set up over each link, here and for others."""
        self.requested = RequestedChannels(links.ask)
        self._greeter = greeter
        self._limits = greeter.loop.limits
        self._routes = routes
        self._links = links

    async def make(self, site: str) -> Channel:
        """Return a new channel on which this site opens flows to another; raise `RemoteError`."""
        return await self._make_via(self._routes.next_hop(site), site, BEST)

    async def make_standby(self, site: str) -> Channel:
        """Return a new channel along another path than the best; raise `RemoteError`."""
        return await self._make_via(self._routes.second_hop(site), site, SECOND)

    async def dial(self, neighbor: str, endpoint: Endpoint, role: Role) -> Channel:
        """Return a new channel to a neighbour's link port; raise `RemoteError`."""
        sock = await connecting.dial(endpoint)
        return await self._greeter.greet(sock, site=neighbor, neighbor=neighbor, role=role)

    def link_closed(self, link: Link) -> None:
        """Give up the channels that are being set up over a link, whichever side dials them; those
        that stand go with it only if it was deleted."""
        self.requested.link_lost(link.neighbor)
        self.pending.link_lost(link.neighbor)
        if link.is_deleted:
            self._greeter.table.abort(link.neighbor, "the link was deleted")

    def _is_best(self, path: tuple[str, ...]) -> bool:
        fib = self._routes.fib
        route = fib.routes.get(path[-1])
        return route is not None and (path == route.path or fib.cost_along(path) <= route.cost)

    async def _make_via(self, next_hop: str | None, site: str, choice: int) -> Channel:
        if next_hop is None:
            raise Unreachable(f"no path to site {site!r}")
        timeout = self._limits.setup_timeout
        try:
            with trio.fail_after(timeout), self.pending.over(next_hop):
                if next_hop != site:
                    return await self._make_relayed(site, next_hop, choice)
                return await self._make_direct(site)
        except trio.TooSlowError as exc:
            raise Unreachable(f"no channel to site {site!r} in {timeout:.0f} s") from exc

    async def _make_direct(self, neighbor: str) -> Channel:
        endpoint = self._links.endpoint(neighbor)
        if endpoint is None:
            channel = await self.requested.make(neighbor)
        else:
            channel = await self.dial(neighbor, endpoint, Role.DIALER_OPENS)
        channel.path = (self._routes.fib.site, neighbor)
        return channel

    async def _make_relayed(self, site: str, next_hop: str, choice: int) -> Channel:
        request = wire.Relay(site, self._routes.fib.hop_limit(site), choice)
        tls, path = await self.relay_through(next_hop, request)
        bare = await tls_io.unwrap(tls)
        role = Role.DIALER_OPENS
        channel = await self._greeter.greet(bare, site=site, neighbor=next_hop, role=role)
        channel.path = (self._routes.fib.site, *path) if path else ()
        return channel

    async def relay_through(
        self, next_hop: str, request: wire.Relay
    ) -> tuple[TlsConnection, tuple[str, ...]]:
        """Turn a channel to the next hop into a relay; return it at the point of unwrapping, and
        the sites that it runs through from there on, if they tell.

        Raises `Unreachable` with the reason of whichever hop declined.
        """
        tls = await self._take_hop(next_hop)
        conversation = MessageStream(tls, CODEC, max_payload=MAX_CONTROL_PAYLOAD)
        try:
            await conversation.send(request)
            answer = await conversation.receive()
            if isinstance(answer, Refused):
                raise Unreachable(answer.message)
            if not isinstance(answer, wire.Relayed) or conversation.detach()[1]:
                raise RemoteProtocolError(f"site {next_hop!r} did not answer a relay request")
        except BaseException:
            conversation.close()
            raise
        path = (next_hop, *answer.path)
        is_known = path[-1] == request.destination and len(path) <= wire.MAX_RELAY_PATH
        return tls, path if is_known else ()

    async def _take_hop(self, neighbor: str) -> TlsConnection:
        """Return a connection over the link to a neighbour, for a relay."""
        if self._routes.next_hop(neighbor) == neighbor:
            pool = self.pools.pool(neighbor)
            hop = await pool.acquire()
            try:
                if hop.neighbor == neighbor:
                    return hop.detach()
            finally:
                pool.release(hop)
        # Flows to the neighbour go round its link, or did so just now; but what is relayed must
        # end with that link, so that it has to run over it.
        return (await self._make_direct(neighbor)).detach()
