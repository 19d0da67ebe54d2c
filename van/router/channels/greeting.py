"""The first words on a channel, from the side that dials it and from the one that accepts it."""

import socket

from van.errors import CertificateError, LinkLost, OtherRevision, RemoteProtocolError, Unreachable
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
from van.wire.revision import MAJOR, MINOR, agreed_minor, check_major


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
            await conversation.send(wire.Hello(MAJOR, role, MINOR))
            answer = await conversation.receive()
            if isinstance(answer, wire.Refused):
                raise Unreachable(f"site {site!r} declined: {answer.message}")
            if not isinstance(answer, wire.Hello):
                raise RemoteProtocolError(f"site {site!r} did not greet")
            try:
                check_major(answer.major, peer=site, site=self.trust.site)
            except OtherRevision as exc:
                await conversation.send(wire.Farewell(str(exc)[:500]))
                raise
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
            try:
                peer = self.trust.peer_site(tls)
                if not isinstance(hello, wire.Hello):
                    raise RemoteProtocolError(f"site {peer.site!r} did not greet")
                check_major(hello.major, peer=peer.site, site=self.trust.site)
            except (CertificateError, OtherRevision) as exc:
                await conversation.send(wire.Refused(wire.Reason.NOT_ALLOWED, str(exc)[:500]))
                raise
            await conversation.send(wire.Hello(MAJOR, hello.role, agreed_minor(hello.minor)))
        except BaseException:
            conversation.close()
            raise
        return self._adopt(conversation, peer, neighbor or peer.site), hello.role

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
