"""Listeners are open while an instance can be reached, and a flow is offered to every one."""

import time

import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port


async def name_itself(name, stream):
    async with stream:
        await stream.send_all(name)
        async for _ in stream:
            pass


async def serve(nursery, name):
    async def handle(stream):
        await name_itself(name, stream)

    listeners = await nursery.start(trio.serve_tcp, handle, 0)
    return listeners[0].socket.getsockname()[1]


def burden(ingress, site):
    """Have a site look busy from here, so that another one is tried first."""
    ranking, service = ingress.router.data.ingress.ranking, ("tcp", "db:1")
    candidate = next(each for each in ranking.candidates(service) if each.site == site)
    for _ in range(50):
        ranking.balancer.start(service, candidate, time.monotonic())


async def ask(port):
    async with await trio.open_tcp_stream("127.0.0.1", port) as client:
        await client.send_eof()
        return b"".join([data async for data in client])


async def test_a_flow_that_one_instance_refuses_is_served_by_another():
    async with trio.open_nursery() as nursery, network() as net:
        hub, west, east = [await net.start(name) for name in ("hub", "west", "east")]
        await net.link(west, hub)
        await net.link(east, hub)
        connector = west.claim("db:1", free_port())
        await east.expose("db:1", await serve(nursery, b"east"))
        port = await hub.reach("db:1")
        await wait_until(
            lambda: len(hub.router.routes.fib.services["tcp", "db:1"]) == 2, "both are known"
        )
        burden(hub, "east")
        assert [await ask(port) for _ in range(10)] == [b"east"] * 10
        failing = connector.status(0.0)
        assert failing.state == "failing"
        assert "connection refused" in failing.detail
        nursery.cancel_scope.cancel()


async def test_what_the_client_sent_before_a_refusal_is_not_lost():
    async with trio.open_nursery() as nursery, network() as net:
        west, east = await net.line("west", "east")

        async def echo(stream):
            async with stream:
                await stream.send_all(b"".join([data async for data in stream]))

        # The own site is the busier one, so that its target gets what east refused.
        listeners = await nursery.start(trio.serve_tcp, echo, 0)
        east.claim("db:1", free_port())
        port = await west.reach("db:1")
        await west.expose("db:1", listeners[0].socket.getsockname()[1])
        await wait_until(
            lambda: "west" in west.router.routes.fib.services["tcp", "db:1"], "both are known"
        )
        burden(west, "west")
        async with await trio.open_tcp_stream("127.0.0.1", port) as client:
            await client.send_all(b"said before the refusal")
            await client.send_eof()
            assert b"".join([data async for data in client]) == b"said before the refusal"
        nursery.cancel_scope.cancel()


async def test_a_client_is_reset_when_every_instance_refuses_and_status_says_why(monkeypatch):
    async with trio.open_nursery() as nursery, network() as net:
        west, east = await net.line("west", "east")
        # East keeps it to itself that its target is gone: west knows of the refusal alone.
        monkeypatch.setattr(east.router.data.health.changed, "tell", lambda: None)
        east.claim("db:1", free_port())
        port = await west.reach("db:1")
        with pytest.raises(trio.BrokenResourceError):
            await ask(port)
        assert "connection refused" in west.router.data.ingress.listeners[0].status().detail
        nursery.cancel_scope.cancel()


async def test_a_port_is_open_only_while_its_address_can_be_reached():
    async with trio.open_nursery() as nursery, network() as net:
        west, east = await net.line("west", "east")
        port = await west.bind("web:1")
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream("127.0.0.1", port)
        await east.expose("web:1", await serve(nursery, b"east"))
        listener = west.router.data.ingress.listeners[0]
        await wait_until(lambda: listener.is_open, "the port is open")
        assert await ask(port) == b"east"
        east.give_up("web:1")
        await wait_until(lambda: not listener.is_open, "the port is closed")
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream("127.0.0.1", port)
        assert listener.status().state == "waiting"
        nursery.cancel_scope.cancel()


async def test_a_stale_channel_is_not_held_against_its_site():
    """The only instance serves a flow whose first channel turns out to be dead."""
    async with trio.open_nursery() as nursery, network() as net:
        west, east = await net.line("west", "east")
        port_of_target = free_port()
        east.claim("db:1", port_of_target)

        async def handle(stream):
            await name_itself(b"east", stream)

        await nursery.start(trio.serve_tcp, handle, port_of_target)
        port = await west.reach("db:1")
        pools = west.router.data.channels.pools
        await wait_until(lambda: pools.ready("east") == 2, "channels are ready")
        # Both ends of all channels are in this process: the other end goes, and nobody has had
        # the time to notice when the next client comes.
        waiting = pools.pool("east")._idle
        for channel in list(east.router.data.channels.table._by_neighbor["west"]):
            if channel not in waiting:
                channel._tls.sock.shutdown(2)
        assert await ask(port) == b"east"
        nursery.cancel_scope.cancel()


@pytest.mark.slow("forty flows, one after the other")
async def test_an_instance_that_ends_flows_without_a_word_does_not_draw_them():
    turned_away = 0

    async def turn_away(stream):
        nonlocal turned_away
        async with stream:
            if await stream.receive_some(100):
                turned_away += 1

    async def answer(stream):
        async with stream:
            data = await stream.receive_some(100)
            if data:
                await trio.sleep(0.02)
                await stream.send_all(data)

    async with trio.open_nursery() as nursery, network() as net:
        hub, west, east = [await net.start(name) for name in ("hub", "west", "east")]
        for site, handler in ((west, turn_away), (east, answer)):
            await net.link(site, hub)
            listeners = await nursery.start(trio.serve_tcp, handler, 0)
            await site.expose("db:1", listeners[0].socket.getsockname()[1])
        port = await hub.reach("db:1")
        await wait_until(
            lambda: len(hub.router.routes.fib.services["tcp", "db:1"]) == 2, "both are known"
        )
        for _ in range(40):
            async with await trio.open_tcp_stream("127.0.0.1", port) as client:
                await client.send_all(b"question")
                await client.receive_some(100)
        assert 1 <= turned_away <= 15
        nursery.cancel_scope.cancel()
