"""How channels come to be: dialled, accepted, asked for, and relayed.

A channel to a neighbour is a TLS connection to its link port, dialled by whichever side can. A
channel to any other site begins as a channel to the next hop: RELAY goes ahead, every hop ends its
own TLS, and TLS with the far site runs through the bare relay.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

import trio

from van.errors import CertificateError, LinkLost, RemoteError, RemoteProtocolError, Unreachable
from van.names import Endpoint
from van.router.channels.channel import Channel
from van.router.channels.pending import Setups
from van.router.channels.pools import Pools
from van.router.channels.requested import AskedChannels
from van.router.channels.table import ChannelTable
from van.router.flow.drops import Drops
from van.router.forwarding.branches import BranchContext, Branches, Receiver
from van.router.forwarding.relay import Transit
from van.router.reactor import sockets
from van.router.reactor.loop import EventLoop
from van.router.reactor.message_stream import Conversation
from van.router.reactor.splice import DirectionFactory
from van.router.site.trust import Trust
from van.tls.connection import TlsConnection
from van.tls.contexts import Context
from van.tls.identity import SiteIdentity
from van.wire import channel as wire
from van.wire.channel import CODEC, MAX_CONTROL_PAYLOAD, Open, Refused, Role
from van.wire.flow_protocol import receive_idle
from van.wire.flow_states import FlowRole
from van.wire.framing import Message

logger = logging.getLogger(__name__)

BEST: Final = 0
SECOND: Final = 1
"""Choices among paths of equal cost, for every site on the way."""


class Network(Protocol):
    """What channels need to know of links and routes."""

    def next_hop(self, site: str) -> str | None:
        """Return the neighbour on the best path to a site, the site itself when it is one."""

    def second_hop(self, site: str) -> str | None:
        """Return the neighbour on another path to a site, or None."""

    def relay_hop(self, site: str, choice: int) -> str | None:
        """Return the neighbour to which a relay is passed on, by the ingress's choice of paths."""

    def has_link(self, site: str) -> bool:
        """Tell whether a link to a site is up."""

    def hop_limit(self, site: str) -> int:
        """Return how many sites may pass on what is sent to a site."""

    def may_pass(self) -> bool:
        """Tell whether others may send through this site."""

    def dial_endpoint(self, neighbor: str) -> Endpoint | None:
        """Return where a neighbour can be dialled, or None when it dials this site."""

    def ask_for_channels(self, neighbor: str, count: int) -> None:
        """Ask a neighbour to dial; raise `LinkLost` when no link is up."""


OpenFlow = Callable[[Channel, Open], None]
"""Begins to serve a flow; the channel's user is the same again when the flow is over."""


