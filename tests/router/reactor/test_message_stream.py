"""Small messages of which some may wait, so that they wake nobody."""

import contextlib
import socket
import sys

import pytest
import trio
import trio.testing

from lab.network import wait_until
from van.errors import LinkLost
from van.router.reactor import tls_io
from van.router.reactor.message_stream import MessageStream
from van.tls.contexts import client_context, server_context
from van.tls.credentials import Credentials
from van.wire.link import ALPN, CODEC, MAX_MESSAGE, CostChange, Heartbeat


@contextlib.asynccontextmanager
async def two_ends():
    """Lend both ends of a conversation over TCP that may let messages wait."""
    site = Credentials.create("west")
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    near = await trio.open_tcp_stream(*listener.socket.getsockname()[:2])
    far = await listener.accept()
    await listener.aclose()
    ends = {}

    async def shake_hands(name, stream, context):
        sock = socket.socket(fileno=stream.socket.detach())
        sock.setblocking(False)
        tls = await tls_io.handshake(context, sock, server_side=name == "far")
        ends[name] = MessageStream(tls, CODEC, max_payload=MAX_MESSAGE)

    async with trio.open_nursery() as nursery:
        context = client_context(site.chain, site.key, site.root, (ALPN,))
        nursery.start_soon(shake_hands, "near", near, context)
        nursery.start_soon(shake_hands, "far", far, server_context(site, (ALPN,)))
    with contextlib.closing(ends["near"]), contextlib.closing(ends["far"]):
        yield ends["near"], ends["far"]


async def until_it_waits(conversation):
    """Return what `receive_waiting` yields once there is something."""
    with trio.fail_after(5):
        while not (found := list(conversation.receive_waiting())):
            await trio.sleep(0.001)
    return found


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs TCP_INFO of Linux")


@linux_only
async def test_a_heartbeat_that_may_wait_wakes_nobody_and_another_message_does(nursery):
    async with two_ends() as (near, far):
        for end in (near, far):
            end.let_wait()
        received: list[object] = []

        async def receive() -> None:
            with contextlib.suppress(LinkLost):
                while True:
                    received.append(await far.receive())
            received.append("the end")

        nursery.start_soon(receive)
        await near.send(Heartbeat())
        await trio.sleep(0.1)
        assert not received
        ((message, age),) = await until_it_waits(far)
        assert message == Heartbeat()
        assert 0.05 < age < 5.0
        assert not list(far.receive_waiting())
        urgent = [Heartbeat(1.0, 0.0, 0.0), Heartbeat(0.0, 1.0, 0.5), CostChange(7)]
        for each in urgent:
            await near.send(each)
        await wait_until(lambda: received == urgent, "each of them wakes")
        near.close()
        await wait_until(lambda: received[-1] == "the end", "the end wakes")


@linux_only
async def test_messages_that_wait_come_before_those_that_did_not():
    async with two_ends() as (near, far):
        for end in (near, far):
            end.let_wait()
        await near.send(Heartbeat())
        await near.send(CostChange(7))
        with trio.fail_after(5):
            assert await far.receive() == Heartbeat()
            assert await far.receive() == CostChange(7)


async def test_where_nothing_can_wait_every_message_wakes(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    async with two_ends() as (near, far):
        for end in (near, far):
            end.let_wait()
        await near.send(Heartbeat())
        with trio.fail_after(5):
            assert await far.receive() == Heartbeat()
        await near.send(Heartbeat())
        await trio.sleep(0.05)
        assert not list(far.receive_waiting())


async def test_a_peer_that_does_not_pad_is_heard_later_or_at_once():
    """Whoever dials may be of an older revision, in which everything wakes."""
    async with two_ends() as (near, far):
        far.let_wait()
        await near.send(CostChange(7))
        if sys.platform == "linux":
            assert [message for message, _ in await until_it_waits(far)] == [CostChange(7)]
