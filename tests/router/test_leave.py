"""A router that is told to stop lets its flows finish, and takes no new ones."""

import pytest
import trio

from lab.network import wait_until
from tests.router.conftest import passage


async def echo(stream):
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def test_an_egress_that_stops_is_avoided_while_its_flows_finish():
    async with passage("transit", echo) as way:
        listener = way.ingress.router.data.ingress.listeners[0]
        async with await way.connect() as client:
            await client.send_all(b"before")
            assert await client.receive_some() == b"before"
            way.egress.router.stop()
            await wait_until(lambda: not listener.is_open, "the ingress has heard of it")
            with pytest.raises(OSError, match="all attempts to connect"):
                await way.connect()
            await client.send_all(b"after")
            assert await client.receive_some() == b"after"
            await client.send_eof()
            assert await client.receive_some() == b""
        links = way.transit.router.links.up
        await wait_until(lambda: way.egress.name not in links, "it has gone when they had finished")


async def test_an_ingress_that_stops_takes_no_clients_while_its_flows_finish():
    async with passage("neighbor", echo) as way:
        async with await way.connect() as client:
            await client.send_all(b"before")
            assert await client.receive_some() == b"before"
            way.ingress.router.stop()
            await wait_until(
                lambda: not way.ingress.router.data.ingress.listeners, "it is stopping"
            )
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(OSError, match="all attempts to connect"):
                await way.connect()
            await client.send_all(b"after")
            assert await client.receive_some() == b"after"
        links = way.egress.router.links.up
        await wait_until(lambda: not links, "it has gone when they had finished")


async def test_a_transit_that_stops_lets_what_passes_through_it_end():
    async with passage("transit", echo) as way:
        async with await way.connect() as client:
            await client.send_all(b"before")
            assert await client.receive_some() == b"before"
            hub = way.transit.router
            hub.stop(60.0)
            await wait_until(lambda: hub.data.forwarding.relays.count == 1, "idle ones are gone")
            await client.send_all(b"after")
            assert await client.receive_some() == b"after"
            await client.send_eof()
            assert await client.receive_some() == b""
        links = way.egress.router.links.up
        await wait_until(lambda: way.transit.name not in links, "it has gone when that had ended")


async def test_flows_that_do_not_end_are_broken_off_after_the_grace():
    async with passage("transit", echo) as way, await way.connect() as client:
        await client.send_all(b"x")
        assert await client.receive_some() == b"x"
        way.transit.router.stop(0.05)
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()