class Channels:
    """Makes and accepts channels, and serves relays, with tasks of its own."""

    def __init__(
        self,
        *,
        trust: Trust,
        loop: EventLoop,
        network: Network,
        open_flow: OpenFlow,
        make_direction: DirectionFactory,
        drops: Drops,
        receiver: Receiver,
    ) -> None:
        """`receiver` takes the multicast datagrams that are for this site, among others."""
        self.table = ChannelTable()
        self.pools = Pools(self.make, self.make_standby, loop.limits)
        self.branch_context = BranchContext(loop, self.pools, drops, network.has_link)
        self._branches = Branches(self.branch_context, trust.site, network.may_pass, receiver)
        self._trust = trust
        self._loop = loop
        self._network = network
        self._open_flow = open_flow
        self._asked = AskedChannels(network.ask_for_channels)
        self._setups = Setups()
        self._transit = Transit(
            site=trust.site,
            loop=loop,
            table=self.table,
            relay_hop=network.relay_hop,
            may_pass=network.may_pass,
            relay_through=self._relay_through,
            setups=self._setups,
            make_direction=make_direction,
        )
        self._dialling: Counter[str] = Counter()
        self._nursery: trio.Nursery | None = None

    @property
    def relays(self) -> int:
        """Return how many relays run through this site."""
        return self._transit.relays

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the tasks of channels until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.pools.run)
            await nursery.start(self.branch_context.tasks.run)
            self._nursery = nursery
            task_status.started()

    # -- making --------------------------------------------------------------------------------

    async def make(self, site: str) -> Channel:
        """Return a new channel on which this site opens flows to another; raise `RemoteError`."""
        return await self._make_via(self._network.next_hop(site), site, BEST)

    async def make_standby(self, site: str) -> Channel:
        """Return a new channel along another path than the best; raise `RemoteError`."""
        return await self._make_via(self._network.second_hop(site), site, SECOND)

    async def _make_via(self, next_hop: str | None, site: str, choice: int) -> Channel:
        if next_hop is None:
            raise Unreachable(f"no path to site {site!r}")
        try:
            with trio.fail_after(self._loop.limits.setup_timeout), self._setups.over(next_hop):
                if next_hop != site:
                    return await self._make_relayed(site, next_hop, choice)
                return await self._make_direct(site)
        except trio.TooSlowError as exc:
            raise Unreachable(
                f"no channel to site {site!r} in {self._loop.limits.setup_timeout:.0f} s"
            ) from exc

    async def _make_direct(self, neighbor: str) -> Channel:
        endpoint = self._network.dial_endpoint(neighbor)
        if endpoint is None:
            return await self._asked.make(neighbor)
        return await self._dial(neighbor, endpoint, Role.DIALER_OPENS)

    def dial_for(self, neighbor: str, count: int) -> None:
        """Dial channels on which the neighbour opens flows, because it asked for them."""
        endpoint = self._network.dial_endpoint(neighbor)
        if endpoint is not None and self._nursery is not None:
            for _ in range(min(count, self._loop.limits.max_dialling - self._dialling[neighbor])):
                self._dialling[neighbor] += 1
                self._nursery.start_soon(self._dial_for, neighbor, endpoint)

    async def _dial_for(self, neighbor: str, endpoint: Endpoint) -> None:
        try:
            with trio.fail_after(self._loop.limits.setup_timeout), self._setups.over(neighbor):
                channel = await self._dial(neighbor, endpoint, Role.ACCEPTOR_OPENS)
        except (RemoteError, trio.TooSlowError) as exc:
            logger.info("no channel for %s: %s", neighbor, exc)
        except Exception:
            # A defect that one neighbour can reach must not end the router.
            logger.exception("no channel for %s", neighbor)
        else:
            self._await_flows(channel)
        finally:
            self._dialling[neighbor] -= 1

    async def _dial(self, neighbor: str, endpoint: Endpoint, role: Role) -> Channel:
        sock = await sockets.dial(endpoint)
        tls = await self._shake_hands(self._trust.dialling_context(wire.ALPN), sock)
        return await self._greet(tls, site=neighbor, neighbor=neighbor, role=role)

    def link_lost(self, neighbor: str) -> None:
        """Give up the channels that are being set up over a link, whichever side dials them."""
        self._asked.link_lost(neighbor)
        self._setups.link_lost(neighbor)

    async def _make_relayed(self, site: str, next_hop: str, choice: int) -> Channel:
        request = wire.Relay(site, self._network.hop_limit(site), choice)
        tls = await self._relay_through(next_hop, request)
        bare = await sockets.unwrap(tls)
        inner = await self._shake_hands(self._trust.dialling_context(wire.ALPN), bare)
        return await self._greet(inner, site=site, neighbor=next_hop, role=Role.DIALER_OPENS)

    async def _relay_through(self, next_hop: str, request: wire.Relay) -> TlsConnection:
        """Turn a channel to the next hop into a relay; return it at the point of unwrapping.

        Raises `Unreachable` with the reason of whichever hop declined.
        """
        tls = await self._take_hop(next_hop)
        conversation = Conversation(tls, CODEC, max_payload=MAX_CONTROL_PAYLOAD)
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
        return tls

    async def _take_hop(self, neighbor: str) -> TlsConnection:
        """Return a connection over the link to a neighbour, for a relay."""
        if self._network.next_hop(neighbor) == neighbor:
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

    async def _shake_hands(self, context: Context, sock: sockets.Socket) -> TlsConnection:
        try:
            return await sockets.handshake(context, sock, server_side=False)
        except OSError as exc:
            raise LinkLost(f"handshake failed: {sockets.describe(exc)}") from exc

    async def _greet(self, tls: TlsConnection, *, site: str, neighbor: str, role: Role) -> Channel:
        """Check who is there, and exchange hellos as the side that dialled."""
        conversation = Conversation(tls, CODEC, max_payload=MAX_CONTROL_PAYLOAD)
        try:
            peer = self._trust.peer_site(tls)
            if peer.site != site:
                raise CertificateError(f"expected site {site!r}, found {peer.site!r}")
            await conversation.send(wire.Hello(wire.VERSION, role))
            answer = await conversation.receive()
            if not isinstance(answer, wire.Hello):
                raise RemoteProtocolError(f"site {site!r} did not greet")
        except BaseException:
            conversation.close()
            raise
        return self._adopt(conversation, peer, neighbor)

    def _adopt(self, conversation: Conversation, peer: SiteIdentity, neighbor: str) -> Channel:
        tls, unread = conversation.detach()
        channel = Channel(
            self._loop, tls, peer=peer, neighbor=neighbor, user=_Unused(), unread=unread
        )
        channel.pause()
        self.table.add(channel)
        return channel

    # -- accepting -----------------------------------------------------------------------------

    async def accept(self, tls: TlsConnection, *, neighbor: str | None = None) -> None:
        """Serve a connection that was dialled as a channel; it belongs to this call.

        The neighbour is None for a connection to the link port: then the peer is one. Raises
        `RemoteError`; the caller sets the deadline.
        """
        conversation = Conversation(tls, CODEC, max_payload=MAX_CONTROL_PAYLOAD)
        try:
            peer = self._trust.peer_site(tls)
            hello = await conversation.receive()
            if not isinstance(hello, wire.Hello):
                raise RemoteProtocolError(f"site {peer.site!r} did not greet")
            await conversation.send(wire.Hello(min(hello.version, wire.VERSION), hello.role))
        except BaseException:
            conversation.close()
            raise
        channel = self._adopt(conversation, peer, neighbor or peer.site)
        if hello.role is Role.DIALER_OPENS:
            self._await_flows(channel)
        else:
            self._asked.arrived(channel)

    def _await_flows(self, channel: Channel) -> None:
        """Make an idle channel serve what its ingress sends next."""
        channel.user = _AwaitingOpen(self, channel)
        if not channel.is_blocked:
            channel.resume()

    def serve_open(self, channel: Channel, request: Open) -> None:
        """Begin to serve a flow on a channel."""
        self._open_flow(channel, request)

    def serve_branch(self, channel: Channel, request: wire.Branch) -> None:
        """Begin to pass a group's datagrams on; raise `RemoteProtocolError` if it has no tree."""
        self._branches.serve(channel, request)

    def serve_relay(self, channel: Channel, request: wire.Relay) -> None:
        """Start to pass a channel on, which is paused meanwhile."""
        if self._nursery is None:
            raise RuntimeError("the channels are not running")
        channel.pause()
        self._nursery.start_soon(self._guard_relay, channel, request)
        self._loop.yield_to_tasks()

    async def _guard_relay(self, channel: Channel, request: wire.Relay) -> None:
        try:
            await self._serve_relay(channel, request)
        except Exception:
            # A defect that one peer can reach must not end the links and flows of the others.
            logger.exception("%r failed", channel)
            channel.abort()

    # -- relaying ------------------------------------------------------------------------------

    async def _serve_relay(self, channel: Channel, request: wire.Relay) -> None:
        try:
            with (
                trio.fail_after(self._loop.limits.setup_timeout),
                self._setups.over(channel.neighbor),
            ):
                if request.destination == self._trust.site:
                    await self._be_destination(channel)
                    return
                relay = await self._transit.pass_on(channel, request)
        except (RemoteError, trio.TooSlowError, OSError) as exc:
            logger.info("relay to %s failed: %s", request.destination, sockets.describe(exc))
            channel.close()
            return
        if relay is not None:
            await self._transit.hold(relay, channel.neighbor)
        elif channel.is_open:
            self._await_flows(channel)

    async def _be_destination(self, channel: Channel) -> None:
        """End the last hop's TLS, and begin that with the ingress."""
        tls = channel.detach()
        try:
            await sockets.send_all(tls, CODEC.encode(wire.Relayed()))
        except BaseException:
            tls.close()
            raise
        bare = await sockets.unwrap(tls)
        inner = await sockets.handshake(self._trust.relayed_context(), bare, server_side=True)
        if inner.alpn != wire.ALPN:
            inner.close()
            raise RemoteProtocolError("a relay is for channels only")
        await self.accept(inner, neighbor=channel.neighbor)


