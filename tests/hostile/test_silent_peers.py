"""A member of the VAN that owes an answer and gives none: who waits is not held for ever."""

import contextlib
import socket

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import wait_until
from tests.hostile.bundled import bundled
from tests.hostile.network_under_attack import (
    PATIENCE,
    NetworkUnderAttack,
    exchange,
    network_under_attack,
)
from tests.hostile.test_bad_channels import REPORT, client_sees, data, trap
from van.router.reactor import tls_io
from van.router.reactor.message_stream import MessageStream
from van.wire.channel import CODEC, Kind, Opened, Pending
from van.wire.framing import pack_header
from van.wire.lsa import Service

pytestmark = pytest.mark.slow("each test sets up three sites, their links, and a live flow")

LIMITS = attrs.evolve(FAST, answer_deadline=0.5)
FIRST = Service("trap:1", "tcp", precedence=200)
"""Comes before any honest instance."""
PENDING_FRAME = CODEC.encode(Pending())


async def tell(conversation: MessageStream, frames: bytes) -> None:
    """Say something of the first flow of a bundle."""
    await tls_io.send_all(conversation._tls, bundled(frames))


async def say_nothing(conversation: MessageStream) -> None:
    await trio.sleep_forever()


async def say_that_it_waits(conversation: MessageStream) -> None:
    while True:
        await tell(conversation, PENDING_FRAME)
        await trio.sleep(0.05)


async def wait_and_serve(conversation: MessageStream) -> None:
    for _ in range(20):
        await tell(conversation, PENDING_FRAME)
        await trio.sleep(0.05)
    await tell(conversation, CODEC.encode(Opened(REPORT)) + data(b"at last"))
    await tell(conversation, pack_header(Kind.RESET, 0))


async def wait_and_say_nothing(conversation: MessageStream) -> None:
    await tell(conversation, PENDING_FRAME)
    await trio.sleep_forever()


async def serve_honestly(attacked: NetworkUnderAttack, **options: object) -> None:
    await attacked.hub.expose("trap:1", attacked.echo_port, **options)
    await wait_until(lambda: "hub" in terms(attacked, "tcp"), "it is known")


def terms(attacked: NetworkUnderAttack, protocol: str) -> dict[str, int]:
    """Return the precedence of each site that the hub knows to serve the address."""
    fib, service = attacked.hub.router.routes.fib, (protocol, "trap:1")
    sites, found = fib.services.get(service, ()), fib.terms.get(service, ())
    return {site: each.precedence for site, each in zip(sites, found, strict=True)}


async def is_served(port: int) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        with trio.fail_after(PATIENCE):
            await exchange(stream, b"honest")


async def is_rid_of_all(attacked: NetworkUnderAttack) -> None:
    flows, channels = attacked.hub.router.flows, attacked.hub.router.data.channels
    await wait_until(lambda: not len(flows), "the hub holds no flow")
    pool, bundles = channels.pools.pool("mallory"), channels.bundles.pool("mallory")
    await wait_until(lambda: pool.in_use == bundles.size, "nor a channel but for bundles")
    assert not bundles.flows


@pytest.mark.parametrize("handler", [say_nothing, say_that_it_waits])
async def test_a_flow_that_nobody_answers_is_offered_elsewhere(handler):
    async with network_under_attack(LIMITS) as attacked, trap(attacked, handler, FIRST) as served:
        await serve_honestly(attacked)
        for _ in range(3):
            await is_served(served.port)
        await is_rid_of_all(attacked)


@pytest.mark.parametrize("handler", [say_nothing, wait_and_say_nothing])
async def test_a_flow_that_nobody_answers_and_nobody_else_serves_is_refused(handler):
    async with network_under_attack(LIMITS) as attacked, trap(attacked, handler) as served:
        refused = attacked.hub.router.flows.refused
        assert await client_sees(served.port) is None
        assert attacked.hub.router.flows.refused == refused + 1
        await is_rid_of_all(attacked)


async def test_a_target_that_takes_its_time_is_waited_for_where_nobody_else_serves():
    async with (
        network_under_attack(LIMITS) as attacked,
        trap(attacked, wait_and_serve) as served,
        await trio.open_tcp_stream("127.0.0.1", served.port) as stream,
    ):
        with trio.fail_after(PATIENCE):
            assert await stream.receive_some() == b"at last"


@contextlib.contextmanager
def udp_echo():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


async def test_a_session_that_nobody_answers_is_offered_elsewhere():
    service = Service("trap:1", "udp", precedence=200)
    async with (
        network_under_attack(LIMITS) as attacked,
        trap(attacked, say_nothing, service, protocol="udp") as served,
    ):
        with udp_echo() as target, udp_echo() as client:
            port = target.getsockname()[1]
            await attacked.hub.expose("trap:1", port, protocol="udp")
            await wait_until(lambda: "hub" in terms(attacked, "udp"), "it is known")
            client.sendto(b"question", ("127.0.0.1", served.port))
            with trio.fail_after(PATIENCE):
                await trio.lowlevel.wait_readable(target)
            assert target.recv(100) == b"question"


async def test_an_end_that_is_never_confirmed_keeps_no_channel():
    async def handler(conversation: MessageStream) -> None:
        frames = CODEC.encode(Opened(REPORT)) + data(b"answer") + pack_header(Kind.EOF, 0)
        await tell(conversation, frames)

    async with (
        network_under_attack(LIMITS) as attacked,
        trap(attacked, handler) as served,
        await trio.open_tcp_stream("127.0.0.1", served.port) as stream,
    ):
        await stream.send_all(b"request")
        await stream.send_eof()
        with trio.fail_after(PATIENCE):
            assert await stream.receive_some() == b"answer"
            assert not await stream.receive_some()
        await is_rid_of_all(attacked)
