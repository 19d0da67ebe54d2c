"""A site that is drained, or declines transit, is passed by."""

import attrs
import pytest

from lab.network import network, wait_until
from van.config.file import load_config
from van.control import endpoints as api
from van.errors import Unreachable
from van.wire.channel import Relay


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
        relayed = await west.router.data.channels.dialer.relay_through("hub", Relay("east", 9))
        relayed.close()


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