class _Unused:
    """The user of a channel that nobody uses yet; the channel is paused."""

    def receive_data(self, data: memoryview) -> None:
        """See no data: the channel is paused."""

    def receive_datagram(self, data: memoryview) -> None:
        """See no datagram: the channel is paused."""

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """See no frame: the channel is paused."""

    def channel_writable(self) -> None:
        """Have nothing to send."""

    def channel_lost(self, reason: str) -> None:
        """Have nothing to lose."""


class _AwaitingOpen(_Unused):
    """The user of an idle channel at its egress: waits for OPEN, RELAY, or BRANCH.

    It skips what an ingress still sent of a flow whose end it had not heard of. An ingress that
    does not read the answers to what it asked can ask no more: they would pile up here.
    """

    def __init__(self, channels: Channels, channel: Channel) -> None:
        self._channels = channels
        self._channel = channel

    def channel_writable(self) -> None:
        """Read again, now that the ingress has taken the last answer."""
        self._channel.resume()

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Start what the ingress asks for."""
        match message:
            case Open():
                self._channels.serve_open(self._channel, message)
            case wire.Relay():
                self._channels.serve_relay(self._channel, message)
            case wire.Branch():
                self._channels.serve_branch(self._channel, message)
            case _:
                receive_idle(FlowRole.EGRESS, kind)
