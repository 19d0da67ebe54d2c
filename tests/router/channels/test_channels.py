"""Channels are made and served by tasks that no peer can make the whole router fail with."""

import contextlib
import socket

import pytest
import trio
import trio.testing

from lab.network import network, wait_until
from van.errors import RemoteError
from van.router.channels.greeting import Greeter
from van.router.reactor import connecting, sockets, tls_io
from van.router.reactor.message_stream import MessageStream
from van.tls.contexts import client_context
from van.wire import channel as wire
from van.wire.channel import (
    CODEC,
    Branch,
    Done,
    Farewell,
    Hello,
    Kind,
    Opened,
    Reason,
    Refused,
    Relay,
    Relayed,
    Role,
    Vertex,
)
from van.wire.framing import pack_header
from van.wire.revision import MAJOR, MINOR


async def dial(site, by, alpn=(wire.ALPN,), path=None):
    """Return a TLS connection to a site, as another one of its VAN."""
    ours = by.router.trust.credentials
    context = client_context(ours.chain, ours.key, ours.root, alpn)
    bare = path or await connecting.dial(site.router.link_port.endpoint)
    return await tls_io.handshake(context, bare, server_side=False)


async def channel(site, by):
    """Return a channel to a site on which the other one may open flows."""
    conversation = MessageStream(await dial(site, by), CODEC, max_payload=1 << 20)
    assert isinstance(await greet(conversation), Hello)
    return conversation


async def greet(conversation):
    await conversation.send(Hello(MAJOR, Role.DIALER_OPENS))
    return await conversation.receive()


@contextlib.contextmanager
def closing(conversation):
    try:
        yield conversation
    finally:
        conversation.close()


async def test_a_transit_that_breaks_off_in_the_middle_of_a_relay_harms_one_channel_only(
    monkeypatch,
):
    async with network() as net:
        west, hub, east = await net.line("west", "hub", "east")

        async def break_off(inbound, onward, path):
            onward.close()
            backward = inbound.detach()
            await tls_io.send_all(backward, CODEC.encode(Relayed()))
            sockets.close_with_reset(backward.sock)
            raise RemoteError("broke off")

        monkeypatch.setattr(hub.router.data.forwarding.relays, "_join", break_off)
        await wait_until(lambda: west.router.routes.next_hop("east") == "hub", "there is a path")
        await wait_until(
            lambda: hub.router.routes.next_hop("east") == "east", "the hub knows it too"
        )
        for _ in range(3):
            with pytest.raises(RemoteError):
                await west.router.data.channels.dialer.make("east")
        monkeypatch.undo()
        (await west.router.data.channels.dialer.make("east")).close()
        assert len(east.router.flows) == 0


REVISIONS = pytest.mark.parametrize("major", [MAJOR - 1, MAJOR + 1], ids=["older", "newer"])


@REVISIONS
async def test_a_channel_of_another_revision_is_refused_with_a_reason(major):
    async with network() as net:
        root, guest = await net.line("root", "guest")
        conversation = MessageStream(await dial(root, guest), CODEC, max_payload=1 << 20)
        with closing(conversation):
            await conversation.send(Hello(major, Role.DIALER_OPENS))
            answer = await conversation.receive()
        assert isinstance(answer, Refused)
        assert answer.reason is Reason.NOT_ALLOWED
        assert f"upgrade van at site {'guest' if major < MAJOR else 'root'!r}" in answer.message
        refused = root.router.link_port.refused
        await wait_until(lambda: refused["other-revision"], "it is counted")


@REVISIONS
async def test_a_site_that_answers_in_another_revision_gets_no_channel(monkeypatch, major):
    said = []

    async def answer(greeter, tls, neighbor):
        with closing(MessageStream(tls, CODEC, max_payload=1 << 20)) as conversation:
            await conversation.receive()
            await conversation.send(Hello(major, Role.DIALER_OPENS))
            said.append(await conversation.receive())
        raise RemoteError("that was it")

    async with network() as net:
        _, guest = await net.line("root", "guest")
        monkeypatch.setattr(Greeter, "answer", answer)
        await wait_until(lambda: guest.router.routes.next_hop("root"), "there is a path")
        with pytest.raises(RemoteError) as caught:
            await guest.router.data.channels.dialer.make("root")
        assert f"upgrade van at site {'root' if major < MAJOR else 'guest'!r}" in str(caught.value)
        await wait_until(lambda: said, "the other end is told")
    assert isinstance(said[0], Farewell)
    assert said[0].reason == str(caught.value)


