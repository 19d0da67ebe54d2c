"""A dear path beside a cheap one is a reserve: flows take it while the cheap one is lost, only."""

from collections import Counter
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from lab.network import Network, network, wait_until

DEAR = 10


async def echo(stream):
    with suppress(trio.BrokenResourceError):
        async with stream:
            async for data in stream:
                await stream.send_all(data)


@asynccontextmanager
async def metered(*names):
    """Lend a line of sites, and one whose links to both ends of it are dear."""
    async with trio.open_nursery() as nursery, network() as net:
        sites = await net.line(*names)
        spare = await net.start("spare")
        await net.link(spare, sites[0], can_invite=True, cost=DEAR)
        await net.link(spare, sites[-1], cost=DEAR)
        listeners = await nursery.start(trio.serve_tcp, echo, 0)
        await sites[-1].expose("db:1", listeners[0].socket.getsockname()[1])
        yield net, await sites[0].reach("db:1")
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def held(port, count):
    """Hold flows that were opened together, each of which has been answered."""
    streams = []

    async def hold():
        streams.append(stream := await trio.open_tcp_stream("127.0.0.1", port))
        await stream.send_all(b"question")
        assert await stream.receive_some(100) == b"question"

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(hold)
    try:
        yield
    finally:
        for stream in streams:
            with trio.CancelScope(shield=True):
                await stream.aclose()


def paths(site):
    """Return how many flows take each path."""
    flows = site.router.flows._live
    return Counter(each.carrying.channel.path for each in flows if each.role == "ingress")


async def a_reserve_is_ready(net: Network, name: str):
    pool = net.sites[name].router.data.channels.pools.pool("east")
    await wait_until(lambda: pool._standby is not None and pool.size > 1, "a reserve is ready")


@pytest.mark.slow("four routers, thirty flows")
@pytest.mark.parametrize("names", [("west", "east"), ("west", "hub", "east")])
async def test_a_burst_takes_no_dearer_path_than_the_best(names):
    async with metered(*names) as (net, port):
        await a_reserve_is_ready(net, "west")
        async with held(port, 30):
            assert paths(net.sites["west"]) == {names: 30}


@pytest.mark.slow("four routers, thirty flows")
async def test_flows_go_back_to_the_best_path_when_it_is_there_again():
    async with metered("west", "hub", "east") as (net, port):
        west, hub = net.sites["west"], net.sites["hub"]
        await a_reserve_is_ready(net, "west")
        hub.router.links.terms.set_cost("east", 3 * DEAR)
        await wait_until(
            lambda: west.router.routes.next_hop("east") == "spare", "the other path is better"
        )
        async with held(port, 10):
            assert paths(west) == {("west", "spare", "east"): 10}
            hub.router.links.terms.set_cost("east", 1)
            await wait_until(
                lambda: (
                    west.router.routes.next_hop("east") == "hub"
                    and hub.router.routes.next_hop("east") == "east"
                ),
                "the best path is back",
            )
            before = paths(west)
            async with held(port, 20):
                added = paths(west) - before
                assert added == {("west", "hub", "east"): 20}


@pytest.mark.slow("four routers, and changes that have to travel")
async def test_new_sessions_leave_channels_that_others_share_along_a_path_that_has_become_dear():
    async with metered("west", "hub", "east") as (net, _):
        west, hub = net.sites["west"], net.sites["hub"]
        await a_reserve_is_ready(net, "west")
        hub.router.links.terms.set_cost("east", 3 * DEAR)
        routes = west.router.routes
        await wait_until(lambda: routes.next_hop("east") == "spare", "the other path is better")
        bundles = west.router.data.ingress._dispatcher._context.bundles.pool("east")
        before = await bundles.acquire()
        assert before.neighbor == "spare"
        hub.router.links.terms.set_cost("east", 1)
        await wait_until(
            lambda: (
                routes.next_hop("east") == "hub" and hub.router.routes.next_hop("east") == "east"
            ),
            "the best path is back",
        )
        after = await bundles.acquire()
        assert after.neighbor == "hub"
        for each in (before, after):
            each.close()


@pytest.mark.slow("four routers, and changes that have to travel")
async def test_channels_behind_the_same_neighbour_leave_a_way_round_that_was_better_for_a_while():
    async with network() as net:
        west, hub, east = await net.line("west", "hub", "east")
        spare = await net.start("spare")
        await net.link(spare, hub, can_invite=True, cost=DEAR)
        await net.link(spare, east, cost=DEAR)
        pools = west.router.data.channels.pools
        hub.router.links.terms.set_cost("east", 10 * DEAR)
        await wait_until(
            lambda: west.router.routes.fib.routes["east"].path == ("west", "hub", "spare", "east"),
            "the way round is better",
        )
        channel = await pools.pool("east").acquire()
        await wait_until(lambda: not pools.pool("east").growing, "nothing is half made")
        hub.router.links.terms.set_cost("east", 1)
        await wait_until(
            lambda: west.router.routes.fib.routes["east"].path == ("west", "hub", "east"),
            "the direct way is better",
        )
        idle = [*pools.pool("east")._idle]
        assert {each.path for each in idle} <= {("west", "hub", "east")}
        pools.pool("east").release(channel)
        again = await pools.pool("east").acquire()
        pools.pool("east").release(again)
        assert channel.path == ("west", "hub", "spare", "east")
        assert not channel.is_open
