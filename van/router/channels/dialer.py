"""How channels are made on which this site opens flows: dialled, asked for, or relayed.

A channel to a neighbour is a TLS connection to its link port, dialled by whichever side can. A
channel to any other site begins as a channel to the next hop: RELAY goes ahead, every hop ends its
own TLS, and TLS with the far site runs through the bare relay.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

import attrs
import trio

from van.errors import LinkLost, RemoteError, RemoteProtocolError, Unreachable
from van.names import Endpoint
from van.router.channels.channel import Channel
from van.router.channels.doubts import Doubts
from van.router.channels.greeting import Greeter
from van.router.channels.pending import PendingSetups
from van.router.channels.pools import Makers, Pools
from van.router.channels.requested import RequestedChannels
from van.router.links.link import Link
from van.router.links.routes import Routes
from van.router.links.table import LinkTable
from van.router.reactor import connecting, tls_io
from van.router.reactor.message_stream import MessageStream
from van.router.reactor.racing import AllFailed, race
from van.router.reactor.supervisor import Tasks
from van.router.telemetry.events import EventLog
from van.tls.connection import TlsConnection
from van.wire import channel as wire
from van.wire.channel import CODEC, MAX_CONTROL_PAYLOAD, Refused, Role

BEST: Final = 0
SECOND: Final = 1
"""Choices among paths of equal cost, for every site on the way."""


ROUND_TRIPS: Final = 6
"""Those that a channel through relays takes to be made, and some more."""
T = TypeVar("T")


@attrs.frozen
class Hop:
    """Where a path begins; None when there is none."""

    site: str | None
    choice: int = BEST


class Silent(Unreachable):
    """Something on the path has not answered in time."""


class ChannelDialer:
    """Makes channels along the present paths, and keeps those that are idle in pools.

    All in trio's thread. A channel that is being made is given up when the link that it needs is
    lost, when it takes longer than `Limits.setup_timeout`, or when its task is cancelled.
    """

    def __init__(
        self,
        greeter: Greeter,
        routes: Routes,
        links: LinkTable,
        tasks: Tasks,
        *,
        event_log: EventLog,
    ) -> None:
        makers = Makers(self.make, self.make_standby, self.probe)
        self.pools = Pools(makers, self._is_best, greeter.loop.limits, tasks)
        self.doubts = Doubts(event_log)
        """Paths along which no channel could be made of late."""
        self.table = greeter.table
        self.pending = PendingSetups()
        """What is being set up over each link, here and for others."""
        self.requested = RequestedChannels(links.ask)
        self._greeter = greeter
        self._limits = greeter.loop.limits
        self._routes = routes
        self._links = links

    async def make(self, site: str) -> Channel:
        """Return a new channel on which this site opens flows to another; raise `RemoteError`.

        It runs along the best path, unless that fails or is silent, or did so of late, and another
        one is sooner.
        """
        return await self._first_via(self.hops(site), site, self._make_via, Channel.close)

    async def probe(self, site: str) -> Channel:
        """Return a new channel along the best path, whatever is known of that; raise
        `RemoteError`."""
        return await self._along(Hop(self._routes.next_hop(site), BEST), site, self._make_via)

    async def make_standby(self, site: str) -> Channel:
        """Return a new channel along another path than the best; raise `RemoteError`."""
        return await self._make_via(Hop(self._routes.second_hop(site), SECOND), site)

    def hops(self, site: str, choice: int = BEST) -> list[Hop]:
        """Return where the paths to a site begin, those that are to be tried first before others.

        The choice is among paths of equal cost, for every site on the way.
        """
        best = Hop(self._routes.next_hop(site, choice), choice)
        equal = Hop(self._routes.next_hop(site, choice + 1), choice + 1)
        second = equal if equal.site != best.site else Hop(self._routes.second_hop(site), choice)
        found = [best, second] if second.site is not None else [best]
        if len(found) > 1 and best.site and self.doubts.is_doubtful(best.site, site):
            found.reverse()
        return found

    async def relay_on(
        self, request: wire.Relay, *, without: str
    ) -> tuple[str, TlsConnection, tuple[str, ...]]:
        """Pass a relay request on toward its destination, but not back to a neighbour.

        Returns the next hop, and what `relay_through` does; raises `RemoteError`.
        """

        async def relay(hop: Hop, site: str) -> tuple[str, TlsConnection, tuple[str, ...]]:
            assert hop.site is not None
            with self.pending.over(hop.site):
                further = wire.Relay(site, request.hop_limit - 1, hop.choice)
                return hop.site, *await self.relay_through(hop.site, further)

        hops = self.hops(request.destination, request.choice)
        hops = [hop for hop in hops if hop.site not in {None, without}]
        return await self._first_via(
            hops, request.destination, relay, lambda relayed: relayed[1].close()
        )

    async def _first_via(
        self,
        hops: Sequence[Hop],
        site: str,
        make: Callable[[Hop, str], Awaitable[T]],
        discard: Callable[[T], object],
    ) -> T:
        """Return what can be made along the first of some paths; the next one is tried as soon as
        one has failed, and beside one that is silent."""
        began = trio.current_time()
        if len(hops) < 2:
            return await self._along(hops[0] if hops else Hop(None), site, make)
        patience = self._limits.setup_patience + ROUND_TRIPS * self._routes.fib.round_trip(site)
        try:
            won = await race(
                [partial(self._along, hop, site, make) for hop in hops],
                stagger=patience,
                discard=discard,
                # A path that others get along is busy, and not silent.
                is_promising=lambda _: self._has_worked(site, began),
            )
        except AllFailed as exc:
            lost = any(isinstance(each, LinkLost) for each in exc.failures)
            raise (LinkLost if lost else Unreachable)(str(exc)) from exc
        for hop in hops[: won.number]:
            if hop.site is None or self._has_worked(site, began):
                continue
            if not self.doubts.is_doubtful(hop.site, site):
                why = f"nothing came of it in {trio.current_time() - began:.1f} s"
                self._doubt(hop.site, site, why, is_silent=True)
        return won.result

    def _has_worked(self, site: str, since: float) -> bool:
        """Tell whether a channel along the best path was made since a time."""
        return self.pools.pool(site).made_at > since

    async def _along(self, hop: Hop, site: str, make: Callable[[Hop, str], Awaitable[T]]) -> T:
        """Make something along one path, and take note of how that went."""
        try:
            made = await make(hop, site)
        except LinkLost:
            raise  # routing knows
        except RemoteError as exc:
            if hop.site is not None:
                self._doubt(hop.site, site, str(exc), is_silent=isinstance(exc, Silent))
            raise
        if hop.site is not None:
            self.doubts.worked(hop.site, site)
        return made

    def _doubt(self, hop: str, site: str, why: str, *, is_silent: bool) -> None:
        route = self._routes.fib.routes.get(site)
        best = () if route is None else route.path
        self.doubts.failed(hop, site, why, best=best, is_silent=is_silent)

    async def dial(self, neighbor: str, endpoint: Endpoint, role: Role) -> Channel:
        """Return a new channel to a neighbour's link port; raise `RemoteError`."""
        sock = await connecting.dial(endpoint)
        return await self._greeter.greet(sock, site=neighbor, neighbor=neighbor, role=role)

    def link_closed(self, link: Link) -> None:
        """Give up the channels that are being set up over a link, whichever side dials them; those
        that stand go with it only if it was deleted."""
        self.requested.link_lost(link.neighbor)
        self.pending.link_lost(link.neighbor)
        self.doubts.link_closed(link.neighbor)
        if link.is_deleted:
            self._greeter.table.abort(link.neighbor, "the link was deleted", is_told=True)

    def _is_best(self, path: tuple[str, ...]) -> bool:
        fib = self._routes.fib
        route = fib.routes.get(path[-1])
        return route is not None and (path == route.path or fib.cost_along(path) <= route.cost)

    async def _make_via(self, hop: Hop, site: str) -> Channel:
        next_hop, choice = hop.site, hop.choice
        if next_hop is None:
            raise Unreachable(f"no path to site {site!r}")
        timeout = self._limits.setup_timeout
        try:
            with trio.fail_after(timeout), self.pending.over(next_hop):
                if next_hop != site:
                    return await self._make_relayed(site, next_hop, choice)
                return await self._make_direct(site)
        except trio.TooSlowError as exc:
            raise Silent(f"no channel to site {site!r} in {timeout:.0f} s") from exc

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
