"""The requests about the network, asked of real routers as a control client asks."""

import contextlib
import time
from functools import partial

import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from van.control import endpoints as api
from van.control.values.links import LinkCost
from van.control.values.paths import ExplainSpec, TraceSpec
from van.errors import InvalidName, LocalError, NotFound, Unreachable
from van.router.management import inspection
from van.router.telemetry.events import EventKind


def knows_all(site):
    return len(site.router.routes.fib.routes) == 3


@contextlib.asynccontextmanager
async def three_sites():
    """Lend a line of three sites, once each knows a path to the others."""
    async with network() as net:
        sites = await net.line("west", "hub", "east")
        for site in sites:
            await wait_until(partial(knows_all, site), "it knows a path to each")
        yield sites


async def events_after(site, number):
    return await site.ask(api.EVENTS, after=number)


async def wait_for_event(site, kind, subject):
    """Wait for an event as a client does, and return its text."""
    after = 0
    with trio.fail_after(20):
        while True:
            found = await events_after(site, after)
            for each in found.events:
                after = each.number
                if (each.kind, each.subject) == (kind, subject):
                    return each.text


async def trace(site, target, protocol=None):
    return await site.ask(api.TRACE, TraceSpec(target=target, protocol=protocol))


async def explain(site, address, protocol=None):
    return await site.ask(api.EXPLAIN, ExplainSpec(address=address, protocol=protocol))


async def test_the_map_shows_the_paths_from_any_site():
    async with three_sites() as (west, _, _):
        ours = await west.ask(api.NETWORK)
        assert ours.source == "west"
        assert {each.site: each.path for each in ours.sites}["east"] == ("west", "hub", "east")
        assert [(each.site, each.neighbor, each.is_two_way) for each in ours.links] == [
            ("east", "hub", True),
            ("hub", "west", True),
        ]
        theirs = await west.ask(api.NETWORK_FROM, site="hub")
        assert {each.site: each.path for each in theirs.sites}["east"] == ("hub", "east")
        with pytest.raises(NotFound):
            await west.ask(api.NETWORK_FROM, site="mars")


async def test_a_trace_to_an_address_leads_to_where_a_flow_would_go():
    async with three_sites() as (west, hub, east):
        east.claim("db:1", 9)
        hub.claim("db:1", 9)
        await wait_until(
            lambda: len(west.router.routes.fib.services.get(("tcp", "db:1"), ())) == 2, "both"
        )
        found = await trace(west, "db:1")
        assert [(each.site, each.cost) for each in found.candidates] == [("hub", 1), ("east", 2)]
        assert (found.site, [hop.site for hop in found.hops]) == ("hub", ["hub"])
        ranking, service = west.router.data.ingress.ranking, ("tcp", "db:1")
        for _ in range(50):
            candidates = ranking.candidates(service)
            candidate = next(each for each in candidates if each.site == "hub")
            ranking.balancer.start(service, candidate, time.monotonic())
        found = await trace(west, "db:1")
        assert (found.site, [hop.site for hop in found.hops]) == ("east", ["hub", "east"])
        assert [each.flows for each in found.candidates] == [0, 50]
        assert found.has_arrived


@pytest.mark.parametrize(("served", "meant"), [(("udp",), "udp"), (("tcp", "udp"), "tcp")])
async def test_without_a_protocol_that_is_meant_which_an_address_is_served_over(served, meant):
    async with three_sites() as (west, _, east):
        await east.expose("dns:53", free_port(), protocol="udp")
        if "tcp" in served:
            east.claim("dns:53", 9)
        wanted = {(each, "dns:53") for each in served}
        routes = west.router.routes
        await wait_until(lambda: routes.fib.services.keys() == wanted, "it is known")
        for asked in {None, meant}:
            found = await trace(west, "dns:53", asked)
            assert (found.protocol, found.site, found.has_arrived) == (meant, "east", True)
            assert [hop.site for hop in found.hops] == ["hub", "east"]
            explained = await explain(west, "dns:53", asked)
            assert (explained.protocol, explained.candidates[0].site) == (meant, "east")
        shown = (await west.ask(api.STATUS)).addresses
        assert [(each.protocol, each.served_at) for each in shown] == [
            (each, ("east",)) for each in served
        ]


async def test_who_asks_for_the_wrong_protocol_is_told_which_one_there_is():
    async with three_sites() as (west, _, east):
        await east.expose("dns:53", free_port(), protocol="udp")
        fib = west.router.routes
        await wait_until(lambda: ("udp", "dns:53") in fib.fib.services, "it is known")
        for ask in (trace, explain):
            with pytest.raises(NotFound, match="dns:53 is served over udp only"):
                await ask(west, "dns:53", "tcp")


