"""A site that is drained, or declines transit, is passed by."""

import contextlib

import attrs
import pytest
import trio

from lab.network import network, wait_until
from lab.ports import free_port
from tests.router.links.restarting import restart_with
from van.config.file import load_config
from van.control import endpoints as api
from van.control.values.maintenance import DrainSpec
from van.errors import Unreachable
from van.wire.channel import Relay


async def echo(stream):
    with contextlib.suppress(trio.BrokenResourceError):
        async with stream:
            async for data in stream:
                await stream.send_all(data)


async def test_nothing_leads_through_a_drained_site_until_it_is_undrained():
    async with network() as net:
        west, hub, _ = await net.line("west", "hub", "east")
        await wait_until(lambda: west.router.routes.next_hop("east") == "hub", "there is a path")
        answer = await hub.ask(api.DRAIN)
        assert answer.state == "drained"
        assert "east, west can't reach all others" in answer.detail
        await wait_until(
            lambda: west.router.routes.next_hop("east") is None, "the path is given up"
        )
        assert west.router.routes.next_hop("hub") == "hub"
        assert hub.router.routes.next_hop("east") == "east"
        assert load_config(net.paths("hub").config_file).drained
        status = await west.ask(api.STATUS)
        assert [site.site for site in status.sites if not site.is_transit] == ["hub"]
        assert (await hub.ask(api.DRAIN)).detail == "it was already"
        assert (await hub.ask(api.STATUS)).router.transit == "drained"
        assert (await hub.ask(api.UNDRAIN)).state == "in service"
        await wait_until(lambda: west.router.routes.next_hop("east") == "hub", "the path is back")
        assert not load_config(net.paths("hub").config_file).drained
        kinds = [event.kind.value for event in hub.router.control.events.after(0)]
        assert kinds.count("transit-changed") == 2


async def test_drained_site_passes_on_what_a_stale_table_sends_through_it():
    async with network() as net:
        west, hub, _ = await net.line("west", "hub", "east")
        await hub.ask(api.DRAIN)
        relayed, path = await west.router.data.channels.dialer.relay_through(
            "hub", Relay("east", 9)
        )
        relayed.close()
        assert path == ("hub", "east")


async def test_site_that_declines_transit_refuses_what_a_stale_table_sends_through_it():
    async with network() as net:
        west, hub, _ = await net.line("west", "hub", "east")
        await wait_until(lambda: west.router.routes.next_hop("east") == "hub", "there is a path")
        await wait_until(
            lambda: hub.router.routes.next_hop("east") == "east", "the hub knows it too"
        )
        hub.router.site.settings.config = attrs.evolve(
            hub.router.site.settings.config, transit=False
        )
        with pytest.raises(Unreachable, match="passes nothing on"):
            await west.router.data.channels.dialer.relay_through("hub", Relay("east", 9))
        answer = await hub.ask(api.UNDRAIN)
        assert answer.state == "no transit"


@pytest.mark.slow("three links, two targets, and two changes that every site has to hear of")
async def test_a_site_that_is_drained_of_what_it_serves_leaves_it_to_others():
    async with trio.open_nursery() as nursery, network() as net:
        west, hub, east = await net.line("west", "hub", "east")
        await net.link(west, east)  # for nothing is sent through the hub any more
        ports = [free_port(), free_port()]
        for port in ports:
            await nursery.start(trio.serve_tcp, echo, port)
        await hub.expose("both:7", ports[0])
        await east.expose("both:7", ports[1])
        await hub.expose("alone:7", ports[0])
        there, only = ("tcp", "both:7"), ("tcp", "alone:7")
        services = west.router.routes
        tables = [site.router.routes for site in (west, hub)]
        wanted = {there: ("east", "hub"), only: ("hub",)}
        await wait_until(
            lambda: all(wanted.items() <= each.fib.services.items() for each in tables),
            "both sites know who serves what",
        )
        port = await west.reach("both:7")
        async with contextlib.AsyncExitStack() as stack:
            live = []
            while not any(flow.role == "egress" for flow in hub.router.flows.statuses(9)):
                client = await trio.open_tcp_stream("127.0.0.1", port)
                live.append(await stack.enter_async_context(client))
                await live[-1].send_all(b"x")
                assert await live[-1].receive_some() == b"x"
            answer = await hub.ask(api.DRAIN, DrainSpec(serve=True))
            assert "tcp alone:7: served nowhere else" in answer.detail
            assert "both:7" not in answer.detail
            await wait_until(lambda: services.fib.services.get(there) == ("east",), "given away")
            assert only not in services.fib.services
            for client in live:
                await client.send_all(b"y")
                assert await client.receive_some() == b"y", "what is live goes on"
        status = await hub.ask(api.STATUS)
        assert status.router.serving == "drained"
        assert {each.state for each in status.connectors} == {"drained"}
        assert load_config(net.paths("hub").config_file).withdrawn
        assert (await hub.ask(api.DRAIN, DrainSpec(serve=True))).detail == "it was already"
        assert (await hub.ask(api.UNDRAIN)).state == "in service"
        await wait_until(lambda: services.fib.services.get(there) == ("east", "hub"), "both serve")
        assert (await hub.ask(api.STATUS)).router.serving == "yes"
        nursery.cancel_scope.cancel()


async def test_a_site_that_was_drained_can_be_drained_of_what_it_serves_as_well():
    async with network() as net:
        _, hub = await net.line("west", "hub")
        await hub.ask(api.DRAIN)
        assert (await hub.ask(api.STATUS)).router.serving == "yes"
        assert (await hub.ask(api.DRAIN, DrainSpec(serve=True))).detail != "it was already"
        assert (await hub.ask(api.STATUS)).router.serving == "drained"
        assert (await hub.ask(api.DRAIN)).detail == "it was already"
        assert (await hub.ask(api.STATUS)).router.serving == "drained"


async def test_a_site_that_declines_transit_can_still_give_away_what_it_serves():
    async with network() as net:
        _, hub = await net.line("west", "hub")
        settings = hub.router.site.settings
        settings.config = attrs.evolve(settings.config, transit=False)
        assert (await hub.ask(api.DRAIN)).state == "no transit"
        assert (await hub.ask(api.DRAIN, DrainSpec(serve=True))).state == "drained"
        assert (await hub.ask(api.STATUS)).router.serving == "drained"
        assert (await hub.ask(api.UNDRAIN)).state == "in service"
        assert (await hub.ask(api.STATUS)).router.serving == "yes"


async def test_a_router_that_starts_withdrawn_serves_nothing():
    async with trio.open_nursery() as nursery, network() as net:
        west, hub = await net.line("west", "hub")
        port = free_port()
        await nursery.start(trio.serve_tcp, echo, port)
        await hub.expose("db:7", port)
        await hub.ask(api.DRAIN, DrainSpec(serve=True))
        hub = await restart_with(net, hub, hub.router.trust.credentials)
        await wait_until(lambda: "west" in hub.router.links.up, "the link is back")
        await wait_until(lambda: "hub" in west.router.routes.fib.routes, "there is a path")
        assert ("tcp", "db:7") not in west.router.routes.fib.services
        await hub.ask(api.UNDRAIN)
        await wait_until(lambda: ("tcp", "db:7") in west.router.routes.fib.services, "it serves")
        nursery.cancel_scope.cancel()
