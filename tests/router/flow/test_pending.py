"""An egress says that it has to wait for its target, for as long as it does."""

import contextlib
import socket

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import Site, network, wait_until
from tests.hostile.bundled import BEGIN, Frames, bundled
from tests.router.channels.test_channels import channel, closing
from van.router.flow.stream import FlowStream
from van.router.reactor import tls_io
from van.wire.channel import CODEC, Kind, Open
from van.wire.flow_states import State

LIMITS = attrs.evolve(FAST, pending_after=0.05, pending_interval=0.05)


@contextlib.contextmanager
def full_backlog():
    """Lend a listening socket that takes no connection until somebody accepts one."""
    with contextlib.ExitStack() as closing_all:
        listening = closing_all.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            each = closing_all.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        yield listening


async def test_a_target_that_takes_its_time_is_told_of_again_and_again():
    async with network(LIMITS) as net:
        root, guest = await net.line("root", "guest")
        with full_backlog() as listening, closing(await channel(root, guest)) as ingress:
            root.claim("slow:1", listening.getsockname()[1])
            tls = ingress.detach()[0]
            opening = CODEC.encode(Open("f", "tcp", "slow:1"))
            await tls_io.send_all(tls, BEGIN + bundled(opening))
            frames = Frames(tls)
            for _ in range(3):
                assert (await frames.next())[:2] == (Kind.PENDING, 1)
        assert not root.router.defects.count


def stream_of(site: Site) -> FlowStream:
    (flow,) = site.router.flows._live
    assert isinstance(flow.carrying, FlowStream)
    return flow.carrying


@pytest.mark.slow("sits out two deadlines")
async def test_an_end_that_a_target_is_slow_to_take_is_waited_for():
    """The target has ended its half, and reads the client's long after."""
    limits = attrs.evolve(LIMITS, answer_deadline=0.4)
    async with network(limits) as net, trio.open_nursery() as nursery:
        root, guest = await net.line("root", "guest")
        got: list[bytes] = []

        async def serve(stream: trio.SocketStream) -> None:
            await stream.send_eof()
            got.extend([bytes(part) async for part in stream])

        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        await root.expose("slow:1", listeners[0].socket.getsockname()[1])
        port = await guest.reach("slow:1")
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            assert not await client.receive_some()
            flows = guest.router.flows
            held_up = stream_of(root).channel  # as it is while the target's buffers are full
            held_up.pause()
            await client.send_all(b"the last words")
            await client.send_eof()
            ingress = stream_of(guest)
            await wait_until(lambda: ingress._flow.state is State.CLOSING, "both halves have ended")
            await trio.sleep(2 * limits.answer_deadline)
            assert len(flows) == 1
            held_up.resume()
            await wait_until(lambda: not len(flows), "the flow has ended")
            await wait_until(lambda: b"".join(got) == b"the last words", "all has arrived")
            assert not flows.reset
        nursery.cancel_scope.cancel()