async def test_both_ends_of_a_channel_use_the_lower_of_their_minor_revisions():
    async with network() as net:
        root, guest = await net.line("root", "guest")
        for theirs, agreed in ((MINOR + 1, MINOR), (0, 0)):
            conversation = MessageStream(await dial(root, guest), CODEC, max_payload=1 << 20)
            with closing(conversation):
                await conversation.send(Hello(MAJOR, Role.DIALER_OPENS, theirs))
                answer = await conversation.receive()
            assert answer == Hello(MAJOR, Role.DIALER_OPENS, agreed)


@pytest.mark.slow("fills every buffer on the way")
async def test_what_a_peer_sends_and_never_reads_the_answers_to_is_not_kept():
    async with network() as net:
        root, guest = await net.line("root", "guest")
        with closing(await channel(root, guest)) as mallory:
            held = [
                each
                for each in root.router.data.channels.table._by_neighbor["guest"]
                if not isinstance(each.user, type(root.router.data.channels.pools.pool("guest")))
            ]
            tls = mallory.detach()[0]
            tls.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for each in held:
                each._tls.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            tree = Branch(bytes(16), 1, (Vertex("root", 0),))
            request = CODEC.encode(tree) + pack_header(Kind.EOF, 0)
            asked = 0
            with trio.move_on_after(1.0):
                while asked < 5000:
                    await tls_io.send_all(tls, request * 10)
                    asked += 10
            await trio.testing.wait_all_tasks_blocked(0.1)
            assert max(len(each._outbox) for each in held) < 1000
            with trio.fail_after(30.0):
                for _ in range(asked):
                    assert isinstance(await mallory.receive(), Opened)
                    assert isinstance(await mallory.receive(), Done)


async def test_through_a_relay_only_channels_are_spoken():
    async with network() as net:
        west, hub, east = await net.line("west", "hub", "east")
        await wait_until(lambda: west.router.routes.next_hop("east") == "hub", "there is a path")
        await wait_until(
            lambda: hub.router.routes.next_hop("east") == "east", "the hub knows it too"
        )
        tls, _ = await west.router.data.channels.dialer.relay_through("hub", Relay("east", 9))
        bare = await tls_io.unwrap(tls)
        inner = await dial(east, west, alpn=(), path=bare)
        conversation = MessageStream(inner, CODEC, max_payload=1 << 20)
        with closing(conversation), pytest.raises(RemoteError):
            await greet(conversation)
        assert hub.router.links.up


async def test_a_defect_that_a_peer_can_reach_ends_its_channel_and_not_the_router(monkeypatch):
    async with network() as net:
        root, guest = await net.line("root", "guest")

        async def fail_later(*args, **options):
            raise ZeroDivisionError

        tree = Branch(bytes(16), 1, (Vertex("root", 0),))
        monkeypatch.setattr(root.router.data.forwarding.branches, "context", None)
        monkeypatch.setattr(root.router.data.forwarding.relays, "pass_on", fail_later)
        for request in (tree, wire.Relay("elsewhere", 9)):
            with closing(await channel(root, guest)) as conversation:
                await conversation.send(request)
                with pytest.raises(RemoteError):
                    await conversation.receive()
        monkeypatch.undo()
        with closing(await channel(root, guest)) as conversation:
            await conversation.send(tree)
            assert isinstance(await conversation.receive(), Opened)


async def test_a_relay_runs_over_the_link_of_the_neighbour_that_it_is_filed_under():
    async with network() as net:
        west, hub, east = await net.line("west", "hub", "east")
        await net.link(west, east)
        await wait_until(lambda: west.router.routes.next_hop("east") == "east", "it is a neighbour")
        west.router.links.terms.set_cost("east", 50)
        await wait_until(lambda: west.router.routes.next_hop("east") == "hub", "the hub is nearer")
        await wait_until(
            lambda: hub.router.routes.next_hop("east") == "east", "the hub knows it too"
        )
        channels = west.router.data.channels
        pool = channels.pools.pool("east")
        await wait_until(
            lambda: {each.neighbor for each in pool._idle} == {"hub"}, "channels go round"
        )
        detour = pool.take()
        assert detour is not None
        west.router.links.terms.set_cost("east", 1)
        await wait_until(
            lambda: west.router.routes.next_hop("east") == "east", "its link is best again"
        )
        pool.hops = None  # as if the channel had come back just before the tables changed
        pool.drop_idle()
        pool.release(detour)
        tls = await channels.dialer._take_hop("east")
        assert tls.sock.getpeername()[1] == east.router.link_port.endpoint.port
        tls.close()
