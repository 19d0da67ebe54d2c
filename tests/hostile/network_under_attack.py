"""A network with a live flow through it, and peers that do not keep to the protocol."""

import contextlib
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from lab.limits import FAST
from lab.network import Network, Site, network, wait_until
from van.names import Endpoint
from van.router.links.link import exchange_hellos
from van.router.reactor import connecting, tls_io
from van.router.reactor.limits import Limits
from van.router.reactor.message_stream import MessageStream
from van.tls.connection import TlsConnection, WantRead
from van.tls.contexts import Context, client_context
from van.tls.credentials import Credentials
from van.tls.grants import Grants
from van.tls.keys import generate_key, make_request
from van.tls.pem import encode_chain, encode_key
from van.wire import channel, join, link
from van.wire.revision import MAJOR

PATIENCE = 8.0
"""Seconds after which something that should have happened has not."""


async def echo(stream: trio.SocketStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            async for data in stream:
                await stream.send_all(data)


@attrs.define(eq=False)
class LiveFlow:
    """Bytes that go to and fro through the network all the time, each checked."""

    port: int
    rounds: int = 0

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            while True:
                payload = os.urandom(3000)
                with trio.fail_after(PATIENCE):
                    await exchange(stream, payload)
                self.rounds += 1
                if self.rounds == 1:
                    task_status.started()
                await trio.sleep(0.002)


async def exchange(stream: trio.SocketStream, payload: bytes) -> None:
    """Send bytes and see the same come back."""
    await stream.send_all(payload)
    got = b""
    while len(got) < len(payload):
        data = await stream.receive_some(65536)
        assert data, "the flow ended early"
        got += data
    assert got == payload


@attrs.define(eq=False)
class NetworkUnderAttack:
    """Three sites in a line, of which the hub in the middle is attacked."""

    net: Network
    west: Site
    hub: Site
    east: Site
    flow: LiveFlow
    echo_port: int

    @property
    def port(self) -> Endpoint:
        """Return the hub's link port."""
        endpoint = self.hub.router.link_port.endpoint
        assert endpoint is not None
        return endpoint

    @property
    def refused(self) -> dict[str, int]:
        """Return how many connections the hub refused, by cause."""
        return dict(self.hub.router.link_port.refused)

    async def unharmed(self) -> None:
        """See that the live flow goes on, that another can begin, and that the links are up."""
        before = self.flow.rounds
        await wait_until(lambda: self.flow.rounds > before + 2, "the live flow goes on")
        assert {"west", "east"} <= set(self.hub.router.links.up)
        with trio.fail_after(PATIENCE):
            async with await trio.open_tcp_stream("127.0.0.1", self.flow.port) as stream:
                await exchange(stream, b"another flow")
        assert not self.refused.get("defect"), "a defect was met"
        assert not self.hub.router.defects.count, "a defect was met"

    def member(self, site: str = "mallory", **grants: tuple[str, ...]) -> Credentials:
        """Return what a site of the VAN holds that nobody has let in by a token."""
        return issue(self.west, site, Grants(**grants))  # type: ignore[arg-type]

    async def shake_hands(self, credentials: Credentials, alpn: str) -> TlsConnection:
        """Connect to the hub for a conversation, as a site."""
        context = client_context(credentials.chain, credentials.key, credentials.root, (alpn,))
        return await shake_hands(self.port, context)

    async def link(self, mallory: Credentials, **fields: object) -> MessageStream:
        """Link up with the hub, and return the conversation after the hellos."""
        tls = await self.shake_hands(mallory, link.ALPN)
        conversation = MessageStream(tls, link.CODEC, max_payload=link.MAX_MESSAGE)
        values = {"site": mallory.site, "incarnation": 1, "cost": 1, "heartbeat_interval": 60.0}
        hello = link.Hello(major=MAJOR, **(values | fields))  # type: ignore[arg-type]
        await exchange_hellos(conversation, hello, peer="hub")
        await wait_until(lambda: mallory.site in self.hub.router.links.up, "the link is up")
        return conversation

    async def channel(
        self, mallory: Credentials, role: channel.Role = channel.Role.DIALER_OPENS
    ) -> MessageStream:
        """Open a channel to the hub, and return the conversation after the hellos."""
        tls = await self.shake_hands(mallory, channel.ALPN)
        conversation = MessageStream(tls, channel.CODEC, max_payload=1 << 20)
        try:
            await conversation.send(channel.Hello(MAJOR, role))
            assert isinstance(await conversation.receive(), channel.Hello)
        except BaseException:
            conversation.close()
            raise
        return conversation

    async def join(self, context: Context) -> MessageStream:
        """Begin to join at the hub."""
        return MessageStream(
            await shake_hands(self.port, context), join.CODEC, max_payload=join.MAX_MESSAGE
        )


def issue(
    root: Site, site: str, grants: Grants | None = None, *, lifetime: timedelta = timedelta(hours=1)
) -> Credentials:
    """Return the credentials of a site, made by the site that holds the root."""
    authority = root.router.trust.credentials.authority
    assert authority is not None
    key = generate_key()
    chain = authority.issue_site(
        make_request(key), site=site, grants=grants or Grants(), lifetime=lifetime
    )
    return Credentials.joined(key, chain, authority.root)


_OPENED: list[TlsConnection | ssl.SSLSocket] = []


@contextlib.contextmanager
def _closing_what_was_opened() -> Iterator[None]:
    try:
        yield
    finally:
        while _OPENED:
            _OPENED.pop().close()


@contextlib.asynccontextmanager
async def network_under_attack(limits: Limits = FAST) -> AsyncIterator[NetworkUnderAttack]:
    """Lend a network with a live flow, which must be unharmed in the end."""
    with _closing_what_was_opened():
        async with network(limits) as net, trio.open_nursery() as nursery:
            west, hub, east = await net.line("west", "hub", "east")
            listeners = await nursery.start(trio.serve_tcp, echo, 0)
            port = listeners[0].socket.getsockname()[1]
            await east.expose("echo:7", port)
            flow = LiveFlow(await west.reach("echo:7"))
            await nursery.start(flow.run)
            pool = west.router.data.channels.pools.pool("east")
            await wait_until(lambda: pool.size == pool.spares, "the flow's channel is replaced")
            attacked = NetworkUnderAttack(net, west, hub, east, flow, port)
            yield attacked
            await attacked.unharmed()
            nursery.cancel_scope.cancel()


async def dial(endpoint: Endpoint) -> socket.socket:
    """Return a bare connection."""
    return await connecting.dial(endpoint)


async def shake_hands(endpoint: Endpoint, context: Context) -> TlsConnection:
    """Return a connection after its TLS handshake, as far as this side of it goes.

    `network_under_attack` closes it in the end, however far its user got.
    """
    tls = await tls_io.handshake(context, await dial(endpoint), server_side=False)
    _OPENED.append(tls)
    return tls


async def strange_tls(endpoint: Endpoint, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Do the same with another TLS library, which can be told to do what van never does."""
    sock = await dial(endpoint)
    tls = context.wrap_socket(sock, do_handshake_on_connect=False)
    _OPENED.append(tls)
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            await trio.lowlevel.wait_readable(tls)
        else:
            return tls


async def ended(sock: socket.socket | TlsConnection) -> bytes:
    """Wait until the other side has closed, and return what it had sent before."""
    got = b""
    with trio.fail_after(PATIENCE):
        while True:
            try:
                data = sock.recv(65536)
            except (ssl.SSLWantReadError, WantRead, BlockingIOError):
                await trio.lowlevel.wait_readable(sock)
                continue
            except OSError:
                return got
            if not data:
                return got
            got += data


def bare_context(
    chain: Sequence[bytes] | None, key: ec.EllipticCurvePrivateKey | None, alpn: Sequence[str]
) -> ssl.SSLContext:
    """Return a client's context that checks nothing, for a client that has nothing to lose."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if chain is not None and key is not None:
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(encode_key(key) + encode_chain(chain))
            file.flush()
            context.load_cert_chain(file.name)
    return context


def descriptors(pid: int | str = "self") -> int:
    """Return how many descriptors a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def resident(pid: int) -> int:
    """Return the memory of a process in bytes."""
    with Path(f"/proc/{pid}/statm").open(encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def today() -> datetime:
    """Return the time of day, by which OpenSSL checks certificates."""
    return datetime.now(UTC)
