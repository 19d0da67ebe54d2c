"""The first words on a channel, from the side that dials it and from the one that accepts it."""

import socket

from van.errors import CertificateError, LinkLost, RemoteProtocolError, Unreachable
from van.router.channels.channel import Channel
from van.router.channels.frames import UNUSED
from van.router.channels.table import ChannelTable
from van.router.reactor import sockets, tls_io
from van.router.reactor.loop import EventLoop
from van.router.reactor.message_stream import MessageStream
from van.router.site.trust import Trust
from van.tls.connection import TlsConnection
from van.tls.identity import SiteIdentity
from van.wire import channel as wire
from van.wire.channel import CODEC, MAX_CONTROL_PAYLOAD, Role


class Greeter:
    """Makes channels of connections whose other end has proved itself, and holds them.

    A channel that it returns is paused, and has no user yet: whoever asked for it gives it one.
    """

    def __init__(self, trust: Trust, loop: EventLoop) -> None:
        self.trust = trust
        self.loop = loop
        self.table = ChannelTable()

    async def greet(self, sock: socket.socket, *, site: str, neighbor: str, role: Role) -> Channel:
        """Shake hands as the side that dials, check who is there, and exchange hellos.

        The connection belongs to this call. Raises `RemoteError`.
        """
        try:
            context = self.trust.dialling_context(wire.ALPN)
            tls = await tls_io.handshake(context, sock, server_side=False)
        except OSError as exc:
            raise LinkLost(f"handshake failed: {sockets.describe(exc)}") from exc
        conversation = MessageStream(tls, CODEC, max_payload=MAX_CONTROL_PAYLOAD)
        try:
            peer = self.trust.peer_site(tls)
            if peer.site != site:
                raise CertificateError(f"expected site {site!r}, found {peer.site!r}")
            await conversation.send(wire.Hello(wire.VERSION, role))
            answer = await conversation.receive()
            if isinstance(answer, wire.Refused):
                raise Unreachable(f"site {site!r} declined: {answer.message}")
            if not isinstance(answer, wire.Hello):
                raise RemoteProtocolError(f"site {site!r} did not greet")
        except BaseException:
            conversation.close()
            raise
        return self._adopt(conversation, peer, neighbor)

    async def answer(self, tls: TlsConnection, neighbor: str | None) -> tuple[Channel, Role]:
        """Exchange hellos as the side that accepts; return what the other one is to be.

        The neighbour is None for a connection to the link port: then the peer is one. The
        connection belongs to this call. Raises `RemoteError`.
        """
        conversation = MessageStream(tls, CODEC, max_payload=MAX_CONTROL_PAYLOAD)
        try:
            hello = await conversation.receive()
            peer = await self._identify(tls, conversation)
            if not isinstance(hello, wire.Hello):
                raise RemoteProtocolError(f"site {peer.site!r} did not greet")
            await conversation.send(wire.Hello(min(hello.version, wire.VERSION), hello.role))
        except BaseException:
            conversation.close()
            raise
        return self._adopt(conversation, peer, neighbor or peer.site), hello.role

    async def _identify(self, tls: TlsConnection, conversation: MessageStream) -> SiteIdentity:
        """Return the site that has dialled; raise `CertificateError`, of which it is told too."""
        try:
            return self.trust.peer_site(tls)
        except CertificateError as exc:
            await conversation.send(wire.Refused(wire.Reason.NOT_ALLOWED, str(exc)[:500]))
            raise

    def _adopt(self, conversation: MessageStream, peer: SiteIdentity, neighbor: str) -> Channel:
        try:
            self.trust.expulsions.check(peer)  # which it may be since it showed its certificate
        except BaseException:
            conversation.close()
            raise
        tls, unread = conversation.detach()
        channel = Channel(self.loop, tls, peer=peer, neighbor=neighbor, user=UNUSED, unread=unread)
        channel.pause()
        self.table.add(channel)
        return channel
