"""How channels are accepted on which others open flows, and who serves what they ask for there.

An idle channel waits for BUNDLE, CARRY, RELAY, BRANCH, or a question to this site. Who serves which
is a table that is given: this room knows nothing of flows. A relay that ends here is a channel that
comes from afar.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import trio

from van.errors import RemoteError, RemoteProtocolError
from van.router.channels.channel import Channel
from van.router.channels.dialer import ChannelDialer
from van.router.channels.frames import Unused
from van.router.channels.greeting import Greeter
from van.router.reactor import sockets, tls_io
from van.router.reactor.supervisor import Tasks
from van.tls.connection import TlsConnection
from van.wire import channel as wire
from van.wire.channel import CODEC, Role
from van.wire.flow_protocol import receive_idle
from van.wire.flow_states import FlowRole
from van.wire.framing import Message

logger = logging.getLogger(__name__)

Handler = Callable[[Channel, Any], None]
"""Begins to serve a request on a channel, in its event loop's thread; may raise
`RemoteProtocolError`, which ends the channel. It gives the channel another user for as long as that
takes, or pauses it; then the user is the same again, and the channel resumed."""
Handlers = Mapping[type[Message], Handler]


class Acceptor:
    """Accepts channels, and hands what is asked for on them to who serves it.

    All in trio's thread. `accept` runs in the task of the connection; what a channel that waits is
    sent, is handled by the event loop. A defect in a handler ends its channel alone.
    """

    def __init__(
        self, greeter: Greeter, dialer: ChannelDialer, tasks: Tasks, handlers: Handlers
    ) -> None:
        self._greeter = greeter
        self._dialer = dialer
        self._tasks = tasks
        self._handlers: dict[type[Message], Handler] = {**handlers, wire.Relay: self._serve_relay}
        self._pass_on = handlers[wire.Relay]

    async def accept(self, tls: TlsConnection, *, neighbor: str | None = None) -> None:
        """Serve a connection that was dialled as a channel; it belongs to this call.

        The neighbour is None for a connection to the link port: then the peer is one. Raises
        `RemoteError`; the caller sets the deadline.
        """
        channel, role = await self._greeter.answer(tls, neighbor)
        if role is Role.DIALER_OPENS:
            self.await_flows(channel)
        else:
            self._dialer.requested.arrived(channel)

    def await_flows(self, channel: Channel) -> None:
        """Make an idle channel serve what its ingress sends next."""
        channel.hand_to(_AwaitingRequest(channel, self._handlers))
        if not channel.is_blocked:
            channel.resume()

    # -- relays that end here ------------------------------------------------------------------

    def _serve_relay(self, channel: Channel, request: wire.Relay) -> None:
        if request.destination != self._greeter.trust.site:
            self._pass_on(channel, request)
            return
        channel.pause()
        self._tasks.start(self._end_relay, channel, end=channel.fail)
        self._greeter.loop.yield_to_tasks()

    async def _end_relay(self, channel: Channel) -> None:
        timeout = self._greeter.loop.limits.setup_timeout
        try:
            with trio.fail_after(timeout), self._dialer.pending.over(channel.neighbor):
                await self._be_destination(channel)
        except (RemoteError, trio.TooSlowError, OSError) as exc:
            logger.info("relay from %s failed: %s", channel.neighbor, sockets.describe(exc))
            channel.close()

    async def _be_destination(self, channel: Channel) -> None:
        """End the last hop's TLS, and begin that with the ingress."""
        tls = channel.detach()
        try:
            await tls_io.send_all(tls, CODEC.encode(wire.Relayed()))
        except BaseException:
            tls.close()
            raise
        bare = await tls_io.unwrap(tls)
        context = self._greeter.trust.relayed_context()
        inner = await tls_io.handshake(context, bare, server_side=True)
        if inner.alpn != wire.ALPN:
            inner.close()
            raise RemoteProtocolError("a relay is for channels only")
        await self.accept(inner, neighbor=channel.neighbor)


class _AwaitingRequest(Unused):
    """The user of an idle channel at its egress: waits for what its table has a handler for.

    It skips what an ingress still sent of a flow whose end it had not heard of. An ingress that
    does not read the answers to what it asked can ask no more: they would pile up here.
    """

    __slots__ = ("_channel", "_handlers")

    def __init__(self, channel: Channel, handlers: Handlers) -> None:
        self._channel = channel
        self._handlers = handlers

    def channel_writable(self) -> None:
        """Read again, now that the ingress has taken the last answer."""
        self._channel.resume()

    def receive_frame(self, kind: int, message: Message | None) -> None:
        """Start what the ingress asks for."""
        handler = self._handlers.get(type(message)) if message is not None else None
        if handler is None:
            receive_idle(FlowRole.EGRESS, kind)
        else:
            handler(self._channel, message)
