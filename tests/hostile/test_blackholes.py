"""A transit that answers heartbeats and passes nothing on: flows take another path."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

import attrs
import pytest
import trio

from lab.limits import FAST
from lab.network import Network, Site, network, wait_until
from tests.hostile.network_under_attack import PATIENCE, echo, exchange
from van.router.channels.channel import Channel
from van.router.channels.doubts import MAX_DOUBT, TELL_AFTER, Doubts
from van.router.reactor import tls_io
from van.router.telemetry.events import EventKind, EventLog
from van.routing.paths.spf import Route
from van.wire import channel as wire
from van.wire.channel import CODEC

pytestmark = pytest.mark.slow("each test sets up four sites, and their links")

LIMITS = attrs.evolve(FAST, setup_patience=0.3, answer_deadline=0.6, setup_timeout=60.0)


@contextlib.asynccontextmanager
async def diamond(limits=LIMITS) -> AsyncIterator[tuple[Network, dict[str, Site], int]]:
    """Lend two sites with two between them, of which a is on the best path; and a port of west's
    that leads to an echo at east."""
    async with network(limits) as net, trio.open_nursery() as nursery:
        sites = {name: await net.start(name) for name in ("east", "a", "b", "west")}
        await net.link(sites["a"], sites["east"], can_invite=True)
        await net.link(sites["b"], sites["east"], can_invite=True)
        await net.link(sites["west"], sites["a"], can_invite=True)
        await net.link(sites["west"], sites["b"], cost=3)
        listeners = await nursery.start(trio.serve_tcp, echo, 0)
        await sites["east"].expose("echo:7", listeners[0].socket.getsockname()[1])
        port = await sites["west"].reach("echo:7")
        routes = sites["west"].router.routes
        await wait_until(
            lambda: routes.next_hop("east") == "a" and routes.second_hop("east") == "b",
            "both paths are known",
        )
        yield net, sites, port
        nursery.cancel_scope.cancel()


class SupportsClose(Protocol):
    def close(self) -> None: ...


@contextlib.contextmanager
def swallowing(site: Site, how: str) -> Iterator[None]:
    """Have a site take relays and pass nothing on: from the request on, or from its answer on."""
    relays = site.router.data.forwarding.relays
    held: list[SupportsClose] = []
    is_over = False

    async def pretend(channel: Channel) -> None:
        tls = channel.detach()
        try:
            await tls_io.send_all(tls, CODEC.encode(wire.Relayed()))
            held.append(await tls_io.unwrap(tls))
            if is_over:
                held[-1].close()
        except BaseException:
            tls.close()
            raise

    def serve(channel: Channel, request: wire.Relay) -> None:
        channel.pause()
        held.append(channel)
        if how == "answered":
            relays._tasks.start(pretend, channel)

    acceptor = site.router.data.channels.acceptor
    acceptor._pass_on, passes_on = serve, acceptor._pass_on
    try:
        yield
    finally:
        is_over = True
        acceptor._pass_on = passes_on
        for each in held:
            each.close()


async def is_served(port: int) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        with trio.fail_after(PATIENCE):
            await exchange(stream, b"around")


def drop_channels(site: Site, to: str) -> None:
    site.router.data.channels.pools.pool(to).drop_idle()


def told(site: Site, kind: EventKind) -> list[str]:
    """Return what was told of east."""
    events = site.router.control.events.after(0)
    return [each.text for each in events if each.kind is kind and each.subject == "east"]


@pytest.mark.parametrize("how", ["never-answered", "answered"])
async def test_a_channel_is_made_along_another_path_and_along_the_best_when_that_is_well(how):
    async with diamond() as (_, sites, port):
        west = sites["west"]
        pool = west.router.data.channels.pools.pool("east")
        # One that is being made would come after the others are dropped, along the path as it was.
        await wait_until(lambda: pool.size == 2 and not pool.growing, "channels are ready")
        with swallowing(sites["a"], how):
            drop_channels(west, "east")
            for _ in range(4):
                await is_served(port)
            await wait_until(lambda: told(west, EventKind.PATH_FAILED), "that is told")
            assert west.router.data.channels.dialer.doubts.is_doubtful("a", "east")
            assert "over site 'a'" in told(west, EventKind.PATH_FAILED)[0]
            assert not told(west, EventKind.PATH_WELL)
            assert set(west.router.links.up) == {"a", "b"}
        await wait_until(lambda: pool.is_path_well and pool.size, "the best path is used again")
        await wait_until(lambda: told(west, EventKind.PATH_WELL), "that is told too")


async def test_a_path_that_is_swallowed_behind_a_channel_costs_a_flow_one_deadline():
    """Idle channels led along it: nobody knows until a flow is not answered."""
    async with diamond() as (_, sites, port):
        west = sites["west"]
        pool = west.router.data.channels.pools.pool("east")
        await wait_until(lambda: pool.size == 2, "channels are ready")
        for channel in sites["east"].router.data.channels.table._by_neighbor["a"]:
            if isinstance(channel, Channel) and channel.site == "west":
                channel.pause()  # as if what is sent on it led nowhere
        with swallowing(sites["a"], "never-answered"):
            for _ in range(3):
                await is_served(port)
            assert told(west, EventKind.SITE_SILENT)


async def test_a_site_that_says_nothing_holds_up_one_flow_though_it_is_of_a_higher_precedence():
    asked = []
    async with network(LIMITS) as net, trio.open_nursery() as nursery:
        mute, west, east = await net.line("mute", "west", "east")
        listeners = await nursery.start(trio.serve_tcp, echo, 0)
        for site, precedence in ((mute, 200), (east, 100)):
            port = listeners[0].socket.getsockname()[1]
            await site.expose("echo:7", port, precedence=precedence)
        port = await west.reach("echo:7")
        await wait_until(
            lambda: len(west.router.routes.fib.services["tcp", "echo:7"]) == 2, "both are known"
        )
        handler: Any = mute.router.data.channels.acceptor._handlers[wire.Bundle]
        handler.__self__._serve = lambda *each: asked.append(each)
        for _ in range(4):
            await is_served(port)
        (first, second) = west.router.data.ingress.ranking.explain(("tcp", "echo:7"))
        assert (first.site, second.site) == ("east", "mute")
        assert "has said nothing" in second.reason
        assert len(asked) == 1
        nursery.cancel_scope.cancel()


async def test_a_transit_goes_round_the_next_one_that_passes_nothing_on():
    async with diamond() as (net, sites, _):
        far = await net.start("far")
        await net.link(far, sites["west"])
        with swallowing(sites["a"], "never-answered"):
            drop_channels(sites["west"], "a")
            port = await far.reach("echo:7")
            for _ in range(2):
                await is_served(port)
        assert not told(far, EventKind.PATH_FAILED)


async def test_doubts_go_with_their_links_and_sites(autojump_clock):
    log, best = EventLog(), ("here", "a", "east")
    doubts = Doubts(log)
    doubts.failed("a", "east", "no route", best=best)
    doubts.failed("b", "north", "no answer", best=("here", "b", "north"), is_silent=True)
    assert doubts.is_doubtful("a", "east")
    assert [each.subject for each in log.after(0)] == ["north"]
    doubts.failed("a", "east", "no route", best=best)
    await trio.sleep(TELL_AFTER)
    doubts.failed("a", "east", "no route", best=best)
    assert [each.subject for each in log.after(0)] == ["north", "east"]
    await trio.sleep(MAX_DOUBT)
    assert not doubts.is_doubtful("a", "east")
    doubts.link_closed("b")
    assert len(doubts) == 1
    doubts.rerouted({"east": Route(2, ("a",), 2, best)})
    assert len(doubts) == 1
    doubts.rerouted({"east": Route(3, ("b",), 2, ("here", "b", "east"))})
    assert not doubts
    doubts.failed("a", "east", "no route", best=best)
    doubts.rerouted({})
    assert not doubts