async def test_a_trace_to_a_site_has_no_protocol():
    async with network() as net:
        west = await net.start("west")
        assert (await trace(west, "west")).protocol is None
        with pytest.raises(LocalError, match="'west' is the name of a site"):
            await trace(west, "west", "udp")


async def test_a_trace_to_this_site_has_no_hop():
    async with network() as net:
        west = await net.start("west")
        found = await trace(west, "west")
        assert (found.hops, found.has_arrived) == ((), True)


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        ("mars", NotFound, "site 'mars' is not known"),
        ("db:1", NotFound, "run 'van expose tcp db:1'"),
        ("My Site", InvalidName, "site name 'My Site' is not valid"),
        ("My DB:1", InvalidName, "address 'My DB:1' is not valid"),
    ],
)
async def test_what_can_not_be_traced_is_an_error_that_says_what_to_do(target, error, said):
    async with network() as net:
        west = await net.start("west")
        with pytest.raises(error, match=said):
            await trace(west, target)


async def test_a_site_that_is_known_and_can_not_be_reached_is_not_traced():
    async with three_sites() as (west, hub, _):
        hub.router.links.delete("east", "for a test")
        await wait_until(lambda: "east" not in west.router.routes.fib.routes, "it is gone")
        with pytest.raises(Unreachable, match="no path leads to site 'east'"):
            await trace(west, "east")


async def test_links_and_routes_are_told_as_they_come_and_go():
    async with three_sites() as (west, hub, east):
        assert await wait_for_event(west, "router-started", "west")
        assert await wait_for_event(hub, "link-up", "west")
        assert await wait_for_event(west, "site-reached", "east") == "by hub, cost 2"
        await hub.ask(api.SET_COST, LinkCost(cost=7), site="east")
        assert await wait_for_event(hub, "cost-changed", "east") == "cost 7; before that, 1"
        assert await wait_for_event(east, "cost-changed", "hub") == "cost 7; before that, 1"
        said = await wait_for_event(west, "route-changed", "east")
        assert said == "by hub, cost 8; before that, by hub, cost 2"
        east.claim("db:1", 9)
        assert await wait_for_event(west, "address-served", "tcp db:1") == "at east"
        hub.router.links.delete("east", "for a test")
        assert "for a test" in await wait_for_event(hub, "link-down", "east")
        assert await wait_for_event(west, "site-lost", "east")
        assert await wait_for_event(west, "address-lost", "tcp db:1")


async def test_a_cost_that_stays_is_no_event():
    async with three_sites() as (_, hub, _):
        before = hub.router.control.events.last
        await hub.ask(api.SET_COST, LinkCost(cost=1), site="east")
        assert hub.router.control.events.last == before


@pytest.mark.slow("looks for a while whether it is told again")
async def test_dialling_in_vain_is_told_once():
    async with network() as net:
        west, hub = await net.line("west", "hub")
        west.scope.cancel()
        assert "refused" in await wait_for_event(hub, "link-failed", "west")
        await trio.sleep(0.7)
        kinds = [each.kind.value for each in hub.router.control.events.after(0)]
        assert kinds.count("link-failed") == 1


async def test_a_client_that_waits_for_events_does_not_keep_the_router_from_stopping():
    async with network() as net:
        west = await net.start("west")
        async with await trio.open_unix_socket(
            str(west.router.site.paths.control_socket)
        ) as stream:
            last = west.router.control.events.last
            await stream.send_all(b"GET /v1/events/%d HTTP/1.1\r\nhost: x\r\n\r\n" % last)
            await trio.sleep(0.1)
            west.router.stop()
            with trio.fail_after(5):
                assert await stream.receive_some() == b""


async def test_a_client_that_waits_in_vain_gets_an_empty_list(monkeypatch):
    monkeypatch.setattr(inspection, "EVENT_WAIT", 0.05)
    async with network() as net:
        west = await net.start("west")
        found = await events_after(west, west.router.control.events.last)
        assert (found.events, found.lost) == ((), 0)
        assert found.router == west.router.control.events.start_id


async def test_a_client_that_fell_behind_is_told_how_much_it_missed():
    async with network() as net:
        west = await net.start("west")
        for _ in range(2000):
            west.router.control.events.record(EventKind.LINK_UP, "hub", "")
        found = await events_after(west, 1)
        assert found.lost + len(found.events) == west.router.control.events.last - 1
        assert len(found.events) == 1000


async def test_an_event_number_that_is_none_is_an_error():
    async with network() as net:
        west = await net.start("west")
        with pytest.raises(LocalError, match="event number 'x' is not valid"):
            await events_after(west, "x")
