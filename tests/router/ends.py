"""Channels whose far end is in the test's own hands."""

import contextlib
import socket
from collections.abc import AsyncIterator

import attrs
import trio

from van.router.channels.channel import Channel
from van.router.reactor import tls_io
from van.router.reactor.loop import EventLoop
from van.tls.connection import TlsConnection
from van.tls.contexts import client_context, server_context
from van.tls.credentials import Credentials
from van.tls.keys import generate_key, make_request
from van.wire.channel import ALPN
from van.wire.framing import Message


class Nobody:
    """A user of a channel that remembers what it was told."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.lost = ""

    def receive_data(self, data: memoryview) -> None:
        self.frames.append(0)

    def receive_datagram(self, data: memoryview) -> None:
        self.frames.append(-len(data))

    def receive_frame(self, kind: int, message: Message | None) -> None:
        self.frames.append(kind)

    def channel_writable(self) -> None:
        pass

    def channel_lost(self, reason: str) -> None:
        self.lost = reason


@attrs.define(eq=False)
class Ends:
    """Makes channels to a site named east, each with the TLS socket of its far end."""

    loop: EventLoop
    west: Credentials
    east: Credentials
    far: list[TlsConnection] = attrs.field(factory=list)

    async def channel(self, *, neighbor: str = "east") -> Channel:
        """Return a channel, paused; its far end is the last in `far`."""
        near, far = socket.socketpair()
        for each in (near, far):
            each.setblocking(False)
        done: list[TlsConnection] = []

        async def accept() -> None:
            context = server_context(self.east, (ALPN,))
            with contextlib.suppress(OSError):  # a test has ended in the midst of it
                done.append(await tls_io.handshake(context, far, server_side=True))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept)
            context = client_context(self.west.chain, self.west.key, self.west.root, (ALPN,))
            tls = await tls_io.handshake(context, near, server_side=False)
        self.far.append(done[0])
        channel = Channel(self.loop, tls, peer=self.east.identity, neighbor=neighbor, user=Nobody())
        channel.pause()
        return channel


@contextlib.asynccontextmanager
async def two_ends() -> AsyncIterator[Ends]:
    """Lend a loop that runs, and two sites of one VAN."""
    west = Credentials.create("west")
    key = generate_key()
    assert west.authority is not None
    chain = west.authority.issue_site(make_request(key), site="east", grants=west.identity.grants)
    ends = Ends(EventLoop(), west, Credentials.joined(key, chain, west.root))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.loop.run)
            yield ends
            nursery.cancel_scope.cancel()
    finally:
        for each in ends.far:
            each.close()
        ends.loop.close()
